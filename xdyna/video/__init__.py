"""Clips on disk: probed, read frame by frame at a chosen rate with their sound, and written for browsers."""

from xdyna.video.clip import VideoInfo
from xdyna.video.frames import FrameReader, probe, read_frames, read_video, resize_frames
from xdyna.video.limits import ReadLimits
from xdyna.video.montage import side_by_side
from xdyna.video.sound import read_sound
from xdyna.video.write import encode_video, read_metadata, write_video

__all__ = [
    "FrameReader",
    "ReadLimits",
    "VideoInfo",
    "encode_video",
    "probe",
    "read_frames",
    "read_metadata",
    "read_sound",
    "read_video",
    "resize_frames",
    "side_by_side",
    "write_video",
]
