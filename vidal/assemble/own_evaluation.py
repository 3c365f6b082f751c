"""Judging a detector of one's own by the detections that a campaign was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vidal.assemble.own import NewDetections, given_now
from vidal.assemble.selection import batch_of
from vidal.campaign.accuracy import ModelReport, judge_model
from vidal.campaign.folder import Campaign
from vidal.campaign.own import models, newest, short
from vidal.campaign.own_tables import stock_campaign
from vidal.detect.spec import DetectorSpec
from vidal.errors import CampaignError, InputError, UsageError
from vidal.evidence.gather import EvidencePlan
from vidal.evidence.given import GivenDetections
from vidal.evidence.places import EngineMaker
from vidal.evidence.watch import Watcher
from vidal.types import Annotations, Clip
from vidal.words import counted

UNCHECKED = (
    "Whether your detector was trained on these clips cannot be checked: its AP is worth nothing if"
    " it was."
)


@dataclass(frozen=True, slots=True)
class ModelScore:
    """How good one of the models was.

    Attributes:
        round: whose answers it was trained on; None = it was there before.
        model: name of its detections.
        frames: labelled frames that it was judged by.
        map50, map50_confident: AP50 and AP50@0.5 of all classes, in [0, 1]; NaN without objects.
    """

    round: int | None
    model: str
    frames: int
    map50: float
    map50_confident: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class OwnQuality:
    """What was judged, all models of before beside it, and remarks."""

    quality: ModelReport
    curve: tuple[ModelScore, ...]
    notes: tuple[str, ...]


def own_model(campaign: Campaign, number: int | None, new: NewDetections) -> GivenDetections:
    """The detections that are judged: new ones, those of the model of a round, or the newest.

    Raises:
        CampaignError: no model was trained on that round.
        UsageError: both a round and new detections.
        InputError: new ones that cannot be read.
    """
    given = given_now(campaign, new)
    if given is not None and number is not None:
        raise UsageError("both --round and --detections.", hint="Drop one of them.")
    if given is not None:
        return given
    if number is None:
        return newest(campaign)
    found = models(campaign)
    if number not in found:
        have = ", ".join(str(each) for each in found if each is not None) or "none"
        raise CampaignError(
            f"round {number} has no model; rounds with one: {have}.",
            hint="The model of a round is known once the next one is selected by its detections.",
        )
    return found[number]


def judge_own(
    campaign: Campaign,
    chosen: GivenDetections,
    clips: Sequence[Clip],
    truth: Mapping[str, Annotations],
    engines: EngineMaker,
    watcher: Watcher,
    *,
    coco: bool,
) -> OwnQuality:
    """Judge detections, and those of all models that the campaign knows.

    Raises:
        UsageError: they are of none of these clips.
        InputError: they are gone, or have changed.
    """
    there, notes = _looked_at(campaign, chosen, clips, engines)
    quality = judge_with(campaign, chosen, there, truth, engines, watcher, coco=coco)
    curve, lost = [], list[str]()
    for number, given in models(campaign).items():
        try:
            mine, _ = _looked_at(campaign, given, clips, engines)
            found = judge_with(campaign, given, mine, truth, engines, watcher, coco=False)
        except (InputError, UsageError) as error:
            lost.append(f"{short(given)} is not judged: {error.message}")
            continue
        report = found.report
        halves = report.map50, report.map50_confident
        curve.append(ModelScore(number, short(given), found.frames, *halves))
    return OwnQuality(quality, tuple(curve), (*notes, *lost, UNCHECKED))


def refuse_missing(
    campaign: Campaign, given: GivenDetections, clips: Sequence[Clip], engines: EngineMaker
) -> None:
    """Refuse detections that leave a clip out: models are compared on the same clips.

    Raises:
        UsageError: names the first clip.
        InputError: the detections are gone, or have changed.
    """
    made = set(stock_campaign(campaign, given, engines).clips)
    without = [clip for clip in clips if clip.id not in made]
    if without:
        number = counted(len(without), "test clip")
        some = f"{without[0].id}{', ...' if len(without) > 1 else ''}"
        raise UsageError(f"{short(given)} has no detections of {number}: {some}.")


def _looked_at(
    campaign: Campaign, given: GivenDetections, clips: Sequence[Clip], engines: EngineMaker
) -> tuple[list[Clip], tuple[str, ...]]:
    """Those of the clips that detections were made of, and a remark on the others."""
    made = stock_campaign(campaign, given, engines)
    there = [clip for clip in clips if clip.id in set(made.clips)]
    without = [clip for clip in clips if clip.id not in set(made.clips)]
    if not there:
        raise UsageError(
            f"{given.path}: the detections are of none of the labelled clips that were set aside"
            f" ({clips[0].path.name}{', ...' if len(clips) > 1 else ''}).",
            hint="Run your detector over these too, and give what it finds with --detections.",
        )
    if not without:
        return there, ()
    some = ", ".join(clip.id for clip in without[:3])
    return there, (f"No detections of {counted(len(without), 'labelled clip')}: {some}.",)


def judge_with(
    campaign: Campaign,
    spec: DetectorSpec,
    clips: Sequence[Clip],
    truth: Mapping[str, Annotations],
    engines: EngineMaker,
    watcher: Watcher,
    *,
    coco: bool,
) -> ModelReport:
    """Judge a detector as the configuration of a campaign says."""
    settings, batch = campaign.config.evaluation, campaign.config.detector.batch
    return judge_model(
        EvidencePlan(campaign.evidence, spec, batch or batch_of(spec), None, None),
        clips,
        truth,
        engines=engines,
        watcher=watcher,
        score_floor=settings.score_floor,
        iou=settings.iou,
        unknown=settings.unknown,
        coco=coco,
    )
