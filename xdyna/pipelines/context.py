"""Windows over clips that are longer than the motion modules."""

SCHEDULES = ("loop", "open")


def context_windows(num_frames: int, context_frames: int, context_overlap: int, offset: int) -> list[list[int]]:
    """Frame indices of every window of one denoising step, as the official code lays them.

    A clip that fits is one window. A longer one is covered by windows that start every
    `context_frames - context_overlap` frames, shifted by `offset`, and wrap round the end: first and last frame are
    neighbours.

    Args:
        num_frames: driving frames of the clip, >= 1.
        context_frames: frames of one window.
        context_overlap: frames that neighbouring windows share, 0..context_frames - 1.
        offset: shift of all windows, drawn anew each step so that seams never rest.

    Returns:
        Lists of `context_frames` indices (or one list of `num_frames`) that together cover every frame.
    """
    if num_frames <= context_frames:
        return [list(range(num_frames))]
    starts = range(0, num_frames, context_frames - context_overlap)
    return [[(start + offset + i) % num_frames for i in range(context_frames)] for start in starts]


def open_windows(num_frames: int, context_frames: int, context_overlap: int, offset: int) -> list[list[int]]:
    """The same for a clip that is no loop: windows stay between its first and its last frame.

    Those at the ends are pushed inside, where they share more frames with their neighbours.
    """
    if num_frames <= context_frames:
        return [list(range(num_frames))]
    stride, last = context_frames - context_overlap, num_frames - context_frames
    starts = sorted({min(max(start, 0), last) for start in range(-(offset % stride), last + stride, stride)})
    return [list(range(start, start + context_frames)) for start in starts]


def taper(context_frames: int, overlap: int) -> list[float]:
    """How much say each frame of a window has: it rises over the overlap, is 1 between, and falls again.

    With it a frame fades from one window to the next instead of jumping at a seam.
    """
    ends = (min(k + 1, context_frames - k) for k in range(context_frames))
    return [min(1.0, end / (overlap + 1)) for end in ends]
