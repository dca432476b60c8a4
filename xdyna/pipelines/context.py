"""Windows over clips that are longer than the motion modules."""


def context_windows(num_frames: int, context_frames: int, context_overlap: int, offset: int) -> list[list[int]]:
    """Frame indices of every window of one denoising step.

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
