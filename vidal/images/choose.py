"""Which pictures of an unlabelled folder to label next, by what is labelled so far."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.detect.device import choose_device
from vidal.errors import (
    BudgetError,
    EvidenceMissing,
    InputError,
    LabelsMismatch,
    UnknownName,
    UsageError,
    WeightsError,
)
from vidal.images.config import EvidenceConfig, ImageTraining
from vidal.images.data import SMALLEST, Pictures, Pixels, same_channels
from vidal.images.encoded import Encodings, encoded, groups_of
from vidal.images.evidence import CLIP, Fitted, build_pool, check_needs, vote_watcher
from vidal.images.folders import read_flat
from vidal.images.labelled_files import read_labelled
from vidal.images.learned import learned_of
from vidal.images.networks import NetworkSpec
from vidal.images.task import Task
from vidal.images.training import Model, Scale, Stock, fit, load_model, one_thread
from vidal.protocols import Selector
from vidal.query.balance_told import BalanceTold
from vidal.query.balanced import Balanced
from vidal.query.budget import Budget
from vidal.selection.choose import remarks_of
from vidal.selection.trained import learners_of
from vidal.types import FloatArray, FrameRef, Query, ScoreArray
from vidal.words import counted

_SELECT = 22
"""Purpose of random numbers."""


@dataclass(frozen=True, slots=True)
class ChoicePlan:
    """What to choose from, and how.

    Attributes:
        pool: folder of the pictures that may be asked for.
        labelled: a folder of classes or a csv file.
        budget: pictures, or a share of the pool.
        strategy: name of the strategy.
        selector: it, ready to select.
        training: recipe; None = by the channels of the pictures.
        model: file of a classifier that is used instead of training one; None = train.
        size: that pictures are scaled to; None = they have one size.
        evidence: what is made on demand.
        seed: of everything random.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        asked: options of the strategy and class balance as they were given, for the record.
        unknown: labels that stand for none of the wanted classes.
    """

    pool: Path
    labelled: Path
    budget: Budget
    strategy: str
    selector: Selector
    training: ImageTraining | None
    model: Path | None
    size: int | None
    evidence: EvidenceConfig
    seed: int
    device: str
    asked: Mapping[str, Any] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Choice:
    """The pictures that were chosen.

    Attributes:
        query: frames of the one clip ``images``; the index is a place in ``pictures``.
        pictures: all of the pool.
        probs: (F, K) what the model says of the chosen ones.
        classes: of the model.
        labelled: pictures it was trained on, by class.
        unknown: labelled pictures of none of the classes; strategies may learn from them.
        model: the classifier.
        skipped: files that were left out, with the reason.
        settings: how it was done; JSON values.
        balance: what class balance weighed; None where it was not asked for.
        remarks: of the strategy, for the reader.
    """

    query: Query
    pictures: Pictures
    probs: FloatArray
    classes: tuple[str, ...]
    labelled: Mapping[str, int]
    unknown: int
    model: Model
    skipped: tuple[str, ...]
    settings: Mapping[str, Any]
    balance: BalanceTold | None = None
    remarks: tuple[str, ...] = ()

    @property
    def places(self) -> list[int]:
        """Of the chosen pictures in ``pictures``."""
        return [ref.index for ref in self.query.frames]


def choose_pictures(plan: ChoicePlan, tell: Callable[[str], None] = lambda _: None) -> Choice:
    """Train on what is labelled, look at the pool, and choose.

    Args:
        plan: what and how.
        tell: is told what is being done, in a word or two.

    Raises:
        InputError, UsageError: as the files and options deserve.
        BudgetError: more than the pool holds.
    """
    tell("reading pictures")
    known, classes, files, skipped = read_labelled(plan.labelled, plan.pool, size=plan.size)
    known, classes = _wanted(plan, known, classes)
    waiting, more = read_flat(plan.pool, size=plan.size, without=files)
    task = _task(plan, known, waiting, classes)
    count = plan.budget.frames(len(waiting))
    if count > len(waiting):
        why = f"{counted(count, 'picture')} of which only {len(waiting):,} can be selected"
        raise BudgetError(plan.budget.text, why, hint="Lower the budget, or add pictures.")
    with one_thread():
        fitted, trained = _fitted(plan, task, tell)
        fitted = _with_encodings(plan, fitted, tell)
        tell("choosing")
        learned = learned_of(fitted, learners_of(plan.selector), plan.selector.needs)
        pool = build_pool(fitted, plan.selector.needs, learned=learned)
        rng = np.random.default_rng([plan.seed, _SELECT])
        told: list[BalanceTold] = []
        selector = plan.selector
        if isinstance(selector, Balanced):
            selector = replace(selector, listener=told.append)
        picks = selector.select(pool, count, rng)
        scores: ScoreArray = plan.selector.score(pool)[picks]
        looks = fitted.looks().probs[picks]
    explained = plan.selector.explain(pool, picks)
    words = tuple(of_pictures(each, task.train.names) for each in explained.words)
    first = len(known)
    where = fitted.waiting[picks] - first
    frames = tuple(FrameRef(CLIP, int(place)) for place in where)
    return Choice(
        query=Query(0, frames, scores, replace(explained, words=words), count),
        pictures=waiting,
        probs=looks,
        classes=classes,
        labelled=_counts(known, classes),
        unknown=int(np.count_nonzero(known.labels == len(classes))),
        model=fitted.model,
        skipped=(*skipped, *more),
        settings={
            "strategy": plan.strategy,
            **plan.asked,
            "budget": plan.budget.text,
            "training": trained,
            "seed": plan.seed,
        },
        balance=told[-1] if told else None,
        remarks=remarks_of(plan.selector, pool),
    )


_ONE = re.compile(r"^(?:(?:mean|sum|max|top) )?(.+?) over 1 detection; [^:;]+: (.+?), score ")
_OPEN = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (r"\b0 likely unknown objects of 1 detection$", "hardly of an unknown class"),
        (r"\b1 likely unknown object( of 1 detection)?$", "likely of an unknown class"),
        (r"\b1 possible unknown object( of 1 detection)?$", "possibly of an unknown class"),
        (r"\b0 (detections unlike the known classes) of 1 detection$", "like the known classes"),
        (r"\b1 detection (unlike the known classes) of 1 detection$", r"\1"),
    )
)
_WORDS = (
    *(("frames", "pictures"), ("frame", "picture"), ("detections", "pictures")),
    *(("detection", "picture"), ("detector", "classifier")),
)


def of_pictures(words: str, names: NDArray[np.str_]) -> str:
    """A reason as of pictures: a picture is one item, and is known by its file.

    Args:
        words: of a strategy.
        names: of all pictures of the task.
    """
    words = _ONE.sub(r"\1; \2, probability ", words)
    words = re.sub(r"(an? [^,;]+|(?:^|(?<=; ))[^,;:]+), score (?=\d)", r"\1, probability ", words)
    for pattern, said in _OPEN:
        words = pattern.sub(said, words)
    known = re.compile(rf"{CLIP}@(\d+)")
    words = known.sub(lambda found: str(names[int(found[1])]), words)
    for old, new in _WORDS:
        words = re.sub(rf"\b{old}\b", new, words)
    return words


def _wanted(
    plan: ChoicePlan, known: Pictures, names: tuple[str, ...]
) -> tuple[Pictures, tuple[str, ...]]:
    """The wanted classes, and labels 0..K-1 of them; K = one of the unknown ones.

    Raises:
        UnknownName: a name that no picture is labelled with.
        UsageError: fewer than two wanted classes.
    """
    for name in plan.unknown:
        if name not in names:
            raise UnknownName("label", name, names)
    classes = tuple(name for name in names if name not in plan.unknown)
    if len(classes) < 2:
        have = f"only {classes[0]} is" if classes else "no class is"
        raise UsageError(f"unknown: {have} left that is wanted; two at least are needed.")
    number = np.array([classes.index(n) if n in classes else len(classes) for n in names], np.int64)
    return replace(known, labels=number[known.labels]), classes


def _counts(known: Pictures, classes: tuple[str, ...]) -> dict[str, int]:
    """Labelled pictures of every wanted class."""
    counts = np.bincount(known.labels, minlength=len(classes))[: len(classes)]
    return dict(zip(classes, counts.tolist(), strict=True))


def _task(plan: ChoicePlan, known: Pictures, waiting: Pictures, classes: tuple[str, ...]) -> Task:
    """Labelled pictures first, then those of the pool (with no known label)."""
    shapes = [each.pixels.shape[1:3] for each in (known, waiting)]
    if shapes[0] != shapes[1]:
        sizes = [f"{width} x {height}" for height, width in shapes]
        raise LabelsMismatch(
            plan.labelled,
            f"its pictures are {sizes[0]} pixels, those of the pool {sizes[1]}",
            hint="Give --size to scale all to one size.",
        )
    if min(shapes[0]) < SMALLEST:
        raise InputError(plan.pool, f"pictures of less than {SMALLEST} pixels a side")
    pixels: list[Pixels] = same_channels([known.pixels, waiting.pixels])
    every = Pictures(
        np.concatenate(pixels),
        np.concatenate([known.labels, waiting.labels]),
        np.concatenate([known.names, waiting.names]),
    )
    return Task(
        classes=classes,
        train=every,
        origin=np.arange(len(every)),
        initial=np.arange(len(known)),
        test=every.take(np.zeros(0, np.int64)),
        rare=(),
        original=len(waiting),
        budget=0,
    )


def _fitted(
    plan: ChoicePlan, task: Task, tell: Callable[[str], None]
) -> tuple[Fitted, dict[str, Any]]:
    """The model, trained or read, and how it came about."""
    device, needs = choose_device(plan.device, several=False), plan.selector.needs
    default = ImageTraining(recipe="small" if task.shape[2] == 1 else "small-colour")
    training = plan.training or default
    recipe, told = training.whole, training.model_dump(mode="json")
    model = None if plan.model is None else _read_model(plan.model, task, device)
    scale = Scale.of(task.train.pixels) if model is None else model.scale
    spec = NetworkSpec.of(recipe, task.shape, len(task.classes))
    if plan.model is not None and model is not None:
        spec, told = model.network.spec, {"model": plan.model.name}
        recipe = replace(recipe, dropout=spec.dropout)
        if "votes" in needs:
            why = "it watches a training, and --model is trained already"
            raise EvidenceMissing(plan.strategy, "votes", why, hint="Leave --model out.")
    check_needs(plan.strategy, plan.strategy, needs, recipe)
    stock = Stock.of(task.train.pixels, scale, device)
    votes, watch = None, None
    if "votes" in needs:
        votes, watch = vote_watcher(stock, plan.evidence.votes)
    if model is None:
        on = task.initial[task.train.labels[task.initial] < len(task.classes)]
        tell(f"training on {counted(len(on), 'picture')}")
        model = fit(
            stock.take(on),
            scale,
            task.train.labels[on],
            spec,
            recipe,
            plan.seed,
            parts=0 if watch is None else plan.evidence.votes,
            watch=watch,
        )
    own = (task, task.initial, model, stock.take, spec, recipe, scale, plan.seed, plan.evidence)
    return Fitted(*own, votes), told


def _with_encodings(plan: ChoicePlan, fitted: Fitted, tell: Callable[[str], None]) -> Fitted:
    """With what self-supervised encoders make of all pictures, where the strategy asks."""
    groups = groups_of(plan.selector.needs)
    if not groups:
        return fitted
    tell(f"training {counted(len(groups), 'encoder')} without labels")
    everything = fitted.stock(np.arange(len(fitted.task.train)))
    options = plan.evidence.encoder_options
    found: dict[str, NDArray[np.float32]] = {}
    for group in groups:
        found |= encoded(everything, fitted.spec, fitted.recipe, options, group, plan.seed)
    return replace(fitted, encodings=Encodings(found))


def _read_model(path: Path, task: Task, device: Any) -> Model:
    model, classes = load_model(path, device)
    if classes != task.classes:
        raise LabelsMismatch(
            path, f"its classes are {', '.join(classes)}; labelled are {', '.join(task.classes)}"
        )
    spec = model.network.spec
    if (*spec.size, spec.channels) != task.shape:
        own = f"{spec.size[1]} x {spec.size[0]} pixels, {spec.channels} channels"
        raise WeightsError(path, f"made for pictures of {own}", hint="Give --size.")
    return model
