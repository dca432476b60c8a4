"""Estimate which pixels of a photo show its person."""

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.graph import Graph
from xdyna.preprocess.landmarks import head_square
from xdyna.preprocess.masks import person_masks
from xdyna.preprocess.pose import LEFT_ELBOW, LEFT_SHOULDER, LEFT_WRIST, NECK, RIGHT_ELBOW, RIGHT_SHOULDER, RIGHT_WRIST
from xdyna.puppet.skeleton import BODY_BONES, body_size
from xdyna.schema import Floats, Image, InputError, Pose

MIN_PERSON_PX = 120
WORKING_SIDE_PX = 448  # GrabCut's cost grows with the pixels, its answer hardly
NUM_ROUNDS = 4
LIKELY, LIKELY_FAR, SURE = 0.5, 0.75, 0.9  # opinions of the network; the second far from the pose
SURE_BONE = 0.035  # half width of what surely is the person around a bone, in body sizes
TRUSTED = 0.02  # how far from the drawn pose the network is believed at once, in body sizes
NEAR = 0.08  # how far clothes and hair reach beyond the drawn pose, in body sizes
HAIR_RADIUS, HAIR_EPSILON = 6, 40.0  # of the guided filter, for a picture of WORKING_SIDE_PX; levels squared
GAIN = 1.7  # of the soft edge: a filter this wide leaves a veil
FOREARMS, DOUBTFUL = ((RIGHT_ELBOW, RIGHT_WRIST), (LEFT_ELBOW, LEFT_WRIST)), 0.25
TOUCHING = 0.5  # share of a border that is covered where it stops a person; a sleeve that it cuts does not count
MAX_BORDERS = 2


def person_matte(photo: Image, pose: Pose) -> Floats:
    """Estimate the opacity of a person in every pixel.

    A segmentation network and the pose seed GrabCut, whose hard answer a guided filter softens along hair and edges.

    Args:
        photo: The picture, `(height, width, 3)` uint8 RGB.
        pose: The person's pose in pixels of the picture, one frame.

    Returns:
        The matte, `(height, width)` float32 in 0..1.

    Raises:
        InputError: The pose shows nobody, or the person is too small or fills the picture.
    """
    height, width = photo.shape[:2]
    _check_pose(pose)
    zoom = min(1.0, WORKING_SIDE_PX / max(height, width))
    small = cv2.resize(photo, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA).astype(np.uint8)
    here = pose.transformed(np.array([[zoom, 0, (zoom - 1) / 2], [0, zoom, (zoom - 1) / 2]]))
    mask = _grab(small, here, segment(small))
    matte = _softened(photo, _largest(mask, here))
    _check_matte(matte)
    return matte


def checked_matte(matte: Floats, pose: Pose) -> Floats:
    """Return a matte that was made elsewhere, if its person can be moved.

    Args:
        matte: The person's opacity, `(height, width)` in 0..1.
        pose: The person's pose in pixels of it, one frame.

    Raises:
        InputError: As for `person_matte`.
    """
    _check_pose(pose)
    _check_matte(matte)
    return matte


def segment(photo: Image) -> Floats:
    """Return the segmentation network's own opinion: the share of a person, `(height, width)` float32 in 0..1."""
    with Graph("selfie_segmentation", "SelfieSegmentation", model_selection=0) as network:
        return np.array(network(np.ascontiguousarray(photo)).segmentation_mask, np.float32)


def _check_pose(pose: Pose) -> None:
    body = pose.body[0]
    known = body[np.isfinite(body[:, 0])]
    if not np.isfinite(body[[NECK, RIGHT_SHOULDER, LEFT_SHOULDER]]).all():
        raise InputError("The photo shows no person whose pose can be read. Choose a photo of one person.")
    extent = float(np.ptp(known, axis=0).max())
    if extent < MIN_PERSON_PX:
        raise InputError(
            f"The person is {extent:.0f} pixels tall in the video; Puppet needs at least {MIN_PERSON_PX}. "
            "Choose a larger video, or cut the photo closer around the person."
        )


def _check_matte(matte: Floats) -> None:
    edges = {"left": matte[:, 0], "right": matte[:, -1], "top": matte[0], "bottom": matte[-1]}
    touched = [name for name, edge in edges.items() if (edge > 0.5).mean() > TOUCHING]
    if len(touched) > MAX_BORDERS:
        raise InputError(
            f"The person reaches the {', '.join(touched)} edges of the picture, so there is nowhere to move. "
            "Choose a photo with more room around the person, or another width and height."
        )


