"""From what a user wrote, on the command line or in a file, to a selection that can run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any, cast

from vidal.assemble import build_strategy, find_strategy
from vidal.assemble.balance import Weighing, parse_balance
from vidal.assemble.request import SelectionRequest
from vidal.assemble.tracking import build_tracker, named
from vidal.coherence import CoherenceOptions
from vidal.detect.load import DETECTORS
from vidal.detect.options import DetectOptions
from vidal.detect.spec import DetectorSpec
from vidal.errors import UsageError
from vidal.evidence.gather import EvidencePlan
from vidal.evidence.given import GivenDetections
from vidal.evidence.load import ALL
from vidal.evidence.places import DETECTING, GATHERING, Engines
from vidal.expected_errors import ExpectedErrorsOptions
from vidal.protocols import Selector
from vidal.query.budget import Budget
from vidal.query.cost import cost_of
from vidal.query.options import build, options_of
from vidal.query.random_share import check_share
from vidal.query.select import Turns, check_turns
from vidal.selection.plan import Inputs, QueryPlan, SelectionPlan
from vidal.track import FlowOptions
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


def plan_selection(asked: SelectionRequest) -> SelectionJob:
    """From what a user wrote to a plan; everything that can be refused by itself is refused here.

    Raises:
        UsageError: (BudgetError, UnknownName, ...) a value that cannot be meant.
        WeightsError: no such checkpoint.
    """
    options = _strategy_options(asked)
    weighing = _weighing(asked)
    selector = build_strategy(
        asked.strategy,
        gap=asked.own_gap,
        options=options,
        known=asked.known_only,
        turns=turns_of(asked.turns, asked.balance),
    )
    if weighing is not None:
        selector = weighing.around(selector, asked.own_gap)
    check_share(asked.random_share)
    spec = _source(asked)
    query = _query(asked, selector)
    _check_detector(asked, spec, query)
    judged = build(
        CoherenceOptions, {"score_threshold": asked.threshold, **(asked.coherence or {})}
    )
    learning = _expected(asked.expected or {}, judged.score_threshold)
    evidence = _evidence(asked, spec, query, judged, learning)
    plan = SelectionPlan(
        inputs=Inputs(asked.videos, asked.labels, rate_of(asked.image_rate)),
        evidence=evidence,
        query=replace(query, threshold=judged.score_threshold, floor=learning.floor),
        settings={
            **_settings(query, evidence, asked, options),
            **({} if weighing is None else weighing.settings),
            **({} if query.budget.counts_frames else {"cost": query.cost.as_dict()}),
        },
    )
    return SelectionJob(plan, _engines(asked, query))


def _strategy_options(asked: SelectionRequest) -> dict[str, Any]:
    own = dict(asked.options or {})
    if asked.errors is not None:
        own["errors"] = asked.errors
    if asked.detections is not None and asked.turns is None:
        return options_for_files(asked.strategy, own)
    return own


def _weighing(asked: SelectionRequest) -> Weighing | None:
    return parse_balance(asked.balance, asked.class_weights, asked.names)


def _query(asked: SelectionRequest, selector: Selector) -> QueryPlan:
    return QueryPlan(
        budget=Budget.parse(asked.budget),
        strategy=asked.strategy,
        selector=selector,
        seed=asked.seed,
        threshold=asked.threshold,
        random_share=asked.random_share,
        gap=asked.own_gap,
        cost=cost_of(asked.cost),
    )


def _check_detector(asked: SelectionRequest, spec: DetectorSpec, query: QueryPlan) -> None:
    """Refuse a detector that cannot run, where one runs or is named."""
    if query.needs or asked.weights is not None or asked.config is not None:
        spec.check()
    if query.needs and asked.detections is None and asked.engine != "ray":
        spec.check_device()


def _evidence(
    asked: SelectionRequest,
    spec: DetectorSpec,
    query: QueryPlan,
    judged: CoherenceOptions,
    learning: ExpectedErrorsOptions,
) -> EvidencePlan:
    """What is gathered of each clip: no more than the strategy reads."""
    motion = build(FlowOptions, asked.flow or {})
    expects = "expected" in query.needs
    estimates = expects or "errors" in query.needs
    return EvidencePlan(
        store=asked.cache or asked.out / ".vidal",
        detector=spec,
        batch=asked.batch or (batch_of(spec) if query.needs else BATCHES["cpu"]),
        flow=motion if estimates else None,
        coherence=judged if estimates else None,
        expected=learning if expects else None,
        tracker=build_tracker(
            asked.tracker,
            asked.tracker_options or {},
            flow=asked.flow,
            pixels=asked.videos is not None,
        ),
        suppressed="suppressed" in query.needs,
        columns=query.needs & ALL,
        keep_flow=motion.keep,
    )


def _engines(asked: SelectionRequest, query: QueryPlan) -> Engines:
    """Where it runs."""
    return Engines(
        asked.workers,
        asked.device,
        detects=bool(query.needs) and asked.detections is None,
        modules=GATHERING + (DETECTING if asked.detector in DETECTORS else ()),
        engine=asked.engine or "auto",  # type: ignore[arg-type]
        ray_address=asked.ray_address,
        ray_gpus=asked.ray_gpus,
    )


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


def _source(asked: SelectionRequest) -> DetectorSpec:
    """What detections come from: the detector, or the files that were given instead."""
    spec = DetectorSpec(
        name=asked.detector,
        weights=asked.weights,
        classes=asked.names,
        device=asked.device,
        options=DetectOptions(precision=asked.precision, compile=asked.compile),  # type: ignore[arg-type]
        config=asked.config,
    )
    given = {
        "images": asked.detections_images,
        "frames": asked.detections_frames,
        "transform": asked.score_transform,
        "size": None if asked.size is None else _size(asked.size),
    }
    if isinstance(asked.detections, GivenDetections):
        return asked.detections
    if asked.detections is None:
        if asked.videos is None:
            hint = "Name them with --videos, or --detections made of them."
            raise UsageError("no clips.", hint=hint)
        if given != _NO_FILES:
            raise UsageError("options of given detections, but no --detections.")
        return spec
    if spec.name != "auto" or spec.weights is not None or spec.config is not None:
        raise UsageError("both a detector and given detections.", hint="Drop one of them.")
    return GivenDetections.of(asked.detections, classes=spec.classes, **given)


def _settings(
    query: QueryPlan, evidence: EvidencePlan, asked: SelectionRequest, options: Mapping[str, Any]
) -> dict[str, Any]:
    """For the record: what shaped the result, and nothing that did not."""
    gap = asked.own_gap.plain
    settings: dict[str, Any] = {"seed": asked.seed, "gap": gap, "strategy_options": dict(options)}
    if asked.labels is not None:
        settings["labels"] = asked.labels.name
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
    said = {name: getattr(asked, name) for name in ("turns", "random_share", "known_only")}
    return settings | {name: value for name, value in said.items() if value}


def _expected(given: Mapping[str, Any], threshold: float) -> ExpectedErrorsOptions:
    """The options of expected errors; the threshold is everybody's."""
    if "threshold" in given:
        hint = "Give it with --threshold (selection.threshold): it holds for everything."
        raise UsageError("the threshold is no option of expected errors.", hint=hint)
    options: ExpectedErrorsOptions = build(ExpectedErrorsOptions, given)
    return replace(options, threshold=threshold)


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
