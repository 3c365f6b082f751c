"""The configuration of a campaign: one YAML file, every key with a default, unknown keys refused.

Relative paths count from the folder of the file. ``campaign.yaml`` of a campaign is the same thing
with every default written out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from vidal.campaign.config_data import Balance, DataConfig, Model
from vidal.campaign.config_errors import refusal
from vidal.campaign.config_simulation import SimulationConfig
from vidal.coherence.pseudo_labels import PseudoLabelOptions
from vidal.detect.options import Precision, TrainOptions
from vidal.errors import UnknownName, UsageError
from vidal.evidence.places import EngineName
from vidal.formats._yaml import load_values
from vidal.query.budget import Budget
from vidal.query.cost import Cost, cost_of
from vidal.query.options import build
from vidal.track.raft import DOWNLOAD
from vidal.types import Gap
from vidal.types.devices import checked
from vidal.types.gap import DEFAULT as DEFAULT_GAP


class DetectorConfig(Model):
    """The detector before the first training.

    Attributes:
        name: as of ``vidal select --detector``.
        weights: checkpoint of one's own.
        classes: which classes of the checkpoint are used, or the names of one that has none.
        device: ``auto`` (every GPU, else the processor), ``cpu``, ``cuda``, ``cuda:1`` or
            ``cuda:0,1``; a training runs on the first of several.
        precision: ``auto``, ``fp32``, ``tf32``, ``bf16`` or ``fp16``.
        batch: frames it sees at once; 0 = what suits the device.
        compile: the network is compiled before it looks at frames (``torch.compile``).
        start: ``weights``, or ``fresh`` = random weights, drawn from the campaign's seed.
        backbone: file of ``vidal pretrain`` (or a checkpoint of the same network): a training that
            does not go on from an earlier round's model begins with its body.
    """

    name: str = "auto"
    weights: Path | None = None
    classes: tuple[str, ...] | None = None
    device: Annotated[str, AfterValidator(checked)] = "auto"
    precision: Precision = "auto"
    batch: int = Field(default=0, ge=0)
    compile: bool = False
    start: Literal["weights", "fresh"] = "weights"
    backbone: Path | None = None

    @model_validator(mode="after")
    def _fresh_is_named(self) -> Self:
        if self.start == "fresh" and (self.name == "auto" or self.weights is not None):
            raise ValueError("start: fresh needs the name of a network, and no weights")
        return self


class SelectionConfig(Model):
    """How frames are chosen.

    Attributes:
        strategy: query strategy of all rounds but the first.
        options: of the strategy.
        gap: between chosen or labelled frames of a clip: how many are excluded on either side (a
            number), or how far apart they are at least (``0.5s``).
        turns: how clips take turns in every round but the first: ``clips``, ``none`` (by score
            alone) or ``weighted`` (long clips more often); None = what suits the strategy.
        budget: of a round; a share of all frames of the training clips, a number, boxes
            (``800boxes``) or time (``6h``). A list has one a round, of which the last holds for all
            further rounds; a round that was taken back uses none up.
        initial: budget of the first round.
        cost: rates of annotation: ``{frame: 2, box: 7, known: 1, unknown: 1}``, see
            ``vidal.query.cost.Cost``.
        initial_strategy: of the first round.
        threshold: detections with a higher score count.
        coherence, flow: options of temporal coherence and of the optical flow.
        expected: options of expected errors.
        known_only: in every query but the first, what is likely an unknown object counts less.
        random_share: of each query but the first that is drawn at random, in [0, 1).
        balance: of the classes, in every query but the first: lambda, or ``auto``; None = none.
        class_weights: class -> how many labels of it are wanted in proportion to others.
        tracker: what carries boxes to neighbouring frames, as of ``vidal select --tracker``.
        tracker_options: of the tracker; ``weights`` is a path.
    """

    strategy: str = "expected-errors"
    options: dict[str, Any] = Field(default_factory=dict)
    gap: int | str = DEFAULT_GAP.plain
    turns: Literal["clips", "none", "weighted"] | None = None
    budget: str | tuple[str, ...] = "2%"
    initial: str = "2%"
    cost: Cost = Cost()
    initial_strategy: str = "random"
    threshold: float = Field(default=0.5, ge=0, le=1)
    coherence: dict[str, Any] = Field(default_factory=dict)
    flow: dict[str, Any] = Field(default_factory=dict)
    expected: dict[str, Any] = Field(default_factory=dict)
    known_only: bool = False
    random_share: float = Field(default=0.0, ge=0, lt=1)
    balance: Balance = None
    class_weights: dict[str, float] = Field(default_factory=dict)
    tracker: str = "auto"
    tracker_options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("gap", mode="before")
    @classmethod
    def _gap(cls, value: Any) -> Any:
        try:
            return Gap.of(value).plain
        except UsageError as error:
            raise UsageError(f"selection.{error.message}", hint=error.hint) from error

    @field_validator("budget", mode="before")
    @classmethod
    def _budgets(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return Budget.parse(str(value)).text
        if not value:
            raise ValueError("an empty list")
        return tuple(Budget.parse(str(one)).text for one in value)

    @field_validator("initial", mode="before")
    @classmethod
    def _budget(cls, value: Any) -> str:
        return Budget.parse(str(value)).text

    @field_validator("cost", mode="before")
    @classmethod
    def _rates(cls, value: Any) -> Any:
        return cost_of(value)

    @property
    def counts_frames(self) -> bool:
        """Whether every query but the first asks for a number of frames."""
        given = [self.budget] if isinstance(self.budget, str) else self.budget
        return all(Budget.parse(each).counts_frames for each in given)

    def budget_of(self, query: int) -> str:
        """The budget of a query, counted from 1 = the first after the initial labels."""
        if isinstance(self.budget, str):
            return self.budget
        return self.budget[min(max(query, 1), len(self.budget)) - 1]


_OWN = ("from", "initial_epochs", "pseudo_labels", "snapshots")
"""Keys of the section that are no options of ``TrainOptions``."""


class TrainingConfig(Model):
    """How the detector is fitted: options of ``TrainOptions``, by name, and where it starts.

    Attributes:
        begin: ``previous`` = from the model of the round before, ``start`` = anew; the key is
            ``from``.
        initial_epochs: epochs of a training that does not go on from an earlier round's model
            (a network with fresh weights needs more of them); None = ``epochs``.
        pseudo_labels: labels that the model before gives to frames nobody was asked about, see
            ``PseudoLabelOptions`` and docs/semi_supervised.md; None = there are none. ``{}`` or
            true = with the defaults.
        snapshots: states of the network on the way that are kept beside a model, for strategies
            that ask how labels changed; None = none, or 4 where the strategy asks.
        given: the options that differ from what suits the detector.
    """

    begin: Literal["previous", "start"] = Field(default="previous", alias="from")
    initial_epochs: int | None = Field(default=None, gt=0)
    pseudo_labels: PseudoLabelOptions | None = None
    snapshots: int | None = Field(default=None, ge=0)
    given: Mapping[str, Any] = {}

    @field_validator("pseudo_labels", mode="before")
    @classmethod
    def _pseudo(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return PseudoLabelOptions() if value else None
        return build(PseudoLabelOptions, value) if isinstance(value, Mapping) else value

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        own = {name: value[name] for name in _OWN if name in value}
        options = {name: item for name, item in value.items() if name not in own}
        names = [each.name for each in fields(TrainOptions)]
        for name in options:
            if name not in names:
                raise UnknownName("key of training", str(name), [*_OWN, *names])
        whole = TypeAdapter(TrainOptions).validate_python(options)
        kept = {name: getattr(whole, name) for name in options}
        return {"given": kept, **own}

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        del handler
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in self.given.items()}
        pseudo = None if self.pseudo_labels is None else asdict(self.pseudo_labels)
        own: dict[str, Any] = {"from": self.begin, "initial_epochs": self.initial_epochs}
        own["pseudo_labels"] = pseudo
        if self.snapshots is not None:
            own["snapshots"] = self.snapshots
        return {**own, **plain}


class EvaluationConfig(Model):
    """How average precision is measured.

    Attributes:
        score_floor: detections below are left out.
        iou: overlap at which a detection is right.
        unknown: a detection on an object outside the classes is a ``false_positive``, as in the
            literature on open-set detection, or left out (``ignore``).
    """

    score_floor: float = Field(default=0.05, ge=0, lt=1)
    iou: float = Field(default=0.5, gt=0, le=1)
    unknown: Literal["false_positive", "ignore"] = "false_positive"


class CampaignConfig(Model):
    """All of it.

    Attributes:
        name: of the campaign, for reports.
        simulation: what only a simulation reads.
        rounds: how many are planned; ``vidal status`` says when they are done.
        seed: root of all randomness.
        workers: processes; 0 = one a core, or one on a GPU.
        engine, ray_address, ray_gpus: see ``vidal.evidence.places.Engines``.
    """

    name: str = "campaign"
    data: DataConfig
    detector: DetectorConfig = DetectorConfig()
    selection: SelectionConfig = SelectionConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    simulation: SimulationConfig = SimulationConfig()
    rounds: int = Field(default=6, gt=0)
    seed: int = Field(default=0, ge=0)
    workers: int = Field(default=0, ge=0)
    engine: EngineName = "auto"
    ray_address: str | None = None
    ray_gpus: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one_detector(self) -> Self:
        """Detections that are given, or a detector that makes them."""
        if self.data.detections is None:
            return self
        changed = self.detector.model_copy(update={"device": "auto"})
        if (
            changed.model_copy(update={"precision": "auto", "batch": 0, "compile": False})
            != DetectorConfig()
        ):
            raise UsageError("both a detector and given detections.", hint="Drop one of them.")
        if self.training.pseudo_labels is not None:
            raise UsageError(
                "training.pseudo_labels: with given detections training is your own step."
            )
        return self

    @model_validator(mode="after")
    def _first_budget(self) -> Self:
        """Nobody knows what frames cost before there is a detector."""
        initial = self.selection.initial
        if self.detector.start == "fresh" and not Budget.parse(initial).counts_frames:
            raise UsageError(
                f"selection.initial {initial!r}: the detector starts with random weights, so that"
                " nothing tells what frames will cost.",
                hint="Give the first round a number of frames (150) or a share of them (2%).",
            )
        return self

    def changed(self, **values: Any) -> CampaignConfig:
        """The same with other values; a mapping changes keys of a section.

        ``config.changed(seed=3, selection={"strategy": "random"})``

        Raises:
            UsageError: as ``parse_config``.
        """
        plain = self.model_dump(mode="json")
        for name, value in values.items():
            section = plain.get(name)
            if isinstance(value, Mapping) and isinstance(section, dict):
                plain[name] = {**section, **value}
            else:
                plain[name] = value
        return parse_config(plain, "config")

    @property
    def place(self) -> dict[str, Any]:
        """Where the work is done, as ``vidal.evidence.places.Engines`` takes it."""
        return {name: getattr(self, name) for name in PLACE}

    def single(self) -> CampaignConfig:
        """The same as the configuration of one campaign: without what only simulations read."""
        return self.model_copy(update={"simulation": SimulationConfig()})


Value = TypeVar("Value")
PLACE = ("workers", "engine", "ray_address", "ray_gpus")
"""Keys that say where the work is done."""


def parse_config(values: Any, name: Path | str, *, base: Path | None = None) -> CampaignConfig:
    """A checked configuration from plain values.

    Args:
        values: as YAML gives them.
        name: of where they come from, for messages.
        base: what relative paths count from; None = they stay as they are.

    Raises:
        UsageError: a key or value that cannot be meant; names it, and the choices.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{name}: expected keys such as data, detector and selection.")
    try:
        config = CampaignConfig.model_validate(values)
    except ValidationError as error:
        raise refusal(name, error, CampaignConfig) from error
    except UsageError as error:
        raise UsageError(f"{name}: {error.message}", hint=error.hint) from error
    return config if base is None else with_paths(config, lambda path: (base / path).absolute())


