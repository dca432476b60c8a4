"""Conditions to the pictures X-Dyna's ControlNets see."""

from xdyna.preprocess.draw import draw_pose
from xdyna.preprocess.face import face_patches
from xdyna.schema import Conditions, Controls


def draw_controls(conditions: Conditions) -> Controls:
    """Draws pose and face patches. Needs no weights."""
    local, head = face_patches(conditions.driving_frames, conditions.face_landmarks)
    return Controls(pose=draw_pose(conditions.pose, conditions.size), face_local=local, face_global=head)
