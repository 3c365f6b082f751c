"""The configuration of data: where clips and labels come from, and which clips are set aside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from vidal.evidence.given import Frames
from vidal.formats.detections import Transform
from vidal.video.rates import parse_rate

# fmt: off
DataFormat = Literal[
    "coco-video", "synthia-al", "imagenet-vid", "kitti-tracking", "mot", "bdd100k", "yolo",
    "cvat", "cvat-images", "label-studio",
]
# fmt: on
FORMATS: tuple[str, ...] = get_args(DataFormat)
"""Formats that a campaign's data may have."""


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number of at least 0, or auto")
    return value


Balance = Annotated[float | Literal["auto"] | None, BeforeValidator(_no_truth_value)]
"""Lambda of class balance; YAML's ``on`` and ``off`` are truth values, and no lambda."""


class Model(BaseModel):
    """A section: unknown keys are refused, and nothing changes once it is there."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ScenesConfig(Model):
    """Clips that vidal renders itself, at first use.

    Attributes:
        clips, test_clips: how many, of the splits train and test.
        seed: of the plan.
        frames: lowest and highest length; ``60-120`` or ``[60, 120]``.
        rate: frames a second.
        size: width and height; ``480x300`` or ``[480, 300]``.
        subset: all training clips from this row of the generation table.
        shares: relative weight of each subset instead of the table's.
        test_shares, test_frames: the same for the test clips; lengths as of the others by default.
        start_clips, start_frames, start_shares: clips whose labels are there from the beginning,
            what a deployed model was tuned on: how many, their length, and of which subsets.
        statues, test_statues, start_statues: share of the clips of each kind in which statues
            stand: objects of no class (label -1) that look like people.
        by_seed: every seed of a simulation meets training and start clips of its own; the test
            clips are the same for all.
    """

    clips: int = Field(default=20, gt=0)
    test_clips: int = Field(default=5, ge=0)
    seed: int = Field(default=0, ge=0)
    frames: tuple[int, int] = (60, 180)
    rate: int = Field(default=25, gt=0)
    size: tuple[int, int] = (480, 300)
    subset: str | None = None
    shares: dict[str, float] | None = None
    test_shares: dict[str, float] | None = None
    test_frames: tuple[int, int] | None = None
    start_clips: int = Field(default=0, ge=0)
    start_frames: tuple[int, int] = (1, 1)
    start_shares: dict[str, float] | None = None
    statues: float = Field(default=0.0, ge=0, le=1)
    test_statues: float = Field(default=0.0, ge=0, le=1)
    start_statues: float = Field(default=0.0, ge=0, le=1)
    by_seed: bool = False

    @field_validator("frames", "size", "test_frames", "start_frames", mode="before")
    @classmethod
    def _pair(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(value.replace("x", "-").split("-"))
        return value


class SplitConfig(Model):
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


class DataConfig(Model):
    """Where clips and labels come from: ``videos``, ``root`` or ``scenes``.

    Attributes:
        videos: a folder of clips.
        labels: labels of those clips, where there are some.
        format: of ``labels`` (default, and ``auto``: as the file says), or of ``root``.
        root: a data set in the layout of ``format``.
        listed: a list file of the data set, for ImageNet-VID.
        options: further options of the reader of ``format``.
        test_videos, test_labels: further clips, all for the split test.
        start_videos, start_labels: further training clips whose labels are there from the
            beginning, in a simulation too.
        scenes: clips to render.
        classes: names of the target classes; objects of other classes get label -1.
        conditions: tag -> patterns (``*-night-*``) of names or ids of clips: what results are told
            apart by. A clip may have several tags, or none.
        image_rate: frames a second of folders of images.
        split: which clips are set aside.
        detections: of one's own detector, instead of vidal's: a file, a folder or a pattern. Later
            rounds are given theirs by ``vidal select --campaign DIR --detections NEW``.
        detections_images, detections_frames, score_transform: how they are read, as of
            ``vidal select``.
    """

    videos: Path | None = None
    labels: Path | None = None
    format: DataFormat | None = None
    root: Path | None = None
    listed: Path | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    test_videos: Path | None = None
    test_labels: Path | None = None
    start_videos: Path | None = None
    start_labels: Path | None = None
    scenes: ScenesConfig | None = None
    classes: tuple[str, ...] | None = None
    conditions: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    image_rate: str = "10"
    split: SplitConfig = SplitConfig()
    detections: Path | None = None
    detections_images: Path | None = None
    detections_frames: Frames = "auto"
    score_transform: Transform = "none"

    @field_validator("format", mode="before")
    @classmethod
    def _format(cls, value: Any) -> Any:
        return None if value == "auto" else value

    @field_validator("classes")
    @classmethod
    def _classes(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and (not value or len(set(value)) < len(value)):
            raise ValueError("none, or a name twice")
        return value

    @field_validator("conditions", mode="before")
    @classmethod
    def _patterns(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {tag: (one,) if isinstance(one, str) else one for tag, one in value.items()}

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
        if (self.start_labels is None) != (self.start_videos is None):
            raise ValueError("start_videos and start_labels need each other")
        how = (self.detections_images, self.detections_frames, self.score_transform)
        if self.detections is None and how != (None, "auto", "none"):
            raise ValueError("options of given detections, but no detections")
        return self
