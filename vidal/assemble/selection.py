"""From what a user wrote, on the command line or in a file, to a selection that can run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

from vidal.assemble import build_strategy, find_strategy
from vidal.assemble.balance import parse_balance
from vidal.assemble.tracking import build_tracker, named
from vidal.coherence import CoherenceOptions
from vidal.detect.load import DETECTORS
from vidal.detect.options import DetectOptions
from vidal.detect.spec import DetectorSpec
from vidal.errors import UsageError
from vidal.evidence.gather import EvidencePlan
from vidal.evidence.given import Frames, GivenDetections
from vidal.evidence.load import ALL
from vidal.evidence.places import DETECTING, GATHERING, Engines
from vidal.expected_errors import ExpectedErrorsOptions
from vidal.formats.detections import Transform
from vidal.query.budget import Budget
from vidal.query.cost import cost_of
from vidal.query.options import build, options_of
from vidal.query.random_share import check_share
from vidal.query.select import Turns, check_turns
from vidal.selection.plan import Inputs, QueryPlan, SelectionPlan
from vidal.track import FlowOptions
from vidal.types import AnyGap, Gap
from vidal.types.gap import DEFAULT as DEFAULT_GAP
from vidal.video.rates import parse_rate

BATCHES = {"cpu": 4, "cuda": 16}
"""Frames the detector sees at once: more does not help on a CPU."""


def batch_of(spec: DetectorSpec) -> int:
    """How many frames a detector sees at once where nobody says."""
    return BATCHES["cpu" if spec.resolved_device == "cpu" else "cuda"]


_NO_FILES = {"images": None, "frames": "auto", "transform": "none", "size": None}
"""Options of given detections where there are none."""


@dataclass(frozen=True, slots=True)
class SelectionJob:
    """A selection ready to run, and where it runs."""

    plan: SelectionPlan
    engines: Engines


def device_of(job: SelectionJob) -> str:
    """The device that a job's detector runs on; empty where none runs."""
    return job.plan.evidence.detector.resolved_device if job.engines.detects else ""


def plan_selection(
    *,
    videos: Path | None,
    out: Path,
    budget: str,
    strategy: str,
    errors: str | None = None,
    options: Mapping[str, Any] | None = None,
    gap: AnyGap = DEFAULT_GAP,
    turns: str | None = None,
    known_only: bool = False,
    labels: Path | None = None,
    seed: int = 0,
    detector: str = "auto",
    weights: Path | None = None,
    config: Path | None = None,
    classes: str | None = None,
    threshold: float = 0.5,
    device: str = "auto",
    precision: str = "auto",
    batch: int = 0,
    compile: bool = False,  # noqa: A002
    coherence: Mapping[str, Any] | None = None,
    flow: Mapping[str, Any] | None = None,
    tracker: str = "auto",
    tracker_options: Mapping[str, Any] | None = None,
    expected: Mapping[str, Any] | None = None,
    random_share: float = 0.0,
    balance: float | str | None = None,
    class_weights: Mapping[str, Any] | None = None,
    cost: object = None,
    cache: Path | None = None,
    workers: int = 0,
    engine: str | None = None,
    ray_address: str | None = None,
    ray_gpus: float | None = None,
    image_rate: str = "10",
    detections: Path | GivenDetections | None = None,
    detections_images: Path | None = None,
    detections_frames: Frames = "auto",
    score_transform: Transform = "none",
    size: str | None = None,
) -> SelectionJob:
    """From what a user wrote to a plan; everything that can be refused by itself is refused here.

    The arguments are those of ``vidal select``; names and texts, as they come from a command line
    or a YAML file. ``detections`` may be settled already.

    Raises:
        UsageError: (BudgetError, UnknownName, ...) a value that cannot be meant.
        WeightsError: no such checkpoint.
    """
    own, gap = dict(options or {}), Gap.of(gap)
    if errors is not None:
        own["errors"] = errors
    if detections is not None and turns is None:
        own = options_for_files(strategy, own)
    selector = build_strategy(
        strategy, gap=gap, options=own, known=known_only, turns=turns_of(turns, balance)
    )
    weighing = parse_balance(balance, class_weights, None if classes is None else _names(classes))
    if weighing is not None:
        selector = weighing.around(selector, gap)
    check_share(random_share)
    names = None if classes is None else _names(classes)
    spec = DetectorSpec(
        name=detector,
        weights=weights,
        classes=names,
        device=device,
        options=DetectOptions(precision=precision, compile=compile),  # type: ignore[arg-type]
        config=config,
    )
    given = {
        "images": detections_images,
        "frames": detections_frames,
        "transform": score_transform,
        "size": None if size is None else _size(size),
    }
    spec = _source(spec, videos, detections, given)
    query = QueryPlan(
        budget=Budget.parse(budget),
        strategy=strategy,
        selector=selector,
        seed=seed,
        threshold=threshold,
        random_share=random_share,
        gap=gap,
        cost=cost_of(cost),
    )
    if query.needs or weights is not None or config is not None:
        spec.check()
    if query.needs and detections is None and engine != "ray":
        spec.check_device()
    judged = build(CoherenceOptions, {"score_threshold": threshold, **(coherence or {})})
    motion = build(FlowOptions, flow or {})
    carrier = build_tracker(tracker, tracker_options or {}, flow=flow, pixels=videos is not None)
    learning = _expected(expected or {}, judged.score_threshold)
    expects = "expected" in selector.needs
    estimates = expects or "errors" in selector.needs
    evidence = EvidencePlan(
        store=cache or out / ".vidal",
        detector=spec,
        batch=batch or (batch_of(spec) if query.needs else BATCHES["cpu"]),
        flow=motion if estimates else None,
        coherence=judged if estimates else None,
        expected=learning if expects else None,
        tracker=carrier,
        suppressed="suppressed" in selector.needs,
        columns=query.needs & ALL,
        keep_flow=motion.keep,
    )
    plan = SelectionPlan(
        inputs=Inputs(videos, labels, rate_of(image_rate)),
        evidence=evidence,
        query=replace(query, threshold=judged.score_threshold, floor=learning.floor),
        settings={
            **_settings(query, evidence, seed=seed, gap=gap, options=own, labels=labels),
            **({} if turns is None else {"turns": turns}),
            **({"random_share": random_share} if random_share else {}),
            **({"known_only": True} if known_only else {}),
            **({} if weighing is None else weighing.settings),
            **({} if query.budget.counts_frames else {"cost": query.cost.as_dict()}),
        },
    )
    detects = bool(query.needs) and detections is None
    modules = GATHERING + (DETECTING if detector in DETECTORS else ())
    engines = Engines(
        workers,
        device,
        detects=detects,
        modules=modules,
        engine=engine or "auto",  # type: ignore[arg-type]
        ray_address=ray_address,
        ray_gpus=ray_gpus,
    )
    return SelectionJob(plan, engines)


