"""What a visitor can take home: the clean video, the same with its skeleton, beside its sources, recipe, poster."""

import io
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from xdyna.photo import crop_to_aspect
from xdyna.preprocess.draw import draw_pose
from xdyna.recipe import AI_NOTE, Recipe, animation_files, labelled, write_result
from xdyna.schema import Animation, Conditions, Frames, Image, Video
from xdyna.video import side_by_side

VIDEO, RECIPE, POSTER = "xdyna.mp4", "xdyna.json", "xdyna.jpg"
SKELETON, BESIDE = "xdyna-skeleton.mp4", "xdyna-side-by-side.mp4"
OPACITY = 0.85
POSTER_QUALITY = 92


def main_files(animation: Animation, recipe: Recipe, sound: bytes | None) -> dict[str, bytes]:
    """Return what is there at once, each file by its name: video, recipe and poster."""
    picture = io.BytesIO()
    PILImage.fromarray(poster(animation.video, recipe)).save(
        picture, "JPEG", quality=POSTER_QUALITY, comment=AI_NOTE.encode()
    )
    return {**animation_files(Path(VIDEO), animation.video, recipe, sound), POSTER: picture.getvalue()}


def write_more(folder: Path, animation: Animation, conditions: Conditions, recipe: Recipe) -> None:
    """Writes what takes a little longer: the result with its skeleton, and beside photo and clip."""
    write_result(folder / SKELETON, with_skeleton(animation, conditions), recipe, conditions.sound)
    write_result(folder / BESIDE, beside_sources(animation, conditions), recipe, conditions.sound)


def poster(video: Video, recipe: Recipe) -> Image:
    """The middle frame, labelled as the video is."""
    middle = video.frames[len(video) // 2][None]
    return (labelled(middle) if recipe.settings["ai_label"] else middle)[0]


def with_skeleton(animation: Animation, conditions: Conditions) -> Video:
    """The pose that the model saw, or should have followed where it sees none, drawn over the result."""
    frames, drawn = animation.video.frames, _pose(animation, conditions)
    covered = drawn.any(axis=-1, keepdims=True)
    mixed = np.where(covered, (1 - OPACITY) * frames + OPACITY * drawn, frames)
    return Video(frames=mixed.round().astype(np.uint8), fps=animation.video.fps)


def beside_sources(animation: Animation, conditions: Conditions) -> Video:
    """Photo, clip and result; the pose stands for a clip that came as a motion file."""
    video = animation.video
    photo = crop_to_aspect(conditions.reference_image, conditions.size, conditions.photo_box)
    still = np.broadcast_to(photo, (len(video), *photo.shape))
    has_clip = conditions.motion is None or conditions.motion.has_pictures
    driving = conditions.driving_frames[animation.driven_by] if has_clip else _pose(animation, conditions)
    columns = {"Photo": still, "Clip" if has_clip else "Motion": driving, "Result": video.frames}
    return side_by_side([Video(frames=frames, fps=video.fps) for frames in columns.values()], list(columns))


def _pose(animation: Animation, conditions: Conditions) -> Frames:
    """`(num_frames, height, width, 3)`: a skeleton for each frame of the result."""
    if "pose" in animation.controls:
        return animation.controls["pose"]
    return draw_pose(conditions.pose, conditions.size)[animation.driven_by]