def _grab(small: Image, pose: Pose, opinion: Floats) -> NDArray[np.bool_]:
    """Return GrabCut's answer, `(height, width)`."""
    size = (small.shape[0], small.shape[1])
    drawn, unit = person_masks(pose, size)[0], body_size(pose.body[0])
    # Far from the pose the network must be sure: it often takes what has the clothes' colour along.
    person = np.maximum(
        0.6 * drawn, np.where(_grown(drawn > 0.3, TRUSTED * unit) | (opinion > LIKELY_FAR), opinion, 0)
    )
    near = _grown((drawn > 0.3) | (person > LIKELY), NEAR * unit)
    labels = np.full(size, cv2.GC_BGD, np.uint8)
    labels[near] = cv2.GC_PR_BGD
    labels[near & (person > LIKELY)] = cv2.GC_PR_FGD
    # Dark hair before a dark background has no colour of its own; elsewhere the network closes gaps between limbs.
    labels[(opinion > SURE) & _head_region(size, pose)] = cv2.GC_FGD
    _draw_sure(labels, pose, unit, opinion)
    return grab_cut(small, labels, NUM_ROUNDS)


def grab_cut(picture: Image, labels: NDArray[np.uint8], num_rounds: int) -> NDArray[np.bool_]:
    """Return which pixels OpenCV's GrabCut takes for the foreground, `(height, width)`.

    Args:
        picture: The picture, `(height, width, 3)` uint8 RGB.
        labels: What is known of each pixel, `(height, width)`: `cv2.GC_FGD`, `GC_BGD`, `GC_PR_FGD` or `GC_PR_BGD`.
        num_rounds: How often colours and places are fitted to one another.
    """
    cv2.setRNGSeed(0)  # its first clusters are drawn at random
    models = np.zeros((2, 1, 65))
    arrays = np.ascontiguousarray(picture), np.ascontiguousarray(labels)
    found = cv2.grabCut(*arrays, (0, 0, 0, 0), models[0], models[1], num_rounds, cv2.GC_INIT_WITH_MASK)[0]
    return np.isin(found, (cv2.GC_FGD, cv2.GC_PR_FGD))


def _grown(mask: NDArray[np.bool_], reach: float) -> NDArray[np.bool_]:
    """Return the mask with all pixels within a distance in pixels."""
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) < max(reach, 3)


def _head_region(size: tuple[int, int], pose: Pose) -> NDArray[np.bool_]:
    """Return the pixels in which a head with its hair may be, `size`."""
    region, square = np.zeros(size, np.uint8), head_square(pose.body[0])
    if square is not None:
        centre, half = square
        cv2.circle(region, np.round(centre).astype(int).tolist(), round(half), (1,), cv2.FILLED)
    return region > 0


def _draw_sure(labels: NDArray[np.uint8], pose: Pose, unit: float, opinion: Floats) -> None:
    """Draw what surely is the person, in place: the bones, but of forearms only what the network sees as well.

    A pose guesses a forearm that is hidden.
    """
    body = pose.body[0]
    far = 10 * max(labels.shape)
    thickness = max(1, round(2 * SURE_BONE * unit))
    for start, end in BODY_BONES:
        ends = body[[start, end]]
        if np.isfinite(ends).all():
            a, b = np.clip(np.round(ends), -far, far).astype(int).tolist()
            bone = cv2.line(np.zeros_like(labels), a, b, (1,), thickness) > 0
            unseen = (start, end) in FOREARMS and bone.any() and float(opinion[bone].mean()) < DOUBTFUL
            labels[bone] = cv2.GC_PR_FGD if unseen else cv2.GC_FGD


def _largest(mask: NDArray[np.bool_], pose: Pose) -> NDArray[np.uint8]:
    """Return the largest connected part, without pinholes."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if len(stats) < 2:
        raise InputError("The person cannot be told from the background in this photo. Choose another one.")
    kept = (parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)
    _, holes, stats, _ = cv2.connectedComponentsWithStats(1 - kept)
    pinhole = (0.06 * body_size(pose.body[0])) ** 2
    small = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] < pinhole)
    kept[np.isin(holes, small)] = 1
    return kept


def _softened(photo: Image, mask: NDArray[np.uint8]) -> Floats:
    """Return the mask at the photo's size with soft edges that follow the photo's own, `(height, width)` float32."""
    height, width = photo.shape[:2]
    large = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    scale = max(height, width) / WORKING_SIDE_PX
    radius = max(2, round(HAIR_RADIUS * scale))
    # The guide stays in levels: OpenCV's filter is wrong on a colour guide in 0..1.
    soft = cv2.ximgproc.guidedFilter(photo, large, radius, HAIR_EPSILON)
    soft = np.clip(GAIN * (soft - 0.5) + 0.5, 0, 1)
    inside = cv2.erode((large > 0.5).astype(np.uint8), np.ones((radius + 1,) * 2, np.uint8))
    outside = cv2.dilate((large > 0.5).astype(np.uint8), np.ones((radius + 1,) * 2, np.uint8))
    return np.where(inside > 0, 1, np.where(outside > 0, soft, 0)).astype(np.float32)
