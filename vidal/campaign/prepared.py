"""What a round selects from: all that earlier rounds have not taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vidal.campaign.folder import Campaign
from vidal.campaign.history import history_of
from vidal.campaign.own_tables import stock_campaign, usable
from vidal.errors import CampaignError
from vidal.evidence.given import GivenDetections
from vidal.evidence.labels import LabelMatch
from vidal.evidence.places import EngineMaker
from vidal.selection.plan import Prepared, SelectionPlan
from vidal.types import Annotations, BoolArray, Clip, SkippedClip


def prepare_round(
    campaign: Campaign,
    plan: SelectionPlan,
    clips: Mapping[str, Clip],
    number: int,
    *,
    engines: EngineMaker | None = None,
    lost: Sequence[SkippedClip] = (),
) -> Prepared:
    """What round ``number`` selects from: all that earlier rounds have not taken.

    Args:
        campaign: its record is read.
        plan: its budget is read.
        clips: the training clips by id.
        number: of the round.
        engines: where clips are opened; needed where detections are given.
        lost: training clips that are not there; their frames count as those of the others do.

    Raises:
        CampaignError: nothing is left to select from.
        InputError, UsageError: given detections cannot be used, see ``stock_campaign``.
    """
    notes: tuple[str, ...] = ()
    if isinstance(plan.evidence.detector, GivenDetections):
        assert engines is not None
        made = stock_campaign(campaign, plan.evidence.detector, engines)
        notes = made.check(plan.query.selector.needs, plan.query.strategy)
        lost = (*lost, *made.skipped(clips.values()))
        kept = usable(made, list(clips.values()), plan.evidence.detector)
        clips = {clip.id: clip for clip in kept}
    tables: dict[str, Annotations] = {}
    skipped: dict[str, BoolArray] = {}
    free = 0
    for name, clip in clips.items():
        states = campaign.record.states(clip, before=number)
        tables[name] = _until_now(campaign.record.annotations(name, clip.frames), states.labelled)
        skipped[name] = states.skipped
        free += int((~(states.labelled | states.skipped)).sum())
    if not free:
        raise CampaignError("every frame of the training clips is labelled or skipped.")
    base, budget = campaign.record.counts()["frames"], plan.query.budget
    return Prepared(
        clips=tuple(clips.values()),
        skipped=tuple(lost),
        labels=LabelMatch(tables, ()),
        base=base,
        wanted=min(budget.frames(base), free) if budget.counts_frames else None,
        selectable=free,
        round=number,
        barred=skipped,
        notes=notes,
        history=history_of(campaign, before=number),
    )


def _until_now(table: Annotations, labelled: BoolArray) -> Annotations:
    """Labels of the frames that were labelled before a round."""
    rows = labelled[table.frame]
    names = ("frame", "boxes", "labels", "track", "ignore")
    return replace(table, labelled=labelled, **{n: getattr(table, n)[rows] for n in names})
