"""A file of answers: read, its classes named as the campaign names them, matched to the clips."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidal.campaign.class_map import NOBODYS, ClassMap, is_nobodys, suggestion
from vidal.campaign.clips import Found, ghost
from vidal.campaign.frame_maps import FrameMap, read_frame_maps
from vidal.campaign.oracle import by_clip, known, only
from vidal.campaign.versions import Source
from vidal.errors import FormatError, LabelsMismatch
from vidal.evidence.label_files import (
    READERS,
    Names,
    Request,
    detect_format,
    pictures_of,
    reader,
)
from vidal.evidence.labels import LabelMatch, match_labels
from vidal.formats._files import read_raw, visible
from vidal.formats._relabel import Relabel
from vidal.formats._tree import is_folder
from vidal.selection.labelled import class_at, with_classes
from vidal.types import UNKNOWN, Annotations, FrameRef, IntArray, LabelledClip, Skipped


@dataclass(frozen=True, slots=True, eq=False)
class AnswerFile:
    """A file of answers, matched to clips.

    Attributes:
        path: of it.
        format: that it was read as.
        match: its labels by clip, under the names that the file gives to classes.
        skipped: what was left out.
        names: from the name of a picture to its frame.
        frames: of the maps of vidal's exports that lie with it.
        relabel: what it says of attributes.
        refused: frames of which it says that they are not to be annotated.
    """

    path: Path
    format: str
    match: LabelMatch
    skipped: Skipped
    names: Names
    frames: FrameMap
    relabel: Relabel
    refused: frozenset[FrameRef]

    @property
    def states_empty(self) -> bool:
        """Whether a frame without boxes was looked at by somebody."""
        return self.format in READERS and READERS[self.format].states_empty

    def answers(self, ref: FrameRef) -> bool:
        """Whether it has labels of a frame."""
        table = self.match.annotations.get(ref.clip)
        return table is not None and ref not in self.frames.context and known(table, ref.index)

    def tables(
        self, frames: Iterable[FrameRef], classes: tuple[str, ...]
    ) -> dict[str, Annotations]:
        """The labels of these frames alone, in the classes of the campaign."""
        return {
            name: with_classes(only(self.match.annotations[name], indices), classes)
            for name, indices in by_clip(list(frames)).items()
        }


def read_answers(
    path: Path,
    found: Found,
    *,
    format_: str,
    names: Names,
    class_map: ClassMap,
    classes: tuple[str, ...],
) -> AnswerFile:
    """Read a file of answers and match its entries to clips.

    Args:
        path: a file or folder.
        found: the clips; of lost ones nothing is taken.
        format_: a name of ``READERS`` or of a data set's format, or ``auto``.
        names: how pictures of the queries are named.
        class_map: which classes of the file are which of the campaign's.
        classes: of the campaign.

    Raises:
        InputError, FormatError, LabelsMismatch: see ``import_answers``.
        UsageError: the map names what the file does not have.
    """
    kind = detect_format(path) if format_ == "auto" else format_
    ghosts = [ghost(each.entry.id, each.path, each.entry.frames) for each in found.lost]
    beside = pictures_of([*found.clips.values(), *ghosts])
    frame_map, relabel, skipped = read_frame_maps(path), class_map.relabel(), Skipped()

    def named(name: str) -> FrameRef | None:
        stated, spelled = frame_map.find(name), names(name) or beside(name)
        if stated is not None and spelled is not None and stated != spelled:
            why = f"{name!r:.80} is the picture of {stated}, and is named for {spelled}"
            raise FormatError(path, "frame map", why)
        return stated or spelled

    request = Request(path, classes, found.clips, named, skipped, relabel)
    met: set[str] = set()
    lengths: dict[str, int] = {}
    refused: list[tuple[str, tuple[int, ...]]] = []

    def entries() -> Iterator[LabelledClip]:
        read = (
            READERS[kind].read(request) if kind in READERS else reader(kind)(path, skipped=skipped)
        )
        for entry in read:
            met.update(entry.annotations.classes)
            refused.append((entry.name, entry.refused))
            lengths[entry.name] = entry.annotations.frames
            yield entry

    match = match_labels(
        path,
        class_map.renamed(entries()),
        list(found.clips.values()),
        absent=ghosts,
        skipped=skipped,
    )
    if kind == "mot":
        _check_whole(path, match, lengths, found)
    class_map.check_used(path, met, relabel)
    return AnswerFile(
        path, kind, match, skipped, named, frame_map, relabel, _refused(match, refused)
    )


def _check_whole(path: Path, match: LabelMatch, lengths: Mapping[str, int], found: Found) -> None:
    """Refuse sequences of chosen frames: MOT numbers them anew, and does not say which they are."""
    for name, clip in match.entries.items():
        frames = found.clips[clip].frames if clip in found.clips else lengths[name]
        if lengths[name] != frames:
            raise LabelsMismatch(
                path,
                f"{name} has {lengths[name]} frames and its clip {frames}: MOT does not say which",
                hint="Export as CVAT, COCO, YOLO or Label Studio.",
            )


def _refused(
    match: LabelMatch, refused: Iterable[tuple[str, tuple[int, ...]]]
) -> frozenset[FrameRef]:
    """Frames that the file calls not to be annotated."""
    clips = match.entries
    return frozenset(
        FrameRef(clips[name], index)
        for name, indices in refused
        if name in clips
        for index in indices
        if index < match.annotations[clips[name]].frames
    )


def source_of(file: AnswerFile, given: Path, split: str) -> Source:
    """The file as the record names it, with the digest of its content.

    Raises:
        InputError: it cannot be read any more.
    """
    return Source(str(given), content_digest(file.path), file.format, split)


def content_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all that is in a folder."""
    if not is_folder(path):
        return _sha256(path)
    total = hashlib.sha256()
    for each in visible(path, deep=True):
        name = each.relative_to(path).as_posix()
        total.update(f"{_sha256(each)}  {name}\n".encode(errors="surrogateescape"))
    return total.hexdigest()


