"""What is imported and how, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidal.campaign.class_map import ClassMap
from vidal.evidence.label_files import Names
from vidal.types import FrameRef

EMPTY, SURE, UNCHANGED = "empty", "detector is sure", "unchanged"
CONTEXT, LOST, UNANSWERED = "context", "clip is lost", "not answered"
"""Why a frame goes on waiting."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as an answer.

    Attributes:
        empty_ok: frames without boxes were looked at, also where the format does not say so, or
            where the detector is sure of objects.
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
class Asking:
    """What is imported, and how.

    Attributes:
        path: a file or folder that an annotation tool has exported.
        names: how pictures of the queries are named.
        pictures: frame -> the picture that annotators were given.
        format: of ``READERS`` or of a data set, or ``auto``.
        rules: what counts as an answer.
        classes: which classes of the file are which of the campaign's.
        skipped: frames that are not labelled and not asked for again.
        skip_rest: skip all frames that the file does not answer.
        replace: give frames that were answered before the file's answer.
        dry_run: change nothing, and say what would be changed.
    """

    path: Path
    names: Names
    pictures: Mapping[FrameRef, Path] = field(default_factory=dict)
    format: str = "auto"
    rules: Rules = PLAIN
    classes: ClassMap = field(default_factory=ClassMap)
    skipped: Sequence[FrameRef] = ()
    skip_rest: bool = False
    replace: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file of answers, or would become.

    Attributes:
        round: that was answered; None where no query waits, or for labels of a split.
        format: that was read.
        labelled: frames that got labels now.
        empty: those of them without objects.
        skipped: frames that are not asked for again.
        waiting: frames that still have no answer.
        held: frames that were not taken, and why: ``empty``, ``detector is sure``, ``unchanged``,
            ``context``, ``clip is lost``, ``not answered``. They still wait, or keep the answer
            that they had.
        again: frames of the file that were answered before; left as they are.
        differ: those of them of which the file says something else.
        replaced: frames that were answered before and have another answer now.
        stale: rounds whose models were trained on answers that were replaced.
        not_asked: frames of the file that were not asked for; not imported.
        unknown: class name -> boxes of classes that are not the campaign's; they got label -1.
        others: names in the file that belong to no clip of the split.
        left_out: what the reader left out: (path, where, why).
        pictures: how many pictures were compared with their frames.
        dry_run: whether nothing was changed.
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
    differ: tuple[FrameRef, ...] = ()
    replaced: int = 0
    stale: tuple[int, ...] = ()
    pictures: int = 0
    dry_run: bool = False
