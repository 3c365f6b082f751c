"""Clips to frames: discovery, the table of presentation times, decoding, seeking, writing."""

from vidal.video.decode import read_frame, read_frames
from vidal.video.discover import IMAGE_SUFFIXES, VIDEO_SUFFIXES, discover, find_clips
from vidal.video.images import encode_jpeg, read_image, resize, save_bytes, save_jpeg, thumbnail
from vidal.video.index import open_clip
from vidal.video.write import VideoWriter, write_video

__all__ = [
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "VideoWriter",
    "discover",
    "encode_jpeg",
    "find_clips",
    "open_clip",
    "read_frame",
    "read_frames",
    "read_image",
    "resize",
    "save_bytes",
    "save_jpeg",
    "thumbnail",
    "write_video",
]