def _sha256(path: Path) -> str:
    total = hashlib.sha256()
    for chunk in read_raw(path):
        total.update(chunk)
    return total.hexdigest()


# -- what tables say -------------------------------------------------------------------------


def count_rows(table: Annotations, ref: FrameRef) -> int:
    """Boxes on a frame, regions that are ignored included."""
    rows = table.on(ref.index)
    return int(rows.stop - rows.start)


def unknown_boxes(
    tables: Mapping[str, Annotations], frames: Sequence[FrameRef], classes: tuple[str, ...]
) -> dict[str, int]:
    """Class name -> boxes, of classes that the campaign does not have; ignored regions are none."""
    counts: Counter[str] = Counter()
    for ref in frames:
        table = tables[ref.clip]
        for label in _objects(table, ref).tolist():
            name = NOBODYS if label == UNKNOWN else table.classes[label]
            if label == UNKNOWN or class_at(name, classes) == UNKNOWN:
                counts[name] += 1
    return dict(sorted(counts.items()))


def check_classes(
    file: AnswerFile,
    unknown: Mapping[str, int],
    said: Sequence[FrameRef],
    classes: tuple[str, ...],
    *,
    strict: bool,
    unknown_ok: bool,
) -> None:
    """Refuse other classes where that was asked for, and files of other classes alone.

    A file without one box of the campaign's classes is one whose classes are called otherwise, far
    more often than one that was meant. What it calls ``unknown`` is meant so: vidal's own exports
    have such a label.

    Args:
        file: it.
        unknown: class name -> boxes of other classes, on frames that would be taken.
        said: all asked frames that it has labels of.
        classes: of the campaign.
        strict, unknown_ok: see ``Rules``.

    Raises:
        LabelsMismatch: names the classes, and the way out.
    """
    own = f"Its classes are: {', '.join(classes)}."
    strange = [name for name in unknown if not is_nobodys(name)]
    if strict and strange:
        why = f"classes that the campaign does not have: {', '.join(strange)}"
        raise LabelsMismatch(file.path, why, hint=own)
    tables = file.match.annotations
    others = unknown_boxes(tables, said, classes)
    boxes = sum(len(_objects(tables[ref.clip], ref)) for ref in said)
    meant = all(map(is_nobodys, others))
    if not meant and not unknown_ok and sum(others.values()) == boxes:
        rule = suggestion(file.relabel, classes)
        way = f"--map {rule} takes the class from that attribute" if rule else _way(others, classes)
        raise LabelsMismatch(
            file.path,
            f"none of its {boxes} boxes is of a class of the campaign ({', '.join(others)})",
            hint=f"{own} {way}; --unknown-ok takes them as unknown objects.",
        )


def _way(others: Mapping[str, int], classes: Sequence[str]) -> str:
    most = max(sorted(n for n in others if not is_nobodys(n)), key=lambda name: others[name])
    return f"--map {most}={classes[0]} says which one is which"


def _objects(table: Annotations, ref: FrameRef) -> IntArray:
    """Labels of the objects on a frame; regions that are to be ignored are none."""
    rows = table.on(ref.index)
    return table.labels[rows][~table.ignore[rows]]
