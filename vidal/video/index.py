"""From a file or folder to a ``Clip``: which frames there are, and when each is shown.

The table of presentation times is read from the packets, without decoding. Where the packets do not
prove it (``plain``), it is checked by decoding where it may be wrong: the first frames (a recording
that starts between keyframes, times that a container guessed) and the last ones (a recording that
was cut off). Where there are no usable times, one pass of decoding counts the frames.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame

from vidal.errors import UnreadableClip
from vidal.types import Clip, IntArray
from vidal.video import folder, opencv
from vidal.video.headers import breaks_off
from vidal.video.identity import clip_id
from vidal.video.packets import Packets, demux
from vidal.video.plain import known
from vidal.video.source import NoVideo, Source

_HEAD = 32
"""Frames decoded at the start, to see that the table agrees with the decoder."""

_BACK = 8
"""Keyframes to go further back before a frame at the end counts as lost."""

_DEFAULT_RATE = Fraction(25)
AV_TIME_BASE = 1_000_000  # FFmpeg's ticks a second of the durations of containers

_MOST_UNRECEIVED = 10**9
"""Damaged headers may announce any duration."""


def open_clip(
    path: Path,
    *,
    root: Path | None = None,
    image_rate: Fraction = Fraction(10),
    name: str | None = None,
) -> Clip:
    """The clip at a path, with its table of presentation times.

    Reads the whole file once and, where its packets leave a doubt, decodes its first frames and its
    last group of pictures.

    Args:
        path: a video file, or a folder of numbered images.
        root: the folder that was searched; makes the id tell clips of one name apart.
        image_rate: frames a second of a folder of images; consecutive numbers are 1/rate apart.
        name: the clip's id where ``identify`` has told it.

    Raises:
        UnreadableClip: it cannot be read, or not one of its frames decodes; with the cause.
    """
    path = Path(path)
    with _refusals(path):
        if path.is_dir():
            return folder.open_folder(path, root, image_rate, name)
        name = identify(path, root=root) if name is None else name
        table = _index(path)
    return Clip(
        id=name,
        path=path,
        pts=table.pts,
        time_base=table.time_base,
        rate=table.rate,
        size=table.size,
        truncated=table.truncated,
        keyframes=table.keyframes,
        reader=table.reader,
    )


def identify(path: Path, *, root: Path | None = None) -> str:
    """The id of the clip at a path, which rests on its content (see ``open_clip``).

    Raises:
        UnreadableClip: it cannot be read, or holds no clip; with the cause.
    """
    path = Path(path)
    with _refusals(path):
        if path.is_dir():
            return clip_id(path, folder.images_of(path)[0], root)
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableClip(path, "is a pipe, a socket or a device, not a file")
        if status.st_size == 0:
            raise UnreadableClip(path, "is an empty file")
        return clip_id(path, [path], root)


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Whatever reading meets, in vidal's words."""
    try:
        yield
    except FFmpegError as error:
        raise UnreadableClip(path, error.strerror or str(error)) from error
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        raise UnreadableClip(
            path, (getattr(error, "strerror", None) or str(error)).lower()
        ) from error


@dataclass(frozen=True)
class _Table:
    """What a clip is made of, but for its name."""

    pts: IntArray
    keyframes: IntArray
    time_base: Fraction
    rate: Fraction
    size: tuple[int, int]
    truncated: int
    reader: str


def _index(path: Path) -> _Table:
    try:
        return _by_packets(path) or _by_time(path) or _by_order(path)
    except (FFmpegError, NoVideo) as error:
        if isinstance(error, PermissionError | FileNotFoundError):
            raise
        counted = opencv.count(path)
        if counted is None:
            raise UnreadableClip(path, _cause(path, error)) from error
        frames, size, rate = counted
        return _counted(frames, rate, size, 0, "opencv")


def _counted(
    frames: int, rate: Fraction, size: tuple[int, int], truncated: int, reader: str
) -> _Table:
    return _Table(np.arange(frames), np.zeros(0, np.int64), 1 / rate, rate, size, truncated, reader)


def _by_packets(path: Path) -> _Table | None:
    """The table of a file whose packets prove what decoding would show; None of any other."""
    with known(path) as plain:
        if plain is None:
            return None
        source, packets = plain.source, plain.packets
        lost = np.zeros(0, np.int64) if plain.ends else _lost_at_end(source, packets)
        return None if lost is None else _without(lost, source, path, packets, plain.size)


def _by_time(path: Path) -> _Table | None:
    """The table by presentation time; None where the times cannot be trusted."""
    with Source(path) as source:
        packets = demux(source)
        if packets is None or not packets.one_clock:
            return None
        frames = source.restart()
        opening = next(frames, None)
        image = None if opening is None else source.image(opening)
        if opening is None or image is None:
            return None
        head = _times(chain([opening], islice(frames, _HEAD)))
        first = None if head is None else _first_shown(head, packets.table)
        if first is None:
            return None
        if packets.begins:  # its first picture may be damaged: it is one of the clip all the same
            first = min(first, int(packets.pts[0]))
        lost = _lost_at_end(source, packets)
        if lost is None:
            return None
        lost, size = lost[lost >= first], (image.shape[0], image.shape[1])
        return _without(lost, source, path, packets, size, first)


