"""Labels that people have made, read from a file and given to the frames that wait for them.

Nothing final happens by accident: frames of which the file does not say that somebody annotated
them go on waiting and are named; frames that were answered before keep their answer unless it is to
be replaced, and then the former one stays in the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from vidal.campaign.answer_files import AnswerFile, count_rows, read_answers, source_of
from vidal.campaign.asking import Asking, Imported
from vidal.campaign.clips import Found
from vidal.campaign.folder import Campaign
from vidal.campaign.held import held_changes, hold
from vidal.campaign.planned import (
    checked_classes,
    compare_pictures,
    held_back,
    plan_answers,
)
from vidal.campaign.proposals import Proposals
from vidal.campaign.versions import give, stale_after
from vidal.errors import UsageError
from vidal.evidence.label_files import Names
from vidal.types import Annotations, FrameRef


def import_answers(campaign: Campaign, found: Found, asking: Asking) -> Imported:
    """Read labels and give them to the frames that wait for them; one transaction.

    A frame without boxes is annotated and empty where the format states that somebody looked
    (``AnswerFormat.states_empty``) and no detector is sure of an object there, or the rules say so;
    a frame that is not listed, or not read completely, goes on waiting. Importing a file again
    changes nothing.

    Args:
        campaign: locked by the caller, unless it is a dry run.
        found: the training clips; labels of lost ones are not taken.
        asking: the file, and how it is taken.

    Raises:
        InputError, FormatError: the file cannot be read; says where.
        LabelsMismatch: labels of other clips, of another picture size, of other classes, or with
            pictures of other frames.
        CampaignError: no query waits, and the file says nothing that is known already.
        UsageError: a skipped frame does not wait, frames would be skipped that the file answers, or
            the class map names what is not there.
    """
    record = campaign.record
    read = _read(campaign, found, asking)
    plan, entry = plan_answers(campaign, found, asking, read), record.open_round()
    told = replace(
        _told(read, plan.tables, plan.unknown, plan.held),
        round=None if entry is None else entry.number,
        skipped=len(plan.skipped),
        waiting=plan.waiting,
        again=plan.again,
        differ=plan.differ,
        replaced=len(plan.replaced),
        stale=stale_after(record, plan.replaced),
        not_asked=plan.not_asked,
        pictures=plan.pictures,
        dry_run=asking.dry_run,
    )
    if not asking.dry_run and (told.labelled or told.skipped):
        source = source_of(read, asking.path, "train")
        give(record, plan.tables, skipped=plan.skipped, replace=plan.replaced, source=source)
    return told


def import_held(campaign: Campaign, found: Found, asking: Asking, split: str) -> Imported:
    """Read labels of clips that are set aside, to judge models by; one transaction.

    Every frame that the file labels is taken, in place of what was known of it. Training never
    sees them.

    Args:
        campaign: locked by the caller, unless it is a dry run.
        found: the clips of the split.
        asking: the file, and how it is taken.
        split: ``test`` or ``validation``.

    Raises:
        InputError, FormatError, LabelsMismatch, UsageError: as ``import_answers``.
    """
    read = _read(campaign, found, asking)
    listed = [
        ref
        for name, table in read.match.annotations.items()
        for index in np.flatnonzero(table.labelled)
        if read.answers(ref := FrameRef(name, int(index)))
    ]
    compared = compare_pictures(asking, read, set(listed), found)
    held = held_back(read, listed, asking.rules, Proposals({}))
    kept = [ref for ref in listed if ref not in held]
    unknown = checked_classes(campaign, read, kept, kept, asking.rules)
    tables = read.tables(kept, campaign.record.classes)
    new, other = held_changes(campaign.record, tables)
    if not asking.dry_run and (new or other):
        hold(campaign.record, tables, source=source_of(read, asking.path, split))
    return replace(
        _told(read, read.tables([*new, *other], campaign.record.classes), unknown, held.items()),
        again=len(kept) - len(new) - len(other),
        replaced=len(other),
        pictures=compared,
        dry_run=asking.dry_run,
    )


def _read(campaign: Campaign, found: Found, asking: Asking) -> AnswerFile:
    return read_answers(
        asking.path,
        found,
        format_=asking.format,
        names=asking.names,
        class_map=asking.classes,
        classes=campaign.record.classes,
    )


def _told(
    read: AnswerFile,
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
        empty=sum(not count_rows(tables[ref.clip], ref) for ref in labelled),
        skipped=0,
        waiting=0,
        held=tuple(held),
        again=0,
        not_asked=0,
        unknown=unknown,
        others=read.match.others,
        left_out=tuple(read.skipped.entries),
    )


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
