"""The configuration of a simulation on image pools: one YAML file, unknown keys refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import (
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from vidal.campaign.config_data import Model
from vidal.campaign.config_errors import refusal
from vidal.campaign.config_simulation import MainConfig
from vidal.errors import UnknownName, UsageError
from vidal.formats._yaml import load_values
from vidal.images.open_classes import SPLITS
from vidal.images.prices import number_of_images
from vidal.images.recipes import RECIPES, EncoderOptions, Recipe, VaalOptions
from vidal.pretrain.options import SimSiamOptions

Semi = Literal["two-model", "ceal"]


class ImageDataConfig(Model):
    """Where images come from.

    Attributes:
        path: a folder of classes or an npz file; counts from the folder of the configuration.
        test: share of each class that becomes the test part where the set has none.
        size: height and width that all pictures are scaled to; None = they have one size.
        pool: training images that are drawn for each seed; None = all.
        test_images: test images that are judged, drawn once for all seeds; None = all.
        known: how many classes are known; images of the others are unknown: they may be asked
            for, and the judged classifier is not trained on them. None = all.
        openness: share of the classes that is unknown, instead of ``known``.
        split: which classes are known: ``drawn`` for each seed, ``first`` = the first ones, or
            those of a paper on CIFAR-10 (``vidal.images.open_classes.SPLITS``).
        noise: share of the pool that is unknown (MQ-Net): all known images, and as many unknown
            ones as that takes; with ``pool``, so many of each as make up the pool. None = the
            images as they are.
    """

    path: Path
    test: float = Field(default=0.2, gt=0, lt=1)
    size: int | None = Field(default=None, ge=8, le=512)
    pool: int | None = Field(default=None, gt=1)
    test_images: int | None = Field(default=None, gt=0)
    known: int | None = Field(default=None, ge=2)
    openness: float | None = Field(default=None, ge=0, lt=1)
    split: str = "drawn"
    noise: float | None = Field(default=None, ge=0, lt=1)

    @field_validator("split")
    @classmethod
    def _named(cls, value: str) -> str:
        if value not in SPLITS:
            raise UnknownName("split of classes", value, SPLITS)
        return value

    @model_validator(mode="after")
    def _once(self) -> Self:
        if self.known is not None and self.openness is not None:
            raise ValueError("known and openness say the same: give one of them")
        return self


class ImageCost(Model):
    """What labels cost; ``budget`` counts in this (MQ-Net, section 5.5).

    Attributes:
        known: an image of a known class.
        unknown: an image that turns out to be none.
    """

    known: float = Field(default=1.0, gt=0, lt=1e6)
    unknown: float = Field(default=1.0, gt=0, lt=1e6)


class ImageTraining(Model):
    """How the classifier is trained: a recipe of ``RECIPES`` and what differs from it.

    Attributes:
        recipe: ``small`` (grey images), ``small-colour``, ``thesis``, ``lfo``.
        given: fields of ``Recipe`` with other values.
    """

    recipe: str = "small"
    given: Mapping[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        name = str(value.get("recipe", "small"))
        if name not in RECIPES:
            raise UnknownName("training recipe", name, tuple(RECIPES))
        given = _given(value, "recipe")
        return {"recipe": name, "given": _fields(Recipe, given, "training", ["recipe"])}

    @model_serializer(mode="plain")
    def _plain(self) -> dict[str, Any]:
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in self.given.items()}
        return {"recipe": self.recipe, **plain}

    @property
    def whole(self) -> Recipe:
        """The recipe with everything set."""
        return replace(RECIPES[self.recipe], **self.given)


def _given(value: Mapping[str, Any], own: str) -> dict[str, Any]:
    """The fields of a dataclass among the keys of a section, or as it was written out."""
    rest = {key: each for key, each in value.items() if key != own}
    written = rest.get("given")
    return dict(written) if list(rest) == ["given"] and isinstance(written, Mapping) else rest


def _fields(kind: type, given: Mapping[str, Any], section: str, more: list[str]) -> dict[str, Any]:
    """Values of some fields of a dataclass, checked.

    Raises:
        UnknownName: a field it does not have.
    """
    names = [each.name for each in fields(kind)]
    for name in given:
        if name not in names:
            raise UnknownName(f"key of {section}", str(name), [*more, *names])
    try:
        whole: Any = TypeAdapter(kind).validate_python(dict(given))
    except UsageError as error:
        raise UsageError(f"{section}: {error.message}", hint=error.hint) from error
    return {name: getattr(whole, name) for name in given}


class EvidenceConfig(Model):
    """What is computed for the strategies that ask for it.

    Attributes:
        passes: stochastic passes (dropout), as of ``bald``.
        members: networks of an ensemble, the judged one among them.
        votes: how often in a training the label of every image of the pool is noted.
        vaal: options of VAAL.
        encoders: options of the self-supervised encoders (SimCLR, CSI), trained once a seed.
    """

    passes: int = Field(default=10, ge=2)
    members: int = Field(default=5, ge=2)
    votes: int = Field(default=20, ge=2)
    vaal: Mapping[str, Any] = {}
    encoders: Mapping[str, Any] = {}

    @field_validator("vaal", mode="before")
    @classmethod
    def _vaal(cls, value: Any) -> Any:
        return (
            _fields(VaalOptions, value, "evidence.vaal", [])
            if isinstance(value, Mapping)
            else value
        )

    @field_validator("encoders", mode="before")
    @classmethod
    def _encoders(cls, value: Any) -> Any:
        return (
            _fields(EncoderOptions, value, "evidence.encoders", [])
            if isinstance(value, Mapping)
            else value
        )

    @property
    def encoder_options(self) -> EncoderOptions:
        """With everything set."""
        return EncoderOptions(**self.encoders)

    @property
    def vaal_options(self) -> VaalOptions:
        """With everything set."""
        return VaalOptions(**self.vaal)


class SemiConfig(Model):
    """Training on images whose label is the model's own.

    Attributes:
        share: of ``two-model``: of the pool that is pseudo-labelled.
        by: of ``two-model``: the surest are those of lowest ``dispersion`` or ``entropy``.
        start, decay: of ``ceal``: entropy below ``start`` - ``decay`` x round is sure enough.
    """

    share: float = Field(default=0.1, gt=0, lt=1)
    by: Literal["dispersion", "entropy"] = "dispersion"
    start: float = Field(default=0.05, ge=0)
    decay: float = Field(default=0.0033, ge=0)


class ImagePretraining(Model):
    """SimSiam on the images of the pool, without labels, once a seed.

    Attributes:
        frozen: what it learned stays as it is, and trainings fit the last layer alone.
        given: fields of ``SimSiamOptions`` with other values.
    """

    frozen: bool = False
    given: Mapping[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        given = _given(value, "frozen")
        own = {key: value[key] for key in value if key == "frozen"}
        return {**own, "given": _fields(SimSiamOptions, given, "pretrain", ["frozen"])}


class ImageVariant(Model):
    """A strategy under a name of its own.

    Attributes:
        strategy: query strategy.
        options: of the strategy.
        balance: weight of class balance; ``auto`` finds it; None = none.
        known_only: what is likely of an unknown class counts less.
        semi: train on pseudo-labels as well, by one of two schemes.
        pseudo: options of ``semi``.
        judge: whose accuracy counts: that of the classifier which all strategies share
            (``shared``), so that they differ by what they bought alone, or that of the method's
            ``own``.
    """

    strategy: str
    options: dict[str, Any] = Field(default_factory=dict)
    balance: float | Literal["auto"] | None = None
    known_only: bool = False
    semi: Semi | None = None
    pseudo: SemiConfig = SemiConfig()
    judge: Literal["shared", "own"] = "shared"

    @field_validator("balance")
    @classmethod
    def _weight(cls, value: Any) -> Any:
        if isinstance(value, float) and not 0 <= value < float("inf"):
            raise ValueError("a weight is a number from 0, or auto")
        return value


class ImageSimulation(Model):
    """What is compared.

    Attributes:
        strategies: names of strategies and of ``variants``.
        seeds: runs of every strategy.
        variants: name -> a strategy with other values.
        main: the comparison that is named before the run.
        all_data: changes of ``training`` where all images of the pool are labelled.
    """

    strategies: tuple[str, ...] = ("entropy",)
    seeds: int = Field(default=3, gt=0)
    variants: dict[str, ImageVariant] = Field(default_factory=dict)
    main: MainConfig | None = None
    all_data: dict[str, Any] = Field(default_factory=dict)

    @field_validator("all_data")
    @classmethod
    def _training(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _fields(Recipe, value, "simulation.all_data", [])


class ImagesConfig(Model):
    """All of it.

    Attributes:
        name: for reports.
        imbalance: share of its images that each rare class keeps, in (0, 1]; the initial set is
            drawn before.
        rare: names of the rare classes; None = half of the classes, drawn for each seed.
        initial: images labelled at the start; a share counts from the pool, with ``initial_from:
            known`` from its known images.
        initial_from: ``classes`` = equally many of each known class; ``known`` = drawn from known
            images (LfOSA and its successors); ``plain`` = drawn from the pool, unknown ones too
            (MQ-Net); ``exact`` = the same with the pool's share of unknown ones (its code).
        budget: images asked for in a round, or what they may cost; a share counts from the pool.
        bought_unknowns: what becomes of unknown images that were asked for: they ``leave`` the
            pool, or ``return`` to it and may be asked for again (code of LfOSA and NEAT).
        cost: of a label.
        rounds: trained, the initial one included.
        pretrain: all networks of a seed begin with what SimSiam learned from the images of its
            pool; None = they begin with random weights.
        seed: the first one.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        workers: processes; 0 = one a core, or one on a GPU.
    """

    name: str = "images"
    data: ImageDataConfig
    imbalance: float = Field(default=1.0, gt=0, le=1)
    rare: tuple[str, ...] | None = None
    initial: str = "10%"
    initial_from: Literal["classes", "known", "plain", "exact"] = "classes"
    budget: str = "5%"
    bought_unknowns: Literal["leave", "return"] = "leave"
    cost: ImageCost = ImageCost()
    rounds: int = Field(default=5, gt=0)
    training: ImageTraining = ImageTraining()
    evidence: EvidenceConfig = EvidenceConfig()
    simulation: ImageSimulation = ImageSimulation()
    pretrain: ImagePretraining | None = None
    seed: int = Field(default=0, ge=0)
    device: str = "auto"
    workers: int = Field(default=0, ge=0)

    @field_validator("initial", "budget", mode="before")
    @classmethod
    def _budget(cls, value: Any) -> str:
        return number_of_images(str(value)).text

    @model_validator(mode="after")
    def _rare_has_a_use(self) -> Self:
        if self.rare is not None and self.imbalance == 1:
            raise ValueError("rare classes need an imbalance below 1")
        return self

    def with_data(
        self,
        path: Path | None,
        imbalance: float | None = None,
        openness: float | None = None,
        noise: float | None = None,
    ) -> ImagesConfig:
        """The same with other data, or another mixture of them; None = as it is.

        Raises:
            UsageError: a share that cannot be meant.
        """
        plain = self.model_dump(mode="json")
        if path is not None:
            plain["data"]["path"] = str(path)
        if imbalance is not None:
            plain["imbalance"] = imbalance
        if openness is not None:
            plain["data"] |= {"openness": openness, "known": None}
        if noise is not None:
            plain["data"]["noise"] = noise
        return parse_images(plain, "config", base=None)


def parse_images(values: Any, name: Path | str, *, base: Path | None) -> ImagesConfig:
    """A checked configuration from plain values.

    Args:
        values: as YAML gives them.
        name: of where they come from, for messages.
        base: what a relative path of the data counts from; None = it stays as it is.

    Raises:
        UsageError: a key or value that cannot be meant; names it, and the choices.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{name}: expected keys such as data, training and simulation.")
    try:
        config = ImagesConfig.model_validate(values)
    except ValidationError as error:
        raise refusal(name, error, ImagesConfig) from error
    except UsageError as error:
        raise UsageError(f"{name}: {error.message}", hint=error.hint) from error
    if base is None:
        return config
    data = config.data.model_copy(update={"path": (base / config.data.path).absolute()})
    return config.model_copy(update={"data": data})


def load_images_config(path: Path) -> ImagesConfig:
    """Read a YAML file.

    Raises:
        InputError: no such file, or not YAML.
        UsageError: a key or value that cannot be meant.
    """
    return parse_images(load_values(path), path, base=path.parent)


def dump_images_config(config: ImagesConfig) -> str:
    """As YAML, every default written out."""
    plain = config.model_dump(mode="json")
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None)