def load_config(path: Path) -> CampaignConfig:
    """Read a YAML file; relative paths in it count from its folder.

    Raises:
        InputError: no such file, or not YAML.
        UsageError: a key or value that cannot be meant.
    """
    return parse_config(load_values(path), path, base=path.parent)


def dump_config(config: CampaignConfig) -> str:
    """As YAML, every default written out."""
    plain = config.model_dump(mode="json")
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None)


def with_paths(config: CampaignConfig, change: Any) -> CampaignConfig:
    """The configuration with ``change`` applied to every path."""

    def section(part: Model) -> dict[str, Any]:
        values = ((name, getattr(part, name)) for name in type(part).model_fields)
        return {name: change(value) for name, value in values if isinstance(value, Path)}

    data = config.data.model_copy(update=section(config.data))
    detector = config.detector.model_copy(update=section(config.detector))
    options = _tracker_paths(config.selection, change)
    selection = config.selection.model_copy(update={"tracker_options": options})
    return config.model_copy(update={"data": data, "detector": detector, "selection": selection})


def _tracker_paths(selection: SelectionConfig, change: Any) -> dict[str, Any]:
    """The options of the tracker with ``change`` applied to its file of weights."""
    options = dict(selection.tracker_options)
    weights = options.get("weights")
    if not weights or (selection.tracker == "raft" and weights == DOWNLOAD):
        return options
    return {**options, "weights": str(change(Path(str(weights))))}
