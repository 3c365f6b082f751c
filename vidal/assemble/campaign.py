"""From a campaign's configuration to a campaign, and to the plan of one of its rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from vidal.assemble.balance import parse_balance
from vidal.assemble.checks import check_backbone, check_config, check_weights
from vidal.assemble.own_begin import stock_begun
from vidal.assemble.request import SelectionRequest
from vidal.assemble.selection import SelectionJob, plan_selection
from vidal.campaign.config import CampaignConfig
from vidal.campaign.fitting import snapshots_of
from vidal.campaign.folder import (
    Campaign,
    begun_with,
    create_campaign,
    locked,
    open_campaign,
    recorded,
)
from vidal.campaign.loop import Trained, train_round
from vidal.campaign.own import EVENT, detections_of, is_own, newest
from vidal.campaign.record import GIVEN
from vidal.campaign.source import Source, entries_of, open_source
from vidal.campaign.teaching import Teaching
from vidal.campaign.training import VOTED, detector_spec
from vidal.detect.spec import DetectorSpec
from vidal.errors import CampaignError, UsageError
from vidal.evidence.gather import EvidencePlan
from vidal.evidence.given import GivenDetections
from vidal.evidence.label_files import Names, picture_of
from vidal.evidence.load import ALL
from vidal.evidence.places import Engines
from vidal.evidence.watch import Watcher
from vidal.formats.detections import read
from vidal.protocols import Selector
from vidal.report import read_query
from vidal.selection.plan import SelectionPlan
from vidal.types import UNKNOWN, Annotations, FrameRef


@dataclass(frozen=True, slots=True)
class Begun:
    """A campaign that was begun.

    Attributes:
        source: its clips.
        classes: its classes.
        new: False where this very campaign was there already.
        given: frames that are labelled from the start.
        notes: on given detections, one sentence each.
    """

    source: Source
    classes: tuple[str, ...]
    new: bool
    given: int
    notes: tuple[str, ...] = ()


def begin_campaign(folder: Path, config: CampaignConfig, *, initial_labels: bool) -> Begun:
    """Check a configuration, open its clips, split them, write the campaign's folder.

    Args:
        folder: of the campaign.
        config: with absolute paths.
        initial_labels: the labels of training clips are round 0, answered; else they are not
            looked at.

    Raises:
        UsageError: the configuration names what does not exist.
        CampaignBusy: another process works on this campaign.
        CampaignError: there is another campaign, or every frame is labelled.
        InputError: clips, labels or weights that cannot be used.
    """
    check_config(config)
    engines = engines_of(config)
    with locked(folder):
        if recorded(folder):
            return _begun_before(folder, config)
        check_weights(config)
        source = open_source(
            config, engines=engines, store=folder / "evidence", scenes=folder / "scenes"
        )
        classes = source.classes or _detector_classes(config)
        _check_classes(config, source)
        stocked = stock_begun(folder, config, source, classes)
        parse_balance(config.selection.balance, config.selection.class_weights, classes)
        given = _given(source) if initial_labels else {}
        new = create_campaign(
            folder,
            resolved(config, classes),
            classes,
            list(entries_of(source.clips.values(), folder)),
            given=given,
            told=None if stocked is None else {EVENT: {EVENT: stocked.told}},
        )
    labelled = sum(int(t.labelled.sum()) for t in given.values())
    return Begun(source, classes, new, labelled, () if stocked is None else stocked.notes)


def _begun_before(folder: Path, config: CampaignConfig) -> Begun:
    """The campaign that is there already; its clips are not opened, nothing is downloaded.

    Raises:
        CampaignError: it has another configuration.
    """
    with open_campaign(folder, lock=False) as campaign:
        classes = campaign.record.classes
        first = next(iter(campaign.record.rounds()), None)
        given = 0
        if first is not None and first.strategy == GIVEN:
            given = campaign.record.tally()[first.number]["labelled"]
        if not begun_with(folder, resolved(config, config.data.classes or classes)):
            raise CampaignError(
                f"{folder}: there is a campaign here already, with another configuration.",
                hint="Name another folder.",
            )
    return Begun(Source({}, (), classes), classes, False, given)


def _check_classes(config: CampaignConfig, source: Source) -> None:
    """Refuse classes of which the labels have none: they are called otherwise there.

    Raises:
        UsageError: names both.
    """
    tables = source.truth().values()
    wanted = config.data.classes
    if wanted is None or not any(len(table) for table in tables):
        return
    if all((table.labels == UNKNOWN).all() for table in tables):
        raise UsageError(
            f"no label is of a class of --classes ({', '.join(wanted)}).",
            hint=f"The labels have: {', '.join(source.named) or 'no named classes'}.",
        )


def _given(source: Source) -> dict[str, Annotations]:
    """The labels of training clips, of those that have some."""
    tables = {name: t for name, t in source.truth("train").items() if t.labelled.any()}
    frames = sum(clip.frames for clip in source.opened("train").values())
    if tables and sum(int(t.labelled.sum()) for t in tables.values()) == frames:
        raise CampaignError(
            "the labels cover every frame of the training clips: there is nothing to ask for.",
            hint="To try strategies on them use `vidal simulate`; to begin without them"
            " --no-initial-labels.",
        )
    return tables


def _detector_classes(config: CampaignConfig) -> tuple[str, ...]:
    """Those that the detector knows, where nothing else names classes."""
    data = config.data
    if data.detections is not None:
        found = read(data.detections, images=data.detections_images, transform=data.score_transform)
        return found.classes
    if config.detector.start == "fresh":
        raise CampaignError(
            "nothing names the classes.", hint="Name them with --classes, or data.classes."
        )
    return detector_spec(config).load().classes


def resolved(config: CampaignConfig, classes: tuple[str, ...]) -> CampaignConfig:
    """With classes, and with what suits the detector written out where it is named."""
    data = config.data.model_copy(update={"classes": classes})
    if data.detections is not None:  # vidal trains nothing, and torch is not asked for
        return config.model_copy(update={"data": data})
    from vidal.detect.architectures import ARCHITECTURES
    from vidal.detect.load import SHIPPED

    given = dict(config.training.given)
    name = config.detector.name
    suits = ARCHITECTURES.get("scenes-tiny" if name in SHIPPED else name)
    if suits is not None:
        own: dict[str, object] = {"precision": config.detector.precision}
        if config.detector.start == "fresh":
            own["freeze_norm"] = False
        given = {**suits.training.shaping, **own, **given}
    training = config.training.model_copy(update={"given": given})
    return config.model_copy(update={"data": data, "training": training})


def picture_names(campaign: Campaign) -> Names:
    """From the name of a picture, in any folder, to its frame: as the queries name them."""
    known: dict[str, FrameRef] = {}
    for entry in campaign.record.rounds():
        path = campaign.query(entry.number) / "query.json"
        if path.is_file():
            for frame in read_query(path).frames:
                known[PurePosixPath(frame.file).stem] = frame.ref
    plain = picture_of({clip.id: clip.id for clip in campaign.record.clips()})

    def find(name: str) -> FrameRef | None:
        return known.get(PurePosixPath(name.replace("\\", "/")).stem) or plain(name)

    return find


def plan_round(
    campaign: Campaign,
    *,
    number: int | None = None,
    selector: Selector | None = None,
    given: GivenDetections | None = None,
) -> SelectionJob:
    """How a round is selected: its strategy, budget, detector and evidence.

    Until a model is trained it is the initial strategy with the initial budget and the detector of
    the configuration; then the strategy, with the model of the newest trained round. With a
    detector of one's own it is the initial strategy for the first query alone, and the detections
    of the round.

    Args:
        campaign: open.
        number: of the round; None = the next one.
        given: detections of one's own for the next round; None = those that were given last.
        selector: instead of the configured strategy (not of the initial one), with its neighbour
            exclusion: the oracles of a simulation.

    Raises:
        UsageError: the configuration names what does not exist, or needs a detector that there is
            not yet.
        WeightsError: no such checkpoint.
    """
    config, chosen = campaign.config, campaign.config.selection
    model = campaign.newest_model(before=number)
    query = campaign.record.asked_before(number)
    own = _own(campaign, number, given)
    initial = model is None if own is None else not query
    strategy = chosen.initial_strategy if initial else chosen.strategy
    job = plan_selection(
        SelectionRequest(
            videos=campaign.folder,
            out=campaign.folder,
            budget=chosen.initial if initial else chosen.budget_of(query),
            strategy=strategy,
            options={} if initial else chosen.options,
            gap=chosen.gap,
            turns=None if initial else chosen.turns,
            seed=config.seed,
            threshold=chosen.threshold,
            device=config.detector.device,
            precision=config.detector.precision,
            batch=config.detector.batch,
            compile=config.detector.compile,
            coherence=chosen.coherence,
            flow=chosen.flow,
            tracker=chosen.tracker,
            tracker_options=chosen.tracker_options,
            expected=chosen.expected,
            random_share=0.0 if initial else chosen.random_share,
            known_only=not initial and chosen.known_only,
            balance=None if initial else chosen.balance,
            class_weights=None if initial else chosen.class_weights,
            cost=chosen.cost,
            cache=campaign.evidence,
            **config.place,
            image_rate=config.data.image_rate,
            detections=own,
        )
    )
    plan = job.plan
    if selector is not None and not initial:
        asking = replace(plan.query, selector=selector)
        evidence = replace(plan.evidence, columns=asking.needs & ALL)
        plan = replace(plan, query=asking, evidence=evidence)
    if plan.query.needs and own is None:
        spec = detector_spec(config, model=model)
        spec.check()
        states = _snapshots(config, plan, model)
        plan = replace(plan, evidence=replace(plan.evidence, detector=spec, snapshots=states))
        plan = replace(plan, settings={**plan.settings, **_detector_settings(plan)})
    engines = replace(job.engines, detects=bool(plan.query.needs) and own is None)
    return SelectionJob(plan, engines)


def _own(
    campaign: Campaign, number: int | None, given: GivenDetections | None
) -> GivenDetections | None:
    """Detections of one's own that a round is selected by; None = a detector makes them."""
    if given is not None or not is_own(campaign):
        return given
    return newest(campaign) if number is None else detections_of(campaign, number)


