"""Labels that people have made, read from a file and matched to the frames that were asked for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidal.campaign.folder import Campaign
from vidal.campaign.loop import answer_round
from vidal.campaign.oracle import GivenOracle, known
from vidal.campaign.source import with_classes
from vidal.errors import CampaignError, FormatError, InputError, LabelsMismatch, UsageError
from vidal.evidence.labels import LabelMatch, match_labels
from vidal.formats import coco_video, cvat, cvat_images, label_studio, yolo
from vidal.types import UNKNOWN, Annotations, Clip, FrameRef, LabelledClip, Skipped

Names = Callable[[str], FrameRef | None]
"""From the name of a picture to its frame."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a reader of answers is given.

    Attributes:
        path: the file or folder.
        classes: of the campaign.
        clips: the training clips by id.
        names: how pictures of the query are named.
        skipped: receives what is left out.
    """

    path: Path
    classes: tuple[str, ...]
    clips: Mapping[str, Clip]
    names: Names
    skipped: Skipped

    @property
    def lengths(self) -> dict[str, int]:
        """Frames of each clip."""
        return {name: clip.frames for name, clip in self.clips.items()}

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """(height, width) of each clip."""
        return {name: clip.size for name, clip in self.clips.items()}


def _cvat(request: Request) -> Iterator[LabelledClip]:
    return cvat.read(request.path, skipped=request.skipped)


def _cvat_images(request: Request) -> Iterator[LabelledClip]:
    return cvat_images.read(
        request.path, skipped=request.skipped, names=request.names, frames=request.lengths
    )


def _label_studio(request: Request) -> Iterator[LabelledClip]:
    return label_studio.read(
        request.path,
        skipped=request.skipped,
        names=request.names,
        frames=request.lengths,
        sizes=request.sizes,
    )


def _yolo(request: Request) -> Iterator[LabelledClip]:
    described = request.path.is_file() or (request.path / "data.yaml").is_file()
    return yolo.read(
        request.path,
        classes=None if described else request.classes,
        skipped=request.skipped,
        names=request.names,
        frames=request.lengths,
        sizes=request.sizes,
    )


def _coco_video(request: Request) -> Iterator[LabelledClip]:
    return coco_video.read(request.path, skipped=request.skipped)


READERS: Mapping[str, Callable[[Request], Iterator[LabelledClip]]] = {
    "cvat": _cvat,
    "cvat-images": _cvat_images,
    "label-studio": _label_studio,
    "yolo": _yolo,
    "coco-video": _coco_video,
}
"""Formats that annotation tools export."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file of answers.

    Attributes:
        round: that was answered; None where no query waits.
        format: that was read.
        labelled: frames that got their labels now.
        empty: those of them without objects.
        skipped: frames that are not asked for again.
        waiting: frames that still have no answer.
        again: frames of the file that were answered before; left as they are.
        not_asked: frames of the file that were not asked for; not imported.
        unknown: class name -> boxes of classes that are not the campaign's; they got label -1.
        others: names in the file that belong to no training clip.
        left_out: what the reader left out: (path, where, why).
    """

    round: int | None
    format: str
    labelled: int
    empty: int
    skipped: int
    waiting: int
    again: int
    not_asked: int
    unknown: Mapping[str, int]
    others: tuple[str, ...]
    left_out: tuple[tuple[Path, str, str], ...]


def import_answers(
    campaign: Campaign,
    clips: Mapping[str, Clip],
    path: Path,
    *,
    format_: str,
    names: Names,
    skipped: Iterable[FrameRef] = (),
    skip_rest: bool = False,
    strict: bool = False,
) -> Imported:
    """Read labels and give them to the frames that wait for them; one transaction.

    A frame that the file lists without boxes is annotated and empty; a frame that it does not list
    goes on waiting. Importing a file again changes nothing.

    Args:
        campaign: locked by the caller.
        clips: the training clips by id.
        path: a file or folder that an annotation tool has exported.
        format_: of ``READERS``, or ``auto``.
        names: how pictures of the query are named.
        skipped: frames that are not labelled and not asked for again.
        skip_rest: skip all frames that the file does not answer.
        strict: refuse a file with classes that are not the campaign's.

    Raises:
        InputError, FormatError: the file cannot be read; says where.
        LabelsMismatch: labels of other clips, or (``strict``) of other classes.
        CampaignError: no query waits, and the file says nothing that is known already.
        UsageError: a skipped frame does not wait.
    """
    kind = detect_format(path) if format_ == "auto" else format_
    request = Request(path, campaign.record.classes, clips, names, Skipped())
    found = match_labels(path, READERS[kind](request), list(clips.values()))
    waiting = campaign.record.waiting()
    answered = [r for r in waiting if r.clip in found.annotations]
    answered = [r for r in answered if known(found.annotations[r.clip], r.index)]
    unknown = _unknown(found, answered, request.classes)
    if strict and unknown:
        raise LabelsMismatch(
            path,
            f"classes that the campaign does not have: {', '.join(unknown)}",
            hint=f"Its classes are: {', '.join(request.classes)}.",
        )
    refused = _refused(skipped, waiting, answered, skip_rest)
    again, not_asked = _others(campaign, found, clips)
    entry = campaign.record.open_round()
    if entry is None and not again:
        raise CampaignError(
            "no query waits for an answer.", hint="Make one with `vidal select --campaign`."
        )
    tables = {name: with_classes(t, request.classes) for name, t in found.annotations.items()}
    kept = [ref for ref in answered if ref not in refused]
    left = 0
    if entry is not None:
        left = answer_round(campaign, GivenOracle(tables), skipped=refused).waiting
    return Imported(
        round=None if entry is None else entry.number,
        format=kind,
        labelled=len(kept),
        empty=sum(not _rows(tables[ref.clip], ref) for ref in kept),
        skipped=len(refused),
        waiting=left,
        again=again,
        not_asked=not_asked,
        unknown=unknown,
        others=found.others,
        left_out=tuple(request.skipped.entries),
    )


def _refused(
    skipped: Iterable[FrameRef],
    waiting: Sequence[FrameRef],
    answered: Sequence[FrameRef],
    rest: bool,
) -> set[FrameRef]:
    refused = set(skipped)
    strange = sorted(refused - set(waiting))
    if strange:
        raise UsageError(
            f"{strange[0]} does not wait for an answer, so it cannot be skipped.",
            hint="`vidal status` tells how many do.",
        )
    return refused | (set(waiting) - set(answered) if rest else set())


def _rows(table: Annotations, ref: FrameRef) -> int:
    rows = table.on(ref.index)
    return int(rows.stop - rows.start)


def _unknown(
    found: LabelMatch, frames: Sequence[FrameRef], classes: tuple[str, ...]
) -> dict[str, int]:
    """Class name -> boxes, of classes that the campaign does not have."""
    counts: Counter[str] = Counter()
    for ref in frames:
        table = found.annotations[ref.clip]
        for label in table.labels[table.on(ref.index)].tolist():
            name = "unknown" if label == UNKNOWN else table.classes[label]
            if name not in classes:
                counts[name] += 1
    return dict(sorted(counts.items()))


def _others(campaign: Campaign, found: LabelMatch, clips: Mapping[str, Clip]) -> tuple[int, int]:
    """Frames of the file that were answered before, and frames that were not asked for."""
    again = not_asked = 0
    for name, table in found.annotations.items():
        states = campaign.record.states(clips[name])
        again += int((table.labelled & states.labelled).sum())
        not_asked += int((table.labelled & ~states.labelled & ~states.queried).sum())
    return again, not_asked


def detect_format(path: Path) -> str:
    """The format of a file that an annotation tool has exported, by its name and first keys.

    Raises:
        InputError: it is not there.
        FormatError: it is none of those in ``READERS``.
    """
    if not path.exists():
        raise InputError(path, "no such file or folder")
    if path.is_dir():
        xml = any(p.name.endswith((".xml", ".xml.gz", ".zip")) for p in path.iterdir())
        return "cvat" if xml else "yolo"
    if path.suffix in (".yaml", ".yml"):
        return "yolo"
    if path.suffix == ".json":
        return _json_format(path)
    if path.name.endswith((".xml", ".xml.gz", ".zip")):
        return _cvat_format(path)
    raise FormatError(path, "", "of no known format", hint=_choices())


def _json_format(path: Path) -> str:
    try:
        value: Any = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise FormatError(path, "", f"not JSON ({error})") from error
    if isinstance(value, list):
        return "label-studio"
    if isinstance(value, dict) and "videos" in value:
        return "coco-video"
    raise FormatError(path, "", "of no known format", hint=_choices())


def _cvat_format(path: Path) -> str:
    """Images or video: the reader of images refuses the other at its first track."""
    try:
        for _ in cvat_images.read(path):
            pass
    except FormatError as error:
        if "CVAT for video" in error.why:
            return "cvat"
        raise
    return "cvat-images"


def _choices() -> str:
    return f"Name it with --format: {', '.join(READERS)}."


def frame_of(text: str, names: Names) -> FrameRef:
    """A frame as a user names it: ``clip@000123``, or the name of its picture.

    Raises:
        UsageError: it is neither.
    """
    clip, sign, index = text.rpartition("@")
    if sign and clip and index.isdecimal():
        return FrameRef(clip, int(index))
    found = names(text)
    if found is None:
        raise UsageError(
            f"{text!r} is not a frame.", hint="Give the name of its picture, or clip@000123."
        )
    return found
