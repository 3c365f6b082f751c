"""Given detections and the clips they belong to.

Entries of the files are matched to clips by name. Without videos the files describe the clips: such
clips have no pixels, so their motion is read off the detections (``KalmanMotion``) and no pictures
are written.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from vidal import boxes as geometry
from vidal.errors import LabelsMismatch, NoClips, UnknownName, UsageError
from vidal.evidence.given import GivenDetections
from vidal.evidence.names import ClipNames
from vidal.formats.detections import DetectedClip, DetectionFiles, read
from vidal.types import BoolArray, Clip, Detections, IntArray, SkippedClip
from vidal.words import counted

_BUILT = (
    "The detections hold no class distributions: each was taken as its score on its label and the"
    " rest on the background. Entropy and margin then tell how sure the score is, not which"
    " classes are confused."
)
_UNUSED = ("the detections list none of its frames", "the detections do not mention it")
_BARE = "No videos were given: there are no pictures, and motion is read off the detections."
_NEVER_LOOKED = (
    "as never looked at, and cannot be selected (--detections-frames all takes them as empty)"
)
_EMPTY = "as looked at and empty (--detections-frames listed leaves them out)"


@dataclass(frozen=True, slots=True, eq=False)
class TakenIn:
    """What became of the files.

    Attributes:
        clips: those that have detections, in order.
        skipped: clips without.
        notes: one sentence each.
        features: whether detections have features.
        distributions: whether they state class distributions.
    """

    clips: tuple[Clip, ...]
    skipped: tuple[SkippedClip, ...]
    notes: tuple[str, ...]
    features: bool = False
    distributions: bool = True


@dataclass(slots=True)
class _Counts:
    """What is said in notes."""

    silent: int = 0
    frames: int = 0
    outside: int = 0
    unmatched: list[str] = field(default_factory=list)


def take_in(
    given: GivenDetections,
    clips: Sequence[Clip] | None,
    *,
    needs: frozenset[str],
    strategy: str,
    keep: Callable[[Clip, Detections], None],
    rate: Fraction,
    asked: str = "--classes",
) -> TakenIn:
    """Read the files, match them to clips and put every clip's table into the store.

    Args:
        given: the files.
        clips: of the run; None = the files describe them.
        needs, strategy: what the strategy needs, and its name.
        keep: puts a clip's table where it belongs.
        rate: frames a second of clips without pixels, where the files do not state it.
        asked: where the classes were named, for messages.

    Raises:
        FormatError, InputError: the files are broken.
        LabelsMismatch: they belong to other clips, or their frames or sizes do.
        UsageError: the strategy needs what they do not hold, or a size is missing.
    """
    source = read(given.path, images=given.images, classes=given.classes, transform=given.transform)
    check_needs(bool(source.features), needs, strategy)
    _check_classes(given, source, asked)
    counts = _Counts()
    pairs = _pairs(given, source, clips, rate, counts)
    kept, skipped = [], []
    for clip in dict.fromkeys([*(clips or ()), *pairs]):
        table = _table(given, source, pairs[clip], clip, counts) if clip in pairs else None
        if table is None or not table.scanned.any():
            skipped.append(SkippedClip(clip.path, _UNUSED[table is None]))
            continue
        keep(clip, table)
        kept.append(clip)
    if not kept:
        raise NoClips(given.path, "no clip with detections")
    notes = _notes(given, source, counts, built(source.distributions, needs))
    if clips is None:
        notes = (_BARE, *notes)
    return TakenIn(tuple(kept), tuple(skipped), notes, bool(source.features), source.distributions)


def built(distributions: bool, needs: frozenset[str]) -> tuple[str, ...]:
    """A remark where a strategy looks at class distributions and the files state none."""
    wanted = needs & {"regions", "class_mass", "expected_objects"}
    return (_BUILT,) if wanted and not distributions else ()


def _check_classes(given: GivenDetections, source: DetectionFiles, asked: str) -> None:
    """Names that keep nothing were meant otherwise.

    Raises:
        UnknownName: there are detections, and none of a class that was asked for.
    """
    if given.classes and source.others and not any(len(clip.labels) for clip in source.clips):
        there = [name for name, _ in sorted(source.others, key=lambda pair: -pair[1])]
        raise UnknownName(f"class in {asked}", ", ".join(given.classes), there)


_NOT_GIVEN = frozenset({"embedding", "suppressed", "logits", "layer"})
"""What files of detections never say: looks of frames, boxes before suppression, the last layer."""


def check_needs(features: bool, needs: frozenset[str], strategy: str) -> None:
    """Refuse a strategy that asks for what files of detections do not hold.

    Args:
        features: whether these have features.
        needs, strategy: of the strategy, and its name.

    Raises:
        UsageError: names what is missing.
    """
    absent = _NOT_GIVEN | (set() if features else {"features"})
    missing = sorted(needs & absent)
    if missing:
        names = " and ".join(missing)
        way = ", or give 'features' with each detection" if missing == ["features"] else ""
        raise UsageError(
            f"strategy {strategy!r} needs {names}, which the detections do not hold.",
            hint=f"Choose another strategy{way}.",
        )


def _pairs(
    given: GivenDetections,
    source: DetectionFiles,
    clips: Sequence[Clip] | None,
    rate: Fraction,
    counts: _Counts,
) -> dict[Clip, DetectedClip]:
    """Which entry belongs to which clip."""
    if clips is None:
        return _described(given, source, rate)
    names = ClipNames(clips)
    pairs: dict[Clip, DetectedClip] = {}
    for entry in source.clips:
        fitting = names.find(entry.path, entry.names)
        found = None if fitting is None else fitting[0]
        if found is None and len(source.clips) == len(clips) == 1 and not entry.named:
            found = clips[0]
        if found is None:
            counts.unmatched.append(entry.names[0])
        elif found in pairs:
            both = f"{pairs[found].path.name} and {entry.path.name}"
            raise LabelsMismatch(
                given.path,
                f"two entries belong to clip {found.id} ({both})",
                hint="Name one kind of file by a pattern, such as 'DIR/*/name.jsonl'.",
            )
        else:
            pairs[found] = entry
    if not pairs:
        raise LabelsMismatch(
            given.path,
            f"detections for other clips ({', '.join(counts.unmatched[:3]) or 'nothing'})",
            hint=f"Expected names such as {clips[0].id} or their file names.",
        )
    return pairs


def _described(
    given: GivenDetections, source: DetectionFiles, rate: Fraction
) -> dict[Clip, DetectedClip]:
    """Clips as the files describe them."""
    pairs: dict[Clip, DetectedClip] = {}
    for entry in source.clips:
        size = entry.size or given.size
        if size is None:
            raise UsageError(
                f"{entry.path}: does not say how large the frames of {entry.names[0]} are.",
                hint="Give --size WIDTHxHEIGHT, or the clips with --videos.",
            )
        own = entry.rate or rate
        pts = _numbers(entry)
        if not len(pts):
            continue
        clip = Clip(
            id=_id(given, entry),
            path=entry.path,
            pts=pts,
            time_base=1 / own,
            rate=own,
            size=size,
            reader="none",
        )
        pairs[clip] = entry
    return pairs


def _id(given: GivenDetections, entry: DetectedClip) -> str:
    name = "__".join(part for part in re.split(r"[/\\]+", entry.names[0]) if part)
    content = f"{given.digest}/{'|'.join(entry.names)}".encode("utf-8", "surrogateescape")
    digest = hashlib.blake2b(content, digest_size=4).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', name) or 'clip'}-{digest}"


def _numbers(entry: DetectedClip) -> IntArray:
    """Presentation times of a clip without pixels: the numbers of its images, or its ordinals."""
    if entry.by_image and entry.listed is not None:
        return entry.listed
    last = [int(entry.number[-1]) if len(entry.number) else entry.first - 1]
    if entry.listed is not None and len(entry.listed):
        last.append(int(entry.listed[-1]))
    return np.arange(max(entry.length or 0, max(last) - entry.first + 1), dtype=np.int64)


def _indices(entry: DetectedClip, clip: Clip, numbers: IntArray) -> IntArray:
    """Zero-based frame indices of frame numbers.

    Raises:
        LabelsMismatch: the clip has no such frame.
    """
    described = clip.reader == "none" and entry.listed is not None
    if entry.by_image and (clip.reader == "images" or described):
        index = np.searchsorted(clip.pts, numbers)
        wrong = clip.pts[np.minimum(index, clip.frames - 1)] != numbers
    else:
        index = numbers - entry.first
        wrong = (index < 0) | (index >= clip.frames)
    if wrong.any():
        raise LabelsMismatch(
            entry.path,
            f"{entry.names[0]!r} has detections in frame {int(numbers[wrong][0])}, but"
            f" {clip.path.name} has {counted(clip.frames, 'frame')} ({_span(entry, clip)})",
            hint="Were they made from another version of the clip?",
        )
    return index


def _span(entry: DetectedClip, clip: Clip) -> str:
    if entry.by_image and clip.reader == "images":
        return f"images {int(clip.pts[0])} to {int(clip.pts[-1])}"
    return f"{entry.first} to {clip.frames - 1 + entry.first}"


def _table(
    given: GivenDetections,
    source: DetectionFiles,
    entry: DetectedClip,
    clip: Clip,
    counts: _Counts,
) -> Detections:
    """The entry's detections as the clip's table: in its pixels, cut to its frames."""
    if entry.size is not None and entry.size != clip.size:
        raise LabelsMismatch(
            entry.path,
            f"{entry.names[0]!r} was {entry.size[1]}x{entry.size[0]} pixels large, but"
            f" {clip.path.name} is {clip.size[1]}x{clip.size[0]}",
        )
    frame = _indices(entry, clip, entry.number)
    scanned = _scanned(given, entry, clip, frame, counts)
    height, width = clip.size
    scale = np.array([width, height] * 2, np.float32) if entry.relative else np.float32(1)
    boxes = geometry.clip(entry.boxes * scale, clip.size)
    inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    counts.outside += int(np.count_nonzero(~inside))
    order = np.flatnonzero(inside)
    return Detections(
        classes=source.classes,
        scanned=scanned,
        frame=frame[order],
        boxes=boxes[order],
        scores=entry.scores[order],
        labels=entry.labels[order],
        probs=entry.probs[order],
        features=entry.features[order],
        embedding=np.zeros((clip.frames, 0), np.float32),
    )


def _scanned(
    given: GivenDetections, entry: DetectedClip, clip: Clip, frame: IntArray, counts: _Counts
) -> BoolArray:
    """(F,) bool: the frames that were looked at."""
    mentioned = np.zeros(clip.frames, dtype=np.bool_)
    mentioned[frame] = True
    if entry.listed is not None:
        mentioned[_indices(entry, clip, entry.listed)] = True
    counts.silent += int(np.count_nonzero(~mentioned))
    counts.frames += clip.frames
    everything = given.frames == "all" or (given.frames == "auto" and entry.listed is None)
    return np.ones(clip.frames, dtype=np.bool_) if everything else mentioned


def _notes(
    given: GivenDetections, source: DetectionFiles, counts: _Counts, more: tuple[str, ...]
) -> tuple[str, ...]:
    notes: list[str] = []
    if counts.silent:
        listed = given.frames == "listed" or (
            given.frames == "auto" and any(entry.listed is not None for entry in source.clips)
        )
        taken = _NEVER_LOOKED if listed else _EMPTY
        count = f"{counts.silent:,} of {counted(counts.frames, 'frame')}"
        are = "is" if counts.silent == 1 else "are"
        notes.append(f"{count} {are} not in the detections: taken {taken}.")
    notes += more
    if source.unlike_logits:
        notes.append("All scores were in [0, 1] before the sigmoid: were they logits?")
    if source.others:
        dropped = sum(count for _, count in source.others)
        names = ", ".join(name for name, _ in source.others[:5])
        notes.append(f"{counted(dropped, 'detection')} of other classes left out ({names}).")
    if len(source.skipped):
        path, where, why = source.skipped.entries[0]
        first = f"{path.name}, {where}: {why}"
        notes.append(f"Boxes left out: {len(source.skipped):,}; the first: {first}.")
    if counts.outside:
        notes.append(f"{counted(counts.outside, 'box', 'boxes')} outside of the frame left out.")
    if counts.unmatched:
        first = counts.unmatched[0]
        clips = counted(len(counts.unmatched), "clip that is", "clips that are")
        notes.append(f"The detections name {clips} not here, such as {first}.")
    return tuple(notes)