def _without(
    lost: IntArray,
    source: Source,
    path: Path,
    packets: Packets,
    size: tuple[int, int],
    first: int | None = None,
) -> _Table | None:
    """The table from ``first`` on, without what is lost at the end; None if nothing is left."""
    lost, kept = packets.at_end(lost), packets.table
    kept = np.setdiff1d(kept if first is None else kept[kept >= first], lost)
    if not len(kept):
        return None
    time_base = source.stream.time_base or 1 / _DEFAULT_RATE
    return _Table(
        pts=kept,
        keyframes=np.flatnonzero(np.isin(kept, packets.keys)),
        time_base=time_base,
        rate=_rate(source, kept, time_base),
        size=size,
        truncated=_truncated(packets, len(lost)) or _unreceived(source, path, kept),
        reader="pts",
    )


def _times(frames: Iterable[VideoFrame]) -> IntArray | None:
    """Presentation times of decoded frames; None unless all have one and they increase."""
    pts = [frame.pts for frame in frames]
    known = [value for value in pts if value is not None]
    times = np.array(known, np.int64)
    return times if len(known) == len(pts) and (np.diff(times) > 0).all() else None


def _first_shown(decoded: IntArray, table: IntArray) -> int | None:
    """The first time that decodes; None where the decoder disagrees with the table after it.

    Damaged frames may be missing between, but not most of them: those times were guessed.
    """
    if not len(decoded) or not np.isin(decoded, table).all():
        return None
    expected = ((table >= decoded[0]) & (table <= decoded[-1])).sum()
    return int(decoded[0]) if 2 * len(decoded) >= expected else None


def _lost_at_end(source: Source, packets: Packets) -> IntArray | None:
    """Times in the last groups of pictures that do not decode; None on disagreement.

    Goes back over 1, 2, 4, ... groups until one decodes (a download that stopped may have left a
    long run of zeros). What is missing then is tried once more from further back, because some
    streams' keyframes need frames before them.
    """
    keys, back = _tail_keys(packets), 1
    lost: IntArray | None = None
    while True:
        start = int(keys[-back]) if back <= len(keys) else None
        frames = source.restart() if start is None else source.start_at(start)
        if frames is not None:
            times = _times(frames)
            if times is None or not np.isin(times, packets.table).all():
                return None
            if lost is not None:
                return np.setdiff1d(lost, times)
            if len(times) or start is None:
                since = packets.table if start is None else packets.table[packets.table >= start]
                lost = np.setdiff1d(since, times)
                if start is None or not len(lost):
                    return lost
                back += _BACK
                continue
        if start is None:
            return lost
        back *= 2


def _tail_keys(packets: Packets) -> IntArray:
    """Keyframes to verify the tail from: what follows the last one in the file comes after it."""
    where = np.flatnonzero(packets.key)
    if len(where) and (packets.pts[where[-1] :] < packets.pts[where[-1]]).any():
        return packets.keys[:-1]  # an open group: its leading frames need the one before
    return packets.keys


def _truncated(packets: Packets, lost: int) -> int:
    """Packets missing at the end. What a header announced counts only where the end is cut."""
    cut = packets.missing + lost
    return max(cut, packets.announced + lost) if cut else 0


def _unreceived(source: Source, path: Path, pts: IntArray) -> int:
    """Frames after the end of a file that is shorter than its container says; at least 1."""
    if not breaks_off(path):
        return 0
    base = source.stream.time_base
    if source.container.duration is None or base is None or len(pts) < 2:
        return 1
    step = float((pts[-1] - pts[0]) * base) / (len(pts) - 1)
    left = source.container.duration / AV_TIME_BASE - float(pts[-1] * base) - step
    return max(1, min(round(left / step), _MOST_UNRECEIVED))


def _rate(source: Source, pts: IntArray, time_base: Fraction) -> Fraction:
    for rate in (source.stream.average_rate, source.stream.guessed_rate):
        if rate is not None and 0 < rate <= 1000:
            return Fraction(rate)
    if len(pts) > 1:
        return (len(pts) - 1) / (int(pts[-1] - pts[0]) * time_base)
    return _DEFAULT_RATE


def _by_order(path: Path) -> _Table:
    """The table of a file without usable times: one pass of decoding counts the frames."""
    with Source(path) as source:
        announced, size = source.stream.frames, None
        total = count = 0  # frames; up to the last one that is whole
        for total, frame in enumerate(source.counted(), start=1):
            if frame is None:
                continue
            count = total
            if size is None:
                image = source.image(frame)
                size = None if image is None else (image.shape[0], image.shape[1])
        if size is None:
            raise NoVideo("not one of its frames decodes")
        rate = _rate(source, np.zeros(0, np.int64), 1 / _DEFAULT_RATE)
    cut = total - count + source.cut
    return _counted(count, rate, size, max(announced - count, cut) if cut else 0, "order")


def _cause(path: Path, error: Exception) -> str:
    """Why PyAV did not read a file, in a user's words."""
    if isinstance(error, NoVideo):
        return str(error)
    with path.open("rb") as stream:
        start = stream.read(12)
    if start[4:8] == b"ftyp":
        return "its index is missing (no moov box): the recording was cut off before it was closed"
    text = (getattr(error, "strerror", None) or str(error)).lower()
    return f"is not a video that can be decoded ({text})"
