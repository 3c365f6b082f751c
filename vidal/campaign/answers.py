"""Labels that people have made, read from a file and given to the frames that wait for them.

Nothing final happens by accident: frames of which the file does not say that somebody annotated
them go on waiting and are named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vidal.campaign.clips import Found, ghost
from vidal.campaign.folder import Campaign
from vidal.campaign.held import hold
from vidal.campaign.loop import answer_round
from vidal.campaign.oracle import GivenOracle, by_clip, known, only
from vidal.campaign.proposals import Proposals
from vidal.errors import CampaignError, LabelsMismatch, UsageError
from vidal.evidence.label_files import READERS, Names, Request, detect_format, pictures_of
from vidal.evidence.labels import LabelMatch, match_labels
from vidal.selection.labelled import class_at, with_classes
from vidal.types import UNKNOWN, Annotations, Clip, FrameRef, IntArray, LabelledClip, Skipped

EMPTY, UNCHANGED, LOST, UNANSWERED = "empty", "unchanged", "clip is lost", "not answered"
"""Why a frame goes on waiting."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as an answer.

    Attributes:
        empty_ok: frames without boxes were looked at, also where the format does not say so.
        unchanged_ok: so were frames with vidal's own pre-annotations as they were.
        unknown_ok: boxes of other classes alone are meant as they are.
        strict: refuse a file with classes that are not the campaign's.
    """

    empty_ok: bool = False
    unchanged_ok: bool = False
    unknown_ok: bool = False
    strict: bool = False


PLAIN = Rules()


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file of answers.

    Attributes:
        round: that was answered; None where no query waits, or for labels of a split.
        format: that was read.
        labelled: frames that got their labels now.
        empty: those of them without objects.
        skipped: frames that are not asked for again.
        waiting: frames that still have no answer.
        held: those frames, and why: ``empty``, ``unchanged``, ``clip is lost``, ``not answered``;
            for labels of a split those that were not taken.
        again: frames of the file that were answered before; left as they are.
        not_asked: frames of the file that were not asked for; not imported.
        unknown: class name -> boxes of classes that are not the campaign's; they got label -1.
        others: names in the file that belong to no clip of the split.
        left_out: what the reader left out: (path, where, why).
    """

    round: int | None
    format: str
    labelled: int
    empty: int
    skipped: int
    waiting: int
    held: tuple[tuple[FrameRef, str], ...]
    again: int
    not_asked: int
    unknown: Mapping[str, int]
    others: tuple[str, ...]
    left_out: tuple[tuple[Path, str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """A file of answers, matched to clips."""

    path: Path
    format: str
    match: LabelMatch
    skipped: Skipped

    def answers(self, ref: FrameRef) -> bool:
        """Whether the file has labels of a frame."""
        table = self.match.annotations.get(ref.clip)
        return table is not None and known(table, ref.index)


def import_answers(
    campaign: Campaign,
    found: Found,
    path: Path,
    *,
    format_: str,
    names: Names,
    skipped: Iterable[FrameRef] = (),
    skip_rest: bool = False,
    rules: Rules = PLAIN,
) -> Imported:
    """Read labels and give them to the frames that wait for them; one transaction.

    A frame without boxes is annotated and empty where the format states that somebody looked
    (``AnswerFormat.states_empty``) or the rules say so; a frame that is not listed, or not read
    completely, goes on waiting. Importing a file again changes nothing.

    Args:
        campaign: locked by the caller.
        found: the training clips; labels of lost ones are not taken.
        path: a file or folder that an annotation tool has exported.
        format_: of ``READERS``, or ``auto``.
        names: how pictures of the query are named.
        skipped: frames that are not labelled and not asked for again.
        skip_rest: skip all frames that the file does not answer.
        rules: what counts as an answer.

    Raises:
        InputError, FormatError: the file cannot be read; says where.
        LabelsMismatch: labels of other clips, of another picture size, or of other classes.
        CampaignError: no query waits, and the file says nothing that is known already.
        UsageError: a skipped frame does not wait, or frames would be skipped that the file answers.
    """
    read = _read(campaign, found, path, format_, names)
    record = campaign.record
    waiting, entry = record.waiting(), record.open_round()
    answered = [ref for ref in waiting if read.answers(ref)]
    proposals = Proposals({})
    if entry is not None and not rules.unchanged_ok:
        proposals = Proposals.read(campaign.query(entry.number) / "preannotations.coco.json")
    held = _held(read, answered, rules, proposals)
    kept = [ref for ref in answered if ref not in held]
    unknown = _unknown(read.match.annotations, kept, record.classes)
    _check_classes(path, unknown, read.match.annotations, kept, record.classes, rules)
    rest = [ref for ref in waiting if ref not in held and ref not in kept]
    refused = _refused(skipped, waiting, rest if skip_rest else [])
    if skip_rest and rest and len(read.skipped):
        raise UsageError(
            f"{path}: {len(read.skipped)} things in it were left out, so frames that it does not"
            " answer may well have been annotated.",
            hint="Skip frames by name, with --skipped.",
        )
    again, not_asked = _others(campaign, read.match, found.clips)
    if entry is None and not again:
        raise CampaignError(
            "no query waits for an answer.", hint="Make one with `vidal select --campaign`."
        )
    tables = _tables(read.match, [ref for ref in kept if ref not in refused], record.classes)
    left = 0
    if entry is not None:
        left = answer_round(campaign, GivenOracle(tables), skipped=refused).waiting
    lost = {name for _, name in read.match.absent}
    for ref in rest:
        held[ref] = LOST if ref.clip in lost else UNANSWERED
    still = [(ref, held[ref]) for ref in waiting if ref in held and ref not in refused]
    return replace(
        _told(read, tables, unknown, still),
        round=None if entry is None else entry.number,
        skipped=len(refused),
        waiting=left,
        again=again,
        not_asked=not_asked,
    )


def import_held(
    campaign: Campaign,
    found: Found,
    path: Path,
    *,
    format_: str,
    names: Names,
    rules: Rules = PLAIN,
) -> Imported:
    """Read labels of clips that are set aside, to judge models by; one transaction.

    Every frame that the file labels is taken, in place of what was known of it. Training never
    sees them.

    Args:
        campaign: locked by the caller.
        found: the clips of the split.
        path, format_, names, rules: as of ``import_answers``.

    Raises:
        InputError, FormatError, LabelsMismatch: as ``import_answers``.
    """
    read = _read(campaign, found, path, format_, names)
    listed = [
        FrameRef(name, int(index))
        for name, table in read.match.annotations.items()
        for index in np.flatnonzero(table.labelled)
    ]
    held = _held(read, listed, rules, Proposals({}))
    kept = [ref for ref in listed if ref not in held]
    classes = campaign.record.classes
    unknown = _unknown(read.match.annotations, kept, classes)
    _check_classes(path, unknown, read.match.annotations, kept, classes, rules)
    tables = _tables(read.match, kept, classes)
    hold(campaign.record, tables)
    return _told(read, tables, unknown, held.items())


def _read(campaign: Campaign, found: Found, path: Path, format_: str, names: Names) -> _Read:
    """The file, its entries matched to clips."""
    kind = detect_format(path) if format_ == "auto" else format_
    ghosts = [ghost(each.entry.id, each.path, each.entry.frames) for each in found.lost]
    beside = pictures_of([*found.clips.values(), *ghosts])

    def named(name: str) -> FrameRef | None:
        return names(name) or beside(name)

    request = Request(path, campaign.record.classes, found.clips, named, Skipped())
    entries: Iterator[LabelledClip] = READERS[kind].read(request)
    match = match_labels(
        path, entries, list(found.clips.values()), absent=ghosts, skipped=request.skipped
    )
    return _Read(path, kind, match, request.skipped)


def _held(
    read: _Read, answered: Sequence[FrameRef], rules: Rules, proposals: Proposals
) -> dict[FrameRef, str]:
    """Frames of which the file does not say that somebody annotated them, and why."""
    stated = rules.empty_ok or READERS[read.format].states_empty
    held = {}
    for ref in answered:
        table = read.match.annotations[ref.clip]
        if not stated and not _rows(table, ref):
            held[ref] = EMPTY
        elif not rules.unchanged_ok and proposals.unchanged(ref, table):
            held[ref] = UNCHANGED
    return held


def _told(
    read: _Read,
    tables: Mapping[str, Annotations],
    unknown: Mapping[str, int],
    held: Iterable[tuple[FrameRef, str]],
) -> Imported:
    """The summary, as far as it is the same for queries and for clips that are set aside."""
    labelled = [
        FrameRef(name, int(at)) for name, t in tables.items() for at in np.flatnonzero(t.labelled)
    ]
    return Imported(
        round=None,
        format=read.format,
        labelled=len(labelled),
        empty=sum(not _rows(tables[ref.clip], ref) for ref in labelled),
        skipped=0,
        waiting=0,
        held=tuple(held),
        again=0,
        not_asked=0,
        unknown=unknown,
        others=read.match.others,
        left_out=tuple(read.skipped.entries),
    )


def _tables(
    match: LabelMatch, kept: Sequence[FrameRef], classes: tuple[str, ...]
) -> dict[str, Annotations]:
    """The labels of these frames alone, in the classes of the campaign."""
    return {
        name: with_classes(only(match.annotations[name], indices), classes)
        for name, indices in by_clip(kept).items()
    }


def _refused(
    skipped: Iterable[FrameRef], waiting: Sequence[FrameRef], rest: Sequence[FrameRef]
) -> set[FrameRef]:
    refused = set(skipped)
    strange = sorted(refused - set(waiting))
    if strange:
        raise UsageError(
            f"{strange[0]} does not wait for an answer, so it cannot be skipped.",
            hint="`vidal status` tells how many do.",
        )
    return refused | set(rest)


def _rows(table: Annotations, ref: FrameRef) -> int:
    rows = table.on(ref.index)
    return int(rows.stop - rows.start)


def _objects(table: Annotations, ref: FrameRef) -> IntArray:
    """Labels of the objects on a frame; regions that are to be ignored are none."""
    rows = table.on(ref.index)
    return table.labels[rows][~table.ignore[rows]]


def _unknown(
    tables: Mapping[str, Annotations], frames: Sequence[FrameRef], classes: tuple[str, ...]
) -> dict[str, int]:
    """Class name -> boxes, of classes that the campaign does not have; ignored regions are none."""
    counts: Counter[str] = Counter()
    for ref in frames:
        table = tables[ref.clip]
        for label in _objects(table, ref).tolist():
            name = "unknown" if label == UNKNOWN else table.classes[label]
            if label == UNKNOWN or class_at(name, classes) == UNKNOWN:
                counts[name] += 1
    return dict(sorted(counts.items()))


def _check_classes(
    path: Path,
    unknown: Mapping[str, int],
    tables: Mapping[str, Annotations],
    kept: Sequence[FrameRef],
    classes: tuple[str, ...],
    rules: Rules,
) -> None:
    """Refuse other classes where that was asked for, and files of other classes alone.

    A file without one box of the campaign's classes is one whose classes are called otherwise, far
    more often than one that was meant.
    """
    own = f"Its classes are: {', '.join(classes)}."
    if rules.strict and unknown:
        why = f"classes that the campaign does not have: {', '.join(unknown)}"
        raise LabelsMismatch(path, why, hint=own)
    boxes = sum(len(_objects(tables[ref.clip], ref)) for ref in kept)
    if boxes and not rules.unknown_ok and sum(unknown.values()) == boxes:
        raise LabelsMismatch(
            path,
            f"none of its {boxes} boxes is of a class of the campaign ({', '.join(unknown)})",
            hint=f"{own} --unknown-ok takes them as unknown objects.",
        )


def _others(campaign: Campaign, found: LabelMatch, clips: Mapping[str, Clip]) -> tuple[int, int]:
    """Frames of the file that were answered before, and frames that were not asked for."""
    again = not_asked = 0
    for name, table in found.annotations.items():
        states = campaign.record.states(clips[name])
        again += int((table.labelled & states.labelled).sum())
        not_asked += int((table.labelled & ~states.labelled & ~states.queried).sum())
    return again, not_asked


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
