"""A round told again with what its annotators found: labels, errors, how right its words were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vidal.campaign.folder import Campaign
from vidal.campaign.judged import judge_rounds
from vidal.campaign.loop import retell_round
from vidal.campaign.oracle import by_clip, only
from vidal.evidence.labels import labelled_objects
from vidal.evidence.places import EngineMaker
from vidal.evidence.watch import Watcher
from vidal.selection.draws import LEARN, step_rng
from vidal.selection.forecast import Forecast, forecast
from vidal.selection.labelled import with_classes
from vidal.selection.plan import SelectionPlan
from vidal.selection.quality import judge_query
from vidal.selection.result import SelectionResult
from vidal.types import Annotations, Clip, SkippedClip


def retell_outcome(
    campaign: Campaign,
    plan: SelectionPlan,
    clips: Mapping[str, Clip],
    number: int,
    *,
    engines: EngineMaker,
    watcher: Watcher,
    lost: Sequence[SkippedClip] = (),
) -> SelectionResult:
    """As ``retell_round``, with ``labels_answered``, ``outcome`` and ``worth`` of the answers.

    Raises:
        CampaignError: no frame of that round was selected by a strategy.
    """
    told = retell_round(campaign, plan, clips, number, engines=engines, watcher=watcher, lost=lost)
    answers = _answers(campaign, told)
    if not answers:
        return told
    worth = None
    if told.classes:
        truth = {name: with_classes(table, told.classes) for name, table in answers.items()}
        worth = judge_query(told.query, told.load, truth, threshold=told.threshold)
    return replace(
        told,
        labels_answered=labelled_objects(answers.values()),
        frames_answered=sum(int(table.labelled.sum()) for table in answers.values()),
        outcome=_outcome(campaign, plan, clips, number, engines=engines, watcher=watcher),
        worth=worth,
    )


def _answers(campaign: Campaign, told: SelectionResult) -> dict[str, Annotations]:
    """Clip id -> labels of this round's frames; of clips with some."""
    found = {}
    for name, indices in by_clip(told.query.frames).items():
        table = only(campaign.record.annotations(name, told.clips[name].frames), indices)
        if table.labelled.any():
            found[name] = table
    return found


def _outcome(
    campaign: Campaign,
    plan: SelectionPlan,
    clips: Mapping[str, Clip],
    number: int,
    *,
    engines: EngineMaker,
    watcher: Watcher,
) -> Forecast | None:
    """The errors that earlier rounds let expect of this one's frames, and those that were found."""
    options, record = plan.evidence.expected, campaign.record
    answered = {e.number for e in record.rounds() if e.state in ("answered", "trained")}
    # Without an earlier answer nothing was expected of this round by what was learned.
    if options is None or number not in answered or min(answered) == number:
        return None
    rounds = judge_rounds(
        campaign, plan.evidence, clips, before=number + 1, engines=engines, watcher=watcher
    )
    if len(rounds) < 2 or rounds[-1].number != number:
        return None
    rng = step_rng(campaign.config.seed, number, LEARN)
    return forecast(rounds[:-1], rounds[-1], rng, options)


def objects_by_round(campaign: Campaign) -> dict[int, dict[str, int]]:
    """Round -> class -> annotated objects, unknown ones under ``""``; ignored regions are none."""
    classes = campaign.record.classes
    found: dict[int, dict[str, int]] = {}
    for number, label, count in campaign.record.db.execute(
        "SELECT frames.round, boxes.label, count(*) FROM boxes"
        " JOIN frames ON frames.clip = boxes.clip AND frames.frame = boxes.frame"
        " WHERE boxes.ignored = 0 GROUP BY frames.round, boxes.label"
    ):
        name = classes[label] if label >= 0 else ""
        found.setdefault(number, {})[name] = int(count)
    return found
