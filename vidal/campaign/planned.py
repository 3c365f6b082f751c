"""Which frames a file of answers answers, replaces, leaves waiting or skips: decided, not done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vidal.campaign.answer_files import AnswerFile, check_classes, count_rows, unknown_boxes
from vidal.campaign.asking import CONTEXT, EMPTY, LOST, SURE, UNANSWERED, UNCHANGED, Asking, Rules
from vidal.campaign.clips import Found
from vidal.campaign.entries import FrameStates
from vidal.campaign.folder import Campaign
from vidal.campaign.pictures import Pictures, check_pictures
from vidal.campaign.proposals import Proposals
from vidal.campaign.same import same_answer
from vidal.errors import CampaignError, UsageError
from vidal.types import Annotations, FrameRef


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What an import does.

    Attributes:
        tables: clip id -> labels, in the campaign's classes, of frames that get them.
        skipped: frames that are not labelled, and not asked for again.
        replaced: frames that were answered before and get another answer.
        held: frames that are not taken, in the order of the query, and why.
        waiting: how many frames wait afterwards.
        again: how many frames of the file were answered before, and stay as they are.
        differ: those of them of which the file says something else.
        not_asked: how many frames of the file nobody asked for.
        unknown: class name -> boxes of other classes.
        pictures: how many were compared with their frames.
    """

    tables: Mapping[str, Annotations]
    skipped: frozenset[FrameRef]
    replaced: tuple[FrameRef, ...]
    held: tuple[tuple[FrameRef, str], ...]
    waiting: int
    again: int
    differ: tuple[FrameRef, ...]
    not_asked: int
    unknown: Mapping[str, int]
    pictures: int


def plan_answers(campaign: Campaign, found: Found, asking: Asking, read: AnswerFile) -> Plan:
    """Decide what an import of labels of training clips does; nothing is written.

    Args:
        campaign: open.
        found: the training clips.
        asking: how the file is taken.
        read: the file.

    Raises:
        LabelsMismatch, CampaignError, UsageError: see ``vidal.campaign.answers.import_answers``.
    """
    record = _Record(campaign, found)
    waiting = campaign.record.waiting()
    answered = [ref for ref in waiting if read.answers(ref)]
    old, not_asked = _before(record, read)
    differ = [ref for ref in old if record.differs(read, ref)]
    renewed = differ if asking.replace else []
    compared = compare_pictures(asking, read, {*answered, *old, *read.refused}, found)
    held = _held_back(campaign, read, waiting, [*answered, *renewed], asking.rules)
    skipped = _skipped(asking, read, record, waiting, held)
    other = [ref for ref in renewed if ref not in held]
    other += sorted(skipped - set(waiting) - set(other))
    if campaign.record.open_round() is None and not (old or other):
        raise CampaignError(
            "no query waits for an answer.", hint="Make one with `vidal select --campaign`."
        )
    kept = [
        r for r in [*answered, *other] if read.answers(r) and r not in held and r not in skipped
    ]
    said = [*kept, *(ref for ref in old if read.answers(ref) and ref not in set(kept))]
    unknown = checked_classes(campaign, read, kept, said, asking.rules)
    done, lost = {*kept, *skipped}, {name for _, name in read.match.absent}
    for ref in waiting:
        if ref not in done:
            held.setdefault(ref, LOST if ref.clip in lost else UNANSWERED)
    order = dict.fromkeys([*waiting, *renewed])
    return Plan(
        tables=read.tables(kept, campaign.record.classes),
        skipped=frozenset(skipped),
        replaced=tuple(other),
        held=tuple((ref, held[ref]) for ref in order if ref in held and ref not in skipped),
        waiting=sum(ref not in done for ref in waiting),
        again=len(set(old) - set(other)),
        differ=tuple(ref for ref in differ if ref not in set(other)),
        not_asked=not_asked,
        unknown=unknown,
        pictures=compared,
    )


@dataclass(slots=True)
class _Record:
    """What is recorded of the clips, each read once."""

    campaign: Campaign
    found: Found
    _states: dict[str, FrameStates] = field(default_factory=dict)
    _tables: dict[str, Annotations] = field(default_factory=dict)

    def states(self, name: str) -> FrameStates | None:
        """Of a clip; None where it is lost."""
        if name not in self._states:
            if name not in self.found.clips:
                return None
            self._states[name] = self.campaign.record.states(self.found.clips[name])
        return self._states[name]

    def is_skipped(self, ref: FrameRef) -> bool:
        """Whether a frame is not to be annotated."""
        states = self.states(ref.clip)
        return states is not None and bool(states.skipped[ref.index])

    def differs(self, read: AnswerFile, ref: FrameRef) -> bool:
        """Whether a file says of an answered frame what the record does not."""
        if not read.answers(ref):
            return not self.is_skipped(ref)
        if self.is_skipped(ref):
            return True
        name, record = ref.clip, self.campaign.record
        if name not in self._tables:
            self._tables[name] = record.annotations(name, self.found.clips[name].frames)
        said = read.tables([ref], record.classes)
        return not same_answer(self._tables[name], said[name], ref.index)


