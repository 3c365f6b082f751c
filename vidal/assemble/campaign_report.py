"""What the report of a campaign tells, from its record and the models that it has trained."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from vidal.assemble.campaign import engines_of
from vidal.assemble.evaluation import round_forecasts
from vidal.assemble.own_evaluation import UNCHECKED, judge_with, refuse_missing
from vidal.assemble.truth import set_aside
from vidal.campaign.accuracy import refuse_leak
from vidal.campaign.costs import RoundCost, round_costs
from vidal.campaign.folder import Campaign
from vidal.campaign.outcome import objects_by_round
from vidal.campaign.own import is_own, models
from vidal.campaign.status import describe
from vidal.campaign.training import detector_spec
from vidal.errors import InputError, UsageError
from vidal.evaluate.clip_scores import ClipScores
from vidal.evaluate.intervals import Interval
from vidal.evaluate.outlook import Outlook, outlook
from vidal.evidence.watch import Watcher
from vidal.report.campaign import CampaignStory, Point, RoundStory, write_campaign_report
from vidal.selection.forecast import Forecast
from vidal.selection.notes import versions
from vidal.types import Annotations, Clip, ScoreArray
from vidal.words import counted

_DRAWS = 1000
_LEAST_CLIPS = 3
"""Test clips that an interval needs: of two there are three ways to draw them."""
_STEP = 0.05


def tell_campaign(
    campaign: Campaign,
    *,
    out: Path,
    target: float | None = None,
    quick: bool = False,
    watcher: Watcher,
) -> CampaignStory:
    """Gather what the report of a campaign tells.

    Args:
        campaign: open.
        out: the folder of the report: links to the reports of rounds count from it.
        target: average precision that the outlook is to; None = the next 0.05 above the newest.
        quick: run no model: no learning curve, and no errors that were expected of rounds.
        watcher: told how far it is.

    Raises:
        UsageError: a target outside (0, 1].
    """
    if target is not None and not 0 < target <= 1:
        raise UsageError(f"target {target:g}: outside 0..1.", hint="AP50 is at most 1.")
    state = describe(campaign)
    lost = campaign.found(engines_of(campaign.config)).skipped
    judged = _Judged()
    told: tuple[Forecast, ...] = ()
    notes: list[str] = []
    if quick:
        notes.append("No model was run for this page (--quick): it has no learning curve.")
    else:
        judged = _judge(campaign, watcher)
        notes += judged.notes
        if lost:
            notes.append(
                f"What was expected of rounds is not told: {lost[0].path}: {lost[0].reason}."
            )
        else:
            told = round_forecasts(campaign, watcher)
    return CampaignStory(
        name=campaign.config.name,
        classes=campaign.record.classes,
        clips=state["clips"],
        frames=state["frames"],
        rounds=_rounds(campaign, out),
        cost=campaign.config.selection.cost,
        curve=judged.curve,
        test=judged.words,
        outlook=judged.outlook(target, campaign.config.seed),
        forecasts=told,
        next=(state["next"]["command"], state["next"]["why"]),
        skipped=tuple(lost),
        notes=tuple(notes),
        settings=campaign.config.model_dump(mode="json"),
        versions=versions(),
    )


def report_campaign(
    campaign: Campaign,
    *,
    out: Path | None = None,
    target: float | None = None,
    quick: bool = False,
    watcher: Watcher,
) -> tuple[CampaignStory, dict[str, Path]]:
    """Tell a campaign, and write its report; the arguments are those of ``tell_campaign``.

    Raises:
        OutputError: it cannot be written, or would replace a file that vidal did not write.
    """
    place = campaign.folder if out is None else out
    story = tell_campaign(campaign, out=place, target=target, quick=quick, watcher=watcher)
    return story, write_campaign_report(story, place)


class _Judged:
    """Models on the test clips."""

    def __init__(
        self,
        curve: Sequence[Point] = (),
        draws: ScoreArray | None = None,
        words: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        self.curve, self.draws = tuple(curve), draws
        self.words, self.notes = words, tuple(notes)

    def outlook(self, target: float | None, seed: int) -> Outlook | None:
        """To a target; None where no model was judged."""
        known = [each.ap.value for each in self.curve if np.isfinite(each.ap.value)]
        if not known:
            return None
        if target is None:
            target = min(1.0, round((np.floor(known[-1] / _STEP + 1e-9) + 1) * _STEP, 10))
        labelled = np.array([each.labelled for each in self.curve], np.float64)
        values = np.array([each.ap.value for each in self.curve])
        return outlook(target, labelled, values, self.draws, np.random.default_rng(seed))


def _judge(campaign: Campaign, watcher: Watcher) -> _Judged:
    """Every model that is there, on the same test clips; without any, why there is no curve."""
    trained = [each.number for each in campaign.record.rounds() if each.model is not None]
    numbers = list(models(campaign)) if is_own(campaign) else trained
    if not numbers:
        return _Judged(notes=("No model is trained yet: there is no learning curve.",))
    try:
        clips, truth, notes = set_aside(campaign, "test", engines_of(campaign.config))
    except (UsageError, InputError) as error:
        hint = f" {error.hint}" if error.hint else ""
        return _Judged(notes=(f"No learning curve: {error.message}{hint}",))
    told, scores, kept = list(notes), list[ClipScores](), list[int | None]()
    if is_own(campaign):
        told.append(UNCHECKED)
    for number in numbers:
        try:
            scores.append(_scores(campaign, number, clips, truth, watcher))
        except (UsageError, InputError) as error:  # gone, or has seen the test clips
            whose = "The first model" if number is None else f"The model of round {number}"
            told.append(f"{whose} is not in the curve: {error.message}")
            continue
        kept.append(number)
    if not scores:
        return _Judged(notes=told)
    names = scores[0].clips
    draws = _draw(scores, campaign.config.seed) if len(names) >= _LEAST_CLIPS else None
    if draws is None:
        told.append(
            f"An interval needs {_LEAST_CLIPS} test clips with labels; there"
            f" {'is one' if len(names) == 1 else 'are two'}."
        )
    through = _labelled_through(campaign)
    curve = [
        Point(number, 0 if number is None else through[number], _interval(each, draws, at))
        for at, (number, each) in enumerate(zip(kept, scores, strict=True))
    ]
    frames = sum(int(truth[name].labelled.sum()) for name in names)
    words = f"{counted(len(names), 'test clip')}, {counted(frames, 'labelled frame')}"
    return _Judged(curve, draws, words, told)


def _scores(
    campaign: Campaign,
    number: int | None,
    clips: Sequence[Clip],
    truth: Mapping[str, Annotations],
    watcher: Watcher,
) -> ClipScores:
    """Of the model of a round, or of the detections that stand for it; None = before any."""
    engines = engines_of(campaign.config)
    if is_own(campaign):
        given = models(campaign)[number]
        refuse_missing(campaign, given, clips, engines)
        return judge_with(campaign, given, clips, truth, engines, watcher, coco=False).scores
    entry = next(each for each in campaign.record.rounds() if each.number == number)
    model = campaign.folder / str(entry.model)
    if not model.is_file():
        raise UsageError("it is not there.")
    spec = detector_spec(campaign.config, model=model)
    refuse_leak(spec.load().notes, clips, str(entry.model))
    return judge_with(campaign, spec, clips, truth, engines, watcher, coco=False).scores


def _draw(scores: Sequence[ClipScores], seed: int) -> ScoreArray:
    """(D, R) AP50 of every model on the same draws of the test clips."""
    clips = len(scores[0].clips)
    weights = np.random.default_rng(seed).multinomial(clips, [1 / clips] * clips, size=_DRAWS)
    return np.stack([each.ap50(weights) for each in scores], axis=1)


def _interval(scores: ClipScores, draws: ScoreArray | None, at: int) -> Interval:
    value = float(scores.ap50()[0])
    known = np.zeros(0) if draws is None else draws[:, at][np.isfinite(draws[:, at])]
    if not len(known):
        return Interval(value, -np.inf, np.inf, 0)
    low, high = np.quantile(known, [0.025, 0.975])
    return Interval(value, float(low), float(high), len(known))


def _labelled_through(campaign: Campaign) -> dict[int, int]:
    """Round -> labelled frames of it and of all before."""
    total, through = 0, {}
    for number, counts in sorted(campaign.record.tally().items()):
        total += counts["labelled"]
        through[number] = total
    return through


def _rounds(campaign: Campaign, out: Path) -> tuple[RoundStory, ...]:
    tally, objects = campaign.record.tally(), objects_by_round(campaign)
    costs = {each.round: each for each in round_costs(campaign)}
    told = []
    for entry in campaign.record.rounds():
        counts = tally[entry.number]
        cost = costs.get(entry.number, RoundCost(entry.number, None, None, 0))
        report = campaign.query(entry.number) / "report.html"
        told.append(
            RoundStory(
                number=entry.number,
                strategy=entry.strategy,
                state=entry.state,
                asked=entry.wanted,
                labelled=counts["labelled"],
                waiting=counts["queried"],
                skipped=counts["skipped"],
                objects=objects.get(entry.number, {}),
                expected=cost.expected,
                real=cost.real,
                report=Path(os.path.relpath(report, out)).as_posix() if report.is_file() else "",
            )
        )
    return tuple(told)
