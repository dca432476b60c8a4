import subprocess
import sys

SCRIPT = """
import sys, numpy as np, skimage.data
from xdyna.preprocess.graph import Graph
with Graph("face_mesh", "FaceMesh", static_image_mode=True) as mesh:
    sys.stderr.write("ours\\n")
    print(len(mesh(skimage.data.astronaut()).multi_face_landmarks))
"""


def test_detectors_are_silent_and_other_messages_are_not():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    assert done.stderr == "ours\n"
