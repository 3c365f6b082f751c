"""Judging models and queries: of a campaign, or of any detector on labelled clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vidal.assemble.campaign import engines_of, plan_round
from vidal.assemble.own import NO_DETECTIONS, NewDetections, refuse_new
from vidal.assemble.own_evaluation import ModelScore, judge_own, judge_with, own_model
from vidal.assemble.selection import batch_of
from vidal.assemble.told import plan_told
from vidal.assemble.truth import set_aside
from vidal.campaign.accuracy import TRAINED_ON, ModelReport, judge_model, refuse_leak
from vidal.campaign.config import CampaignConfig, parse_config
from vidal.campaign.costs import RoundCost, costs_dict, round_costs
from vidal.campaign.folder import Campaign
from vidal.campaign.judged import judge_rounds
from vidal.campaign.loop import retell_round
from vidal.campaign.own import is_own, short
from vidal.campaign.record import GIVEN, Split
from vidal.campaign.source import open_source
from vidal.campaign.training import detector_spec
from vidal.detect.spec import DetectorSpec
from vidal.errors import CampaignError, UsageError
from vidal.evaluate.curves import Picks
from vidal.evidence.gather import EvidencePlan
from vidal.evidence.places import EngineMaker, Engines
from vidal.evidence.watch import Watcher
from vidal.query.cost import Cost
from vidal.selection.forecast import Forecast, forecasts
from vidal.selection.quality import judge_query
from vidal.types import Annotations, Clip
from vidal.words import counted


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What was judged, and how good it is.

    Attributes:
        model: name of the model.
        clips: how many clips it was judged by, in words.
        quality: of the model.
        queries: (round, strategy, worth of the picks) of a campaign's answered rounds.
        forecasts: expected against found errors of rounds, where errors are expected at all.
        cost: rates of annotation, and ``costs`` of a campaign's rounds at these.
        curve: of a detector of one's own, how good it was after each training, oldest first.
        notes: remarks for the reader, one sentence each.
    """

    model: str
    clips: str
    quality: ModelReport
    queries: tuple[tuple[int, str, Picks], ...] = ()
    forecasts: tuple[Forecast, ...] = ()
    notes: tuple[str, ...] = ()
    cost: Cost = Cost()
    costs: tuple[RoundCost, ...] = ()
    curve: tuple[ModelScore, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "model": self.model,
            "judged_by": self.clips,
            **self.quality.as_dict(),
            "queries": [
                {"round": number, "strategy": strategy, **asdict(picks)}
                for number, strategy, picks in self.queries
            ],
            "forecasts": [each.as_dict() for each in self.forecasts],
            "cost": costs_dict(self.cost, self.costs) if self.costs else None,
            "curve": [each.as_dict() for each in self.curve],
            "notes": list(self.notes),
        }


def evaluate_campaign(
    campaign: Campaign,
    *,
    split: Split = "test",
    number: int | None = None,
    coco: bool = True,
    queries: bool = True,
    new: NewDetections = NO_DETECTIONS,
    watcher: Watcher,
) -> Evaluation:
    """Judge a campaign's model by its test (or validation) clips, and its queries by their answers.

    Args:
        campaign: open.
        split: which clips.
        number: of the round whose model is judged; None = the newest.
        coco: also COCO's numbers.
        queries: also judge what was picked; computes evidence that is not kept any more.
        new: of a detector of one's own, detections to be judged that no round was selected by.
        watcher: told how far it is.

    Raises:
        CampaignError: no such model.
        UsageError: no labelled clips in the split, or clips that the model was trained on.
    """
    engines = engines_of(campaign.config)
    if is_own(campaign):
        chosen = own_model(campaign, number, new)
        name = short(chosen)
    else:
        refuse_new(campaign, new)
        model = _model(campaign, number)
        name = model.name
    clips, truth, told = set_aside(campaign, split, engines)
    _refuse_unlabelled(truth, told)
    curve: tuple[ModelScore, ...] = ()
    if is_own(campaign):
        judged_own = judge_own(campaign, chosen, clips, truth, engines, watcher, coco=coco)
        quality, curve, notes = judged_own.quality, judged_own.curve, (*told, *judged_own.notes)
    else:
        spec = detector_spec(campaign.config, model=model)
        notes = (*told, *_checked(spec, clips))
        quality = judge_with(campaign, spec, clips, truth, engines, watcher, coco=coco)
    lost = campaign.found(engines).skipped if queries else ()
    if lost:
        notes = (*notes, f"Queries are not judged: {lost[0].path}: {lost[0].reason}.")
    judged = queries and not lost
    return Evaluation(
        model=name,
        clips=f"{counted(len(truth), f'{split} clip')},"
        f" {counted(quality.frames, 'labelled frame')}",
        quality=quality,
        queries=_queries(campaign, watcher) if judged else (),
        forecasts=round_forecasts(campaign, watcher) if judged else (),
        notes=notes,
        cost=campaign.config.selection.cost,
        costs=tuple(round_costs(campaign)),
        curve=curve,
    )