def turns_of(turns: str | None, balance: object = None) -> Turns | None:
    """How clips take turns, checked.

    Raises:
        UsageError: (UnknownName) there is no such way; or classes are balanced, too.
    """
    if turns is None:
        return None
    check_turns(turns)
    if balance is not None:
        hint = "Drop one of them."
        raise UsageError(f"turns {turns}: class balance chooses frames together.", hint=hint)
    return cast(Turns, turns)


def options_for_files(strategy: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A strategy's options where detections are given: files do not say what frames look like.

    One that spreads its picks by looks, where it is not told otherwise, does so by clips.
    """
    looks = any(
        option.name == "spread" and option.default == "looks"
        for option in options_of(find_strategy(strategy))
    )
    return {"spread": "clips", **options} if looks else dict(options)


def _source(
    spec: DetectorSpec,
    videos: Path | None,
    detections: Path | GivenDetections | None,
    given: Mapping[str, Any],
) -> DetectorSpec:
    """What detections come from: the detector, or the files that were given instead."""
    if isinstance(detections, GivenDetections):
        return detections
    if detections is None:
        if videos is None:
            hint = "Name them with --videos, or --detections made of them."
            raise UsageError("no clips.", hint=hint)
        if dict(given) != _NO_FILES:
            raise UsageError("options of given detections, but no --detections.")
        return spec
    if spec.name != "auto" or spec.weights is not None or spec.config is not None:
        raise UsageError("both a detector and given detections.", hint="Drop one of them.")
    return GivenDetections.of(detections, classes=spec.classes, **given)


def _settings(
    query: QueryPlan,
    evidence: EvidencePlan,
    *,
    seed: int,
    gap: Gap,
    options: Mapping[str, Any],
    labels: Path | None,
) -> dict[str, Any]:
    """For the record: what shaped the result, and nothing that did not."""
    settings: dict[str, Any] = {"seed": seed, "gap": gap.plain, "strategy_options": dict(options)}
    if labels is not None:
        settings["labels"] = labels.name
    detector = evidence.detector
    if isinstance(detector, GivenDetections):
        settings["detector"] = detector.settings
    elif query.needs:
        settings["detector"] = {
            "name": detector.name,
            "weights": None if detector.weights is None else detector.weights.name,
            **({} if detector.config is None else {"config": detector.config.name}),
            "classes": detector.classes,
            "device": detector.device,
            **detector.options.key,
        }
    if evidence.coherence is not None and evidence.flow is not None:
        settings["coherence"] = asdict(evidence.coherence)
        if evidence.tracker == "flow":
            motion = asdict(evidence.flow)
            settings["flow"] = {k: v for k, v in motion.items() if k not in ("keep", "threads")}
        else:
            settings["tracker"] = named(evidence.tracker)
    if evidence.expected is not None:
        settings["expected"] = asdict(evidence.expected) | asdict(evidence.expected.settled)
    return settings


def _expected(given: Mapping[str, Any], threshold: float) -> ExpectedErrorsOptions:
    """The options of expected errors; the threshold is everybody's."""
    if "threshold" in given:
        hint = "Give it with --threshold (selection.threshold): it holds for everything."
        raise UsageError("the threshold is no option of expected errors.", hint=hint)
    options: ExpectedErrorsOptions = build(ExpectedErrorsOptions, given)
    return replace(options, threshold=threshold)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _size(text: str) -> tuple[int, int]:
    """``1242x375`` -> (height, width)."""
    width, mark, height = text.lower().partition("x")
    if not (mark and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UsageError(f"--size {text!r} is not WIDTHxHEIGHT.", hint="Such as 1242x375.")
    return int(height), int(width)


def rate_of(text: str) -> Fraction:
    """Of ``--image-rate``.

    Raises:
        UsageError: not a number of frames a second.
    """
    try:
        return parse_rate(text)
    except ValueError as error:
        raise UsageError(f"--image-rate {text!r} is {error}.", hint="Such as 10 or 12.5.") from None
