"""The configuration of a campaign: one YAML file, every key with a default, unknown keys refused.

Relative paths count from the folder of the file. ``campaign.yaml`` of a campaign is the same thing
with every default written out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from vidal.campaign.config_errors import refusal
from vidal.detect.options import Precision, TrainOptions
from vidal.errors import InputError, UnknownName, UsageError
from vidal.formats._files import check_regular
from vidal.formats._yaml import parse_yaml
from vidal.query.budget import Budget
from vidal.track.raft import DOWNLOAD
from vidal.video.rates import parse_rate

# fmt: off
DataFormat = Literal[
    "coco-video", "synthia-al", "imagenet-vid", "kitti-tracking", "mot", "bdd100k", "yolo",
    "cvat", "cvat-images", "label-studio",
]
# fmt: on
FORMATS: tuple[str, ...] = get_args(DataFormat)
"""Formats that a campaign's data may have."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScenesConfig(_Model):
    """Clips that vidal renders itself, at first use.

    Attributes:
        clips, test_clips: how many, of the splits train and test.
        seed: of the plan.
        frames: lowest and highest length; ``60-120`` or ``[60, 120]``.
        rate: frames a second.
        size: width and height; ``480x300`` or ``[480, 300]``.
        subset: all training clips from this row of the generation table.
        shares: relative weight of each subset instead of the table's.
    """

    clips: int = Field(default=20, gt=0)
    test_clips: int = Field(default=5, ge=0)
    seed: int = Field(default=0, ge=0)
    frames: tuple[int, int] = (60, 180)
    rate: int = Field(default=25, gt=0)
    size: tuple[int, int] = (480, 300)
    subset: str | None = None
    shares: dict[str, float] | None = None

    @field_validator("frames", "size", mode="before")
    @classmethod
    def _pair(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(value.replace("x", "-").split("-"))
        return value


class SplitConfig(_Model):
    """Which clips are set aside; whole clips, never single frames.

    Attributes:
        validation, test: a share of the clips, or patterns (``night-*``) of their names or ids.
        seed: of the draw, where shares are given.
    """

    validation: float | tuple[str, ...] = 0.0
    test: float | tuple[str, ...] = 0.0
    seed: int = Field(default=0, ge=0)

    @field_validator("validation", "test", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("validation", "test")
    @classmethod
    def _share(cls, value: float | tuple[str, ...]) -> float | tuple[str, ...]:
        if isinstance(value, float) and not 0 <= value < 1:
            raise ValueError("a share has to be in [0, 1)")
        return value


class DataConfig(_Model):
    """Where clips and labels come from: ``videos``, ``root`` or ``scenes``.

    Attributes:
        videos: a folder of clips.
        labels: labels of those clips, where there are some.
        format: of ``labels`` (default ``coco-video``), or of ``root``.
        root: a data set in the layout of ``format``.
        listed: a list file of the data set, for ImageNet-VID.
        options: further options of the reader of ``format``.
        test_videos, test_labels: further clips, all for the split test.
        scenes: clips to render.
        classes: names of the target classes; objects of other classes get label -1.
        image_rate: frames a second of folders of images.
        split: which clips are set aside.
    """

    videos: Path | None = None
    labels: Path | None = None
    format: DataFormat | None = None
    root: Path | None = None
    listed: Path | None = None
    options: dict[str, Any] = {}
    test_videos: Path | None = None
    test_labels: Path | None = None
    scenes: ScenesConfig | None = None
    classes: tuple[str, ...] | None = None
    image_rate: str = "10"
    split: SplitConfig = SplitConfig()

    @field_validator("classes")
    @classmethod
    def _classes(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and (not value or len(set(value)) < len(value)):
            raise ValueError("none, or a name twice")
        return value

    @field_validator("image_rate", mode="before")
    @classmethod
    def _image_rate(cls, value: Any) -> str:
        parse_rate(str(value))
        return str(value)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [n for n in ("videos", "root", "scenes") if getattr(self, n) is not None]
        if len(given) != 1:
            have = " and ".join(given) or "none of them"
            raise ValueError(f"one of videos, root and scenes is needed, and {have} given")
        if self.root is not None and self.format is None:
            raise ValueError("root needs a format")
        if self.test_labels is not None and self.test_videos is None:
            raise ValueError("test_labels needs test_videos")
        return self


class DetectorConfig(_Model):
    """The detector before the first training.

    Attributes:
        name: as of ``vidal select --detector``.
        weights: checkpoint of one's own.
        classes: which classes of the checkpoint are used, or the names of one that has none.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        batch: frames it sees at once; 0 = what suits the device.
        start: ``weights``, or ``fresh`` = random weights, drawn from the campaign's seed.
    """

    name: str = "auto"
    weights: Path | None = None
    classes: tuple[str, ...] | None = None
    device: str = "auto"
    precision: Precision = "auto"
    batch: int = Field(default=0, ge=0)
    start: Literal["weights", "fresh"] = "weights"

    @model_validator(mode="after")
    def _fresh_is_named(self) -> Self:
        if self.start == "fresh" and (self.name == "auto" or self.weights is not None):
            raise ValueError("start: fresh needs the name of a network, and no weights")
        return self


class SelectionConfig(_Model):
    """How frames are chosen.

    Attributes:
        strategy: query strategy of all rounds but the first.
        options: of the strategy.
        gap: frames excluded on either side of a chosen or labelled one.
        budget: of a round; a share of all frames of the training clips, or a number.
        initial: budget of the first round.
        initial_strategy: of the first round.
        threshold: detections with a higher score count.
        coherence, flow: options of temporal coherence and of the optical flow.
        expected: options of expected errors.
        random_share: of each query but the first that is drawn at random, in [0, 1).
        tracker: what carries boxes to neighbouring frames, as of ``vidal select --tracker``.
        tracker_options: of the tracker; ``weights`` is a path.
    """

    strategy: str = "expected-errors"
    options: dict[str, Any] = {}
    gap: int = Field(default=3, ge=0)
    budget: str = "2%"
    initial: str = "2%"
    initial_strategy: str = "random"
    threshold: float = Field(default=0.5, ge=0, le=1)
    coherence: dict[str, Any] = {}
    flow: dict[str, Any] = {}
    expected: dict[str, Any] = {}
    random_share: float = Field(default=0.0, ge=0, lt=1)
    tracker: str = "auto"
    tracker_options: dict[str, Any] = {}

    @field_validator("budget", "initial", mode="before")
    @classmethod
    def _budget(cls, value: Any) -> str:
        return Budget.parse(str(value)).text


class TrainingConfig(_Model):
    """How the detector is fitted: options of ``TrainOptions``, by name, and where it starts.

    Attributes:
        begin: ``previous`` = from the model of the round before, ``start`` = anew; the key is
            ``from``.
        initial_epochs: epochs of a training that does not go on from an earlier round's model
            (a network with fresh weights needs more of them); None = ``epochs``.
        given: the options that differ from what suits the detector.
    """

    begin: Literal["previous", "start"] = Field(default="previous", alias="from")
    initial_epochs: int | None = Field(default=None, gt=0)
    given: Mapping[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        own = {name: value[name] for name in ("from", "initial_epochs") if name in value}
        options = {name: item for name, item in value.items() if name not in own}
        names = [each.name for each in fields(TrainOptions)]
        for name in options:
            if name not in names:
                raise UnknownName("key of training", str(name), ["from", "initial_epochs", *names])
        whole = TypeAdapter(TrainOptions).validate_python(options)
        kept = {name: getattr(whole, name) for name in options}
        return {"given": kept, **own}

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        del handler
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in self.given.items()}
        return {"from": self.begin, "initial_epochs": self.initial_epochs, **plain}


class EvaluationConfig(_Model):
    """How average precision is measured.

    Attributes:
        score_floor: detections below are left out.
        iou: overlap at which a detection is right.
    """

    score_floor: float = Field(default=0.05, ge=0, lt=1)
    iou: float = Field(default=0.5, gt=0, le=1)


class CampaignConfig(_Model):
    """All of it.

    Attributes:
        name: of the campaign, for reports.
        rounds: how many are planned; ``vidal status`` says when they are done.
        seed: root of all randomness.
        workers: processes; 0 = one a core, or one on a GPU.
    """

    name: str = "campaign"
    data: DataConfig
    detector: DetectorConfig = DetectorConfig()
    selection: SelectionConfig = SelectionConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    rounds: int = Field(default=6, gt=0)
    seed: int = Field(default=0, ge=0)
    workers: int = Field(default=0, ge=0)

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


Value = TypeVar("Value")


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


def load_values(path: Path) -> dict[str, Any]:
    """The plain values of a YAML file.

    Raises:
        InputError: no such file, or not YAML with keys; see ``vidal.formats._yaml``.
    """
    try:
        if path.exists():
            check_regular(path)
        text = path.read_text("utf-8")
    except OSError as error:
        raise InputError(path, (error.strerror or str(error)).lower()) from error
    except UnicodeDecodeError as error:
        raise InputError(path, "not a YAML file (not UTF-8)") from error
    values = parse_yaml(text, path)
    if not isinstance(values, dict):
        raise InputError(path, "expected keys such as data, detector and selection")
    return values


def dump_config(config: CampaignConfig) -> str:
    """As YAML, every default written out."""
    plain = config.model_dump(mode="json")
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None)


def with_paths(config: CampaignConfig, change: Any) -> CampaignConfig:
    """The configuration with ``change`` applied to every path."""

    def section(part: _Model) -> dict[str, Any]:
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
