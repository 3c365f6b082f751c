"""What BUAL trains: the copy of the closed-set classifier, and the auxiliary one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from vidal.openset.bual import complementary_labels, confidence, draw_subset
from vidal.openset.detector import fit_detector, logits_of
from vidal.openset.learning import (
    Batch,
    class_outputs,
    class_targets,
    teachers,
    train,
    without_background,
)
from vidal.protocols import Trunk
from vidal.types import Course, HeadSpec, IntArray, ScoreArray, Side

if TYPE_CHECKING:
    from vidal.openset.bual import Bual

_LEAST = 1e-5
_UNLABELLED = -1


def negative_loss_torch(logits: Tensor, complementary: Tensor) -> Tensor:
    """``bual.negative_loss`` of logits, with a gradient; classes < 0 stand for all of them.

    For those it is the mean over all classes (dense negative learning).
    """
    away = -torch.log((1 - logits.softmax(dim=1)).clamp(min=_LEAST))
    one = away.gather(1, complementary.clamp(min=0)[:, None])[:, 0]
    return torch.where(complementary < 0, away.mean(dim=1), one).mean()


def dense_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over all classes that an item does not have, or over all where its label is -1."""
    away = -torch.log((1 - logits.softmax(dim=1)).clamp(min=_LEAST))
    use = torch.ones_like(away)
    told = labels >= 0
    use[told, labels[told]] = 0.0
    return ((away * use).sum(dim=1) / use.sum(dim=1).clamp(min=1)).mean()


class Mixed:
    """Labelled items and a subset of the pool as the one labelled side of a trunk.

    Args:
        trunk: of both.
        rows: (m,) labelled items.
        subset: (s,) items of the pool; their answer counts as unknown, which here means unlabelled.
        steps: most of a training; 0 = no limit.
    """

    def __init__(self, trunk: Trunk, rows: IntArray, subset: IntArray, steps: int) -> None:
        self._trunk = trunk
        self._rows = rows
        self._subset = subset
        self._steps = steps
        self.known = trunk.known
        self.background = trunk.background
        self.pictures = trunk.pictures
        self.size = 0
        self.answers = np.concatenate(
            [trunk.answers[rows], np.full(len(subset), trunk.known, np.int64)]
        )

    def inputs(self, side: Side, rows: Any, rng: Generator | None = None) -> Any:
        """Of both kinds, in the order asked."""
        del side
        wanted, cut = np.asarray(rows), len(self._rows)
        first, second = np.flatnonzero(wanted < cut), np.flatnonzero(wanted >= cut)
        parts = []
        if len(first):
            parts.append(self._trunk.inputs("labelled", self._rows[wanted[first]], rng))
        if len(second):
            parts.append(self._trunk.inputs("pool", self._subset[wanted[second] - cut], rng))
        back = np.argsort(np.concatenate([first, second]))
        whole = torch.cat(parts)
        return whole[torch.from_numpy(back).to(whole.device)]

    def course(self, items: int) -> Course:
        """That of the trunk, the same rates over fewer steps where they are limited."""
        whole = self._trunk.course(items)
        if not 0 < self._steps < whole.steps:
            return whole
        share = whole.steps / self._steps
        return replace(whole, steps=self._steps, rate=lambda step: whole.rate(int(step * share)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trunk, name)


def copied_confidence(trunk: Trunk, options: Bual, seed: int) -> ScoreArray:
    """(N,) mean confidence of states of the copy while it learns negatively.

    All layers of the copy move; its head is new. Where there is background it is a class of its
    own, and left out before scoring. With one class there is nothing that an item could not be:
    then all are alike, 0. The training goes its whole length; the code's early stop by the truth,
    and open_set.md's by the overlap of picks, save time and are left out.
    """
    known, columns = trunk.known, class_outputs(trunk, trunk.known)
    rows = teachers(trunk, unknown=False)
    rng = np.random.default_rng([seed, 61])
    subset = draw_subset(trunk.size, options.subset, rng)
    total = np.zeros(trunk.size)
    if columns < 2 or not trunk.size:
        return total
    mixed = Mixed(trunk, rows, subset, options.steps)
    start = "closed" if len(rows) else "fresh"
    network = trunk.network({"logits": HeadSpec(columns)}, seed, start=start)

    def loss(batch: Batch) -> Tensor:
        logits = batch.seen.outputs["logits"]
        own = class_targets(batch.targets, known, known)  # background is the last column
        unlabelled = batch.targets == known
        own = torch.where(unlabelled, torch.full_like(own, _UNLABELLED), own)
        if options.negative == "dense":
            return dense_loss(logits, own)
        told = complementary_labels(own.cpu().numpy(), columns, rng)
        return negative_loss_torch(logits, torch.from_numpy(told).to(logits.device))

    looks = 0

    def look(number: int) -> None:
        nonlocal looks
        del number
        looks += 1
        logits = trunk.look(network, "pool").outputs["logits"]
        total[:] += confidence(_probs(logits, known), options.kind)

    every = np.arange(len(mixed.answers))
    train(mixed, network, loss, rows=every, seed=seed, looks=options.states, look=look)
    return total / max(1, looks)


def unknown_probs(trunk: Trunk, seed: int) -> tuple[ScoreArray, NDArray[np.bool_]]:
    """(N,) probability of unknown by a classifier of K+1 classes, and whether it is the largest."""
    known = trunk.known
    logits = logits_of(trunk, fit_detector(trunk, seed + 1), "pool")
    probs = _probs(logits, known + 1)
    return probs[:, -1].copy(), probs.argmax(axis=1) == known


def _probs(logits: NDArray[Any], classes: int) -> ScoreArray:
    found = softmax(without_background(logits, classes).astype(np.float64), axis=1)
    return np.asarray(found)