def evaluate_videos(
    *,
    videos: Path,
    labels: Path,
    data_format: str,
    detector: str,
    weights: Path | None,
    classes: tuple[str, ...] | None,
    device: str,
    precision: str,
    cache: Path,
    workers: int = 0,
    image_rate: str = "10",
    score_floor: float = 0.05,
    iou: float = 0.5,
    coco: bool = True,
    watcher: Watcher,
) -> Evaluation:
    """Judge any detector by clips with labels.

    The arguments are those of ``vidal evaluate``.

    Raises:
        UsageError: values that cannot be meant, or clips that the model was trained on.
        InputError, WeightsError: as the files deserve.
    """
    data = {"videos": str(videos), "labels": str(labels), "format": data_format}
    wanted = {"name": detector, "classes": classes, "device": device, "precision": precision}
    config = parse_config(
        {
            "data": {**data, "image_rate": image_rate},
            "detector": {**wanted, "weights": None if weights is None else str(weights)},
        },
        "evaluate",
    )
    engines: EngineMaker = Engines(workers, device)
    source = open_source(config, engines=engines, store=cache, scenes=cache)
    clips, truth = list(source.opened().values()), source.truth()
    _refuse_unlabelled(truth, source.notes)
    spec = detector_spec(config)
    spec.check()
    spec.check_device()
    notes = (*source.notes, *_checked(spec, clips))
    quality = judge_model(
        EvidencePlan(cache, spec, _batch(config, spec), None, None),
        clips,
        truth,
        engines=engines,
        watcher=watcher,
        score_floor=score_floor,
        iou=iou,
        coco=coco,
    )
    return Evaluation(
        model=detector if weights is None else weights.name,
        clips=f"{counted(len(truth), 'clip')}, {counted(quality.frames, 'labelled frame')}",
        quality=quality,
        notes=(*notes, *_unknown_classes(quality, source.classes)),
    )


def _refuse_unlabelled(truth: Mapping[str, Annotations], notes: tuple[str, ...]) -> None:
    """Say, before any work, why there is nothing to judge by."""
    if not any(table.labelled.any() for table in truth.values()):
        raise UsageError("no labelled frames to judge the model by.", hint=" ".join(notes))


def _model(campaign: Campaign, number: int | None) -> Path:
    rounds = {each.number: each for each in campaign.record.rounds() if each.model is not None}
    if number is None and rounds:
        number = max(rounds)
    if number is None:
        raise CampaignError("no model is trained yet.", hint="Run `vidal train` first.")
    if number not in rounds:
        have = ", ".join(map(str, rounds)) or "none"
        raise CampaignError(f"round {number} has no model; rounds with one: {have}.")
    if rounds[number].stale:
        raise CampaignError(
            f"the model of round {number} was trained on answers that were corrected since.",
            hint="Fit it anew with `vidal train`.",
        )
    return campaign.folder / str(rounds[number].model)


def _checked(spec: DetectorSpec, clips: list[Clip]) -> tuple[str, ...]:
    """Refuse clips that the model was trained on; a remark where nothing can be told."""
    notes: Mapping[str, Any] = spec.load().notes
    refuse_leak(notes, clips, spec.name if spec.weights is None else spec.weights.name)
    if TRAINED_ON in notes or spec.weights is None:
        return ()
    return (
        f"{spec.weights.name} does not say which clips it was trained on: whether these are among"
        " them could not be checked.",
    )


def _batch(config: CampaignConfig, spec: DetectorSpec) -> int:
    return config.detector.batch or batch_of(spec)


def _queries(campaign: Campaign, watcher: Watcher) -> tuple[tuple[int, str, Picks], ...]:
    """The worth of every answered query that a model chose, by the answers themselves."""
    engines = engines_of(campaign.config)
    clips = campaign.clips(engines)
    found = []
    for entry in campaign.record.rounds():
        model = campaign.newest_model(before=entry.number)
        if entry.state not in ("answered", "trained") or entry.strategy == GIVEN:
            continue
        if model is None and not is_own(campaign):
            continue
        plan = plan_told(campaign, entry.number).plan
        result = retell_round(campaign, plan, clips, entry.number, engines=engines, watcher=watcher)
        detector = None
        if model is not None and not plan.query.needs:
            detector = detector_spec(campaign.config, model=model).load()
        picks = judge_query(
            result.query,
            result.load,
            _answers(campaign, {name: clips[name] for name in result.clips}),
            threshold=plan.query.threshold,
            detector=detector,
        )
        if plan.query.strategy != entry.strategy:
            # The configuration was changed since: these are not the scores that chose the frames.
            picks = replace(picks, score_spearman=None)
        found.append((entry.number, entry.strategy, picks))
    return tuple(found)


def round_forecasts(campaign: Campaign, watcher: Watcher) -> tuple[Forecast, ...]:
    """Expected against found errors of every round that earlier rounds taught something about."""
    if not is_own(campaign) and not any(each.model for each in campaign.record.rounds()):
        return ()
    job = plan_round(campaign)
    options = job.plan.evidence.expected
    if options is None:
        return ()
    rounds = judge_rounds(
        campaign,
        job.plan.evidence,
        campaign.clips(job.engines),
        before=len(campaign.record.rounds()),
        engines=job.engines,
        watcher=watcher,
    )
    return tuple(forecasts(rounds, campaign.config.seed, options))


def _answers(campaign: Campaign, clips: Mapping[str, Clip]) -> dict[str, Annotations]:
    return {name: campaign.record.annotations(name, clip.frames) for name, clip in clips.items()}


def _unknown_classes(quality: ModelReport, classes: tuple[str, ...] | None) -> tuple[str, ...]:
    """Class names of labels and model that do not meet: a common cause of an AP of zero."""
    known = quality.report.classes
    theirs = [name for name in classes or () if name not in known]
    if not theirs:
        return ()
    return (
        f"The labels have classes that the model does not know: {', '.join(theirs)}; detections on"
        " such objects count as false.",
    )