def _before(record: _Record, read: AnswerFile) -> tuple[list[FrameRef], int]:
    """Frames of the file that were answered before, and how many were not asked for."""
    old: list[FrameRef] = []
    not_asked = 0
    for name, table in read.match.annotations.items():
        states = record.states(name)
        assert states is not None
        said = table.labelled.copy()
        said[[ref.index for ref in read.refused if ref.clip == name]] = True
        inside = [r.index for r in read.frames.context if r.clip == name and r.index < len(said)]
        said[inside] = False
        done = states.labelled | states.skipped
        old += [FrameRef(name, int(at)) for at in np.flatnonzero(said & done)]
        not_asked += int((table.labelled & ~done & ~states.queried).sum())
    return old, not_asked


def _held_back(
    campaign: Campaign,
    read: AnswerFile,
    waiting: Sequence[FrameRef],
    answered: Sequence[FrameRef],
    rules: Rules,
) -> dict[FrameRef, str]:
    """Frames that the file has labels of and that are not taken, and why."""
    held = held_back(read, answered, rules, _proposals(campaign, answered))
    for ref in waiting:
        table = read.match.annotations.get(ref.clip)
        if ref in read.frames.context and table is not None and table.labelled[ref.index]:
            held[ref] = CONTEXT
    return held


def _skipped(
    asking: Asking,
    read: AnswerFile,
    record: _Record,
    waiting: Sequence[FrameRef],
    held: Mapping[FrameRef, str],
) -> set[FrameRef]:
    """Frames that are skipped now: by name, by the file, and with ``skip_rest`` the others."""
    known = set(waiting)
    if asking.replace:
        rounds = record.campaign.record.rounds()
        known |= {r for each in rounds for r in record.campaign.record.queried_in(each.number)}
    strange = sorted(set(asking.skipped) - known)
    if strange:
        raise UsageError(
            f"{strange[0]} does not wait for an answer, so it cannot be skipped.",
            hint="`vidal status` tells how many do.",
        )
    named = {ref for ref in asking.skipped if ref in set(waiting) or not record.is_skipped(ref)}
    found = named | {ref for ref in read.refused if ref in set(waiting)}
    if asking.replace:
        found |= {r for r in read.refused if r in known and not record.is_skipped(r)}
    rest = [r for r in waiting if not (r in held or r in found or read.answers(r))]
    if not asking.skip_rest or not rest:
        return found
    if len(read.skipped):
        raise UsageError(
            f"{asking.path}: {len(read.skipped)} things in it were left out, so frames that it does"
            " not answer may well have been annotated.",
            hint="Skip frames by name, with --skipped.",
        )
    return found | set(rest)


def _proposals(campaign: Campaign, frames: Iterable[FrameRef]) -> Proposals:
    """What vidal proposed for these frames, in whatever round."""
    wanted, found = set(frames), Proposals({})
    for entry in campaign.record.rounds():
        if wanted & set(campaign.record.queried_in(entry.number)):
            found |= Proposals.read(campaign.query(entry.number) / "preannotations.coco.json")
    return found


# -- for clips that are set aside, too -------------------------------------------------------


def held_back(
    read: AnswerFile, answered: Iterable[FrameRef], rules: Rules, proposals: Proposals
) -> dict[FrameRef, str]:
    """Frames of which the file does not say that somebody annotated them, and why."""
    held = {}
    for ref in answered:
        if not read.answers(ref):
            continue  # it says that they are skipped
        table = read.match.annotations[ref.clip]
        if not rules.empty_ok and not count_rows(table, ref):
            if proposals.sure(ref):
                held[ref] = SURE
            elif not read.states_empty:
                held[ref] = EMPTY
        elif not rules.unchanged_ok and proposals.unchanged(ref, table):
            held[ref] = UNCHANGED
    return held


def compare_pictures(asking: Asking, read: AnswerFile, frames: set[FrameRef], found: Found) -> int:
    """Compare the pictures beside answers with their frames; see ``check_pictures``."""
    own = Pictures(asking.pictures, found.clips)
    return check_pictures(asking.path, read.names, frames, own, read.skipped)


def checked_classes(
    campaign: Campaign,
    read: AnswerFile,
    kept: Sequence[FrameRef],
    said: Sequence[FrameRef],
    rules: Rules,
) -> dict[str, int]:
    """Boxes of other classes on ``kept`` frames, by name, once they are known to be meant."""
    classes = campaign.record.classes
    unknown = unknown_boxes(read.match.annotations, kept, classes)
    check_classes(read, unknown, said, classes, strict=rules.strict, unknown_ok=rules.unknown_ok)
    return unknown