def plan_teacher(campaign: Campaign, number: int) -> EvidencePlan:
    """How the pool is looked at for pseudo-labels: as expected errors do, with the model before.

    Evidence that the round was selected by is used again; of strategies that need less, the rest is
    computed.
    """
    chosen: dict[str, object] = {"strategy": "expected-errors", "options": {}}
    chosen |= {"random_share": 0.0, "known_only": False}
    changed = replace(campaign, config=campaign.config.changed(selection=chosen))
    return plan_round(changed, number=number).plan.evidence


def train_campaign(
    campaign: Campaign,
    *,
    epochs: int | None = None,
    backbone: Path | None = None,
    pseudo_labels: bool = False,
    progress: Callable[[Mapping[str, float]], None] | None = None,
    watcher: Watcher,
) -> Trained | None:
    """Train the newest answered round; None = there is nothing new to train on.

    Args:
        campaign: locked by the caller.
        epochs, backbone, pseudo_labels: for this round only, instead of the configured ones.
        progress: see ``train_round``.
        watcher: who is told of evidence that pseudo-labels need.

    Raises:
        UsageError, WeightsError, AwaitingAnnotation: as ``train_round``; or a backbone where the
            training goes on from an earlier model.
    """
    if is_own(campaign):
        raise CampaignError(
            f"{campaign.folder}: this campaign is about a detector of your own: training it is your"
            " own step.",
            hint=f"`vidal export {campaign.folder} --to yolo --labelled` writes the labels; then"
            f" `vidal select --campaign {campaign.folder} --detections NEW`.",
        )
    changes: dict[str, dict[str, object]] = {"training": {}, "detector": {}}
    if epochs is not None:
        changes["training"] |= {"epochs": epochs, "initial_epochs": None}
    if pseudo_labels and campaign.config.training.pseudo_labels is None:
        changes["training"] |= {"pseudo_labels": True}
    if backbone is not None:
        if campaign.config.training.begin == "previous" and campaign.newest_model() is not None:
            raise UsageError(
                "this training goes on from the model of an earlier round, not from a backbone.",
                hint="Set training.from: start to train every round anew.",
            )
        changes["detector"] |= {"backbone": str(backbone.absolute())}
    config = campaign.config.changed(**changes)
    if backbone is not None:
        check_backbone(config)
    campaign = replace(campaign, config=config)
    engines = engines_of(config)
    teaches = config.training.pseudo_labels is not None
    needed = None if teaches else campaign.record.labelled_clips()
    clips = campaign.clips(engines, only=needed)
    teaching = Teaching(plan_teacher, engines, watcher) if teaches else None
    return train_round(campaign, clips, progress=progress, teaching=teaching)


def _snapshots(
    config: CampaignConfig, plan: SelectionPlan, model: Path | None
) -> tuple[DetectorSpec, ...]:
    """The states that were kept of a model's training, where the strategy asks for them."""
    needs = plan.query.needs
    if model is None or "heads" in needs or not needs & VOTED:
        return ()
    files = sorted(snapshots_of(model).glob("*.safetensors"))
    return tuple(detector_spec(config, model=file) for file in files)


def engines_of(config: CampaignConfig) -> Engines:
    """Where the work of a campaign is done."""
    return Engines(device=config.detector.device, **config.place)


def _detector_settings(plan: SelectionPlan) -> dict[str, object]:
    """As ``plan_selection`` writes them down, of the detector that is used."""
    spec = plan.evidence.detector
    known = plan.settings.get("detector", {})
    own = {
        "name": spec.name,
        "weights": None if spec.weights is None else spec.weights.name,
        "classes": spec.classes,
    }
    return {"detector": {**known, **own}}
