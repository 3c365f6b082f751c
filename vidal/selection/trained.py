"""Columns of a pool's detections that nobody stored: heads are trained for them, or layers asked.

Strategies name them in ``needs``; they are made after the pool is built and are not kept: the same
seed and the same labels give the same columns. With "heads" in ``needs`` small networks are trained
on what is labelled (``vidal.heads``); else the detector itself is asked, as far as it can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.detect.spec import DetectorSpec
from vidal.errors import EvidenceMissing
from vidal.evidence.given import GivenDetections
from vidal.protocols import Learner
from vidal.selection.draws import HEADS, TRUNK, step_rng
from vidal.types import Items, Pool, Regions

HEAD_COLUMNS = ("passes", "members", "votes", "predicted_loss", "labelledness")
"""What heads give."""

_FIRST = "Label a first round chosen by another strategy, such as random."
_BY_HEADS = "use --option by=heads"
_WHY: Mapping[str, tuple[str, str]] = {
    "passes": (
        "the detector has no dropout layer: all its passes would be the same",
        f"Once frames are labelled, {_BY_HEADS} (a dropout head on its features).",
    ),
    "votes": (
        "no snapshots of the detector's training are there",
        f"Train in a campaign with training.snapshots: 4, or {_BY_HEADS} (needs labels).",
    ),
    "members": (
        "no snapshots of the detector's training are there",
        f"Train in a campaign with training.snapshots: 4, or {_BY_HEADS} (needs labels).",
    ),
    "logits": (
        "the detector does not tell the weights of its last layer",
        "Use a detector of vidal's own, or another strategy, such as certainty.",
    ),
    "suppressed": (
        "the detector does not tell how many boxes each detection stands for",
        "Use a detector of vidal's own, or another strategy.",
    ),
}


@dataclass(frozen=True, slots=True)
class Trainer:
    """Makes the columns of one selection.

    Attributes:
        strategy: as users write it, for refusals.
        needs: of the strategy.
        detector: whose detections they are.
        seed: of the campaign or the run.
        number: of the round.
        snapshots: whether earlier states of the detector were looked at.
        learners: what trains on regions before it scores, the innermost last.
    """

    strategy: str
    needs: frozenset[str]
    detector: DetectorSpec
    seed: int
    number: int
    snapshots: bool = False
    learners: tuple[Learner, ...] = ()

    def check(self, labelled: int) -> None:
        """Refuse what cannot be had, before anything is computed.

        Args:
            labelled: how many frames are.

        Raises:
            EvidenceMissing: with the way out.
        """
        silent = isinstance(self.detector, GivenDetections) or self.detector.name == "detectron2"
        if self.needs & {"heads", "labels", "trunk"} and not labelled:
            raise self._refusal("labels", "learns from labels, and no frame is labelled", _FIRST)
        if "heads" in self.needs:
            return
        if "passes" in self.needs:
            raise self._refusal("passes", *_WHY["passes"])
        for name in sorted(self.needs & {"votes", "members"}):
            if not self.snapshots:
                raise self._refusal(name, *_WHY[name])
        for name in sorted(self.needs & {"logits", "suppressed"}):
            if silent:
                raise self._refusal(name, *_WHY[name])

    def complete(self, pool: Pool) -> Pool:
        """The pool with every column of its detections that the strategy needs.

        Raises:
            EvidenceMissing: one cannot be had.
        """
        if pool.regions is None:
            return pool
        columns: dict[str, NDArray[Any]] = dict(pool.regions.columns)
        if "heads" in self.needs:
            columns |= self._of_heads(pool, pool.regions)
        if "logits" in self.needs:
            columns["logits"] = self._logits(pool.regions)
        for name in sorted(self.needs & {*HEAD_COLUMNS, *_WHY}):
            if name not in columns:
                raise self._refusal(name, *_WHY[name])
        whole = replace(pool, regions=replace(pool.regions, columns=columns))
        return self._learned(whole, whole.regions) if self.learners else whole

    def _learned(self, pool: Pool, regions: Regions | None) -> Pool:
        """With what strategies learned on a trunk of regions."""
        from vidal.heads.trunk import RegionTrunk  # torch

        assert regions is not None
        if "trunk" not in self.needs and (pool.items is None or not len(pool.items)):
            return pool  # they do without, as long as nothing is labelled
        items = self._items(pool)
        trunk = RegionTrunk(items, regions.features, regions.probs)
        rng = step_rng(self.seed, self.number, TRUNK)
        more, about = dict(regions.columns), dict(items.columns)
        for learner in self.learners:
            found = learner.learn(trunk, int(rng.integers(2**62)))
            more |= found.pool
            about |= found.labelled
        return replace(
            pool, regions=replace(regions, columns=more), items=replace(items, columns=about)
        )

    def _of_heads(self, pool: Pool, regions: Regions) -> dict[str, NDArray[Any]]:
        items = self._items(pool)
        rng = step_rng(self.seed, self.number, HEADS)
        makers = column_makers()
        wanted = [name for name in HEAD_COLUMNS if name in self.needs]
        return {name: makers[name](items, regions.features, rng) for name in wanted}

    def _items(self, pool: Pool) -> Items:
        """What heads learn from.

        Raises:
            EvidenceMissing: too little for one.
        """
        items = pool.items
        if items is None or not len(items):
            why = "learns from labelled detections, and the detector finds none on labelled frames"
            raise self._refusal("heads", why, _FIRST)
        teaching = np.unique(items.answers[items.answers != items.unknown])
        if len(teaching) < 2 and self.needs & set(HEAD_COLUMNS) - {"labelledness"}:
            why = "learns to tell classes apart, and all labelled detections are of one kind"
            raise self._refusal("heads", why, "Label more frames with another strategy first.")
        return items

    def _logits(self, regions: Regions) -> NDArray[np.float32]:
        """(N, K) float32 by the last layer of the detector, from the stored features.

        Raises:
            EvidenceMissing: it does not tell that layer.
        """
        layer = getattr(self.detector.load(), "class_layer", None)
        if layer is None:
            raise self._refusal("logits", *_WHY["logits"])
        weight, offset = layer()
        return np.asarray(regions.features.astype(np.float32) @ weight + offset)

    def _refusal(self, column: str, why: str, hint: str) -> EvidenceMissing:
        return EvidenceMissing(self.strategy, column, why, hint=hint)


Maker = Callable[[Items, NDArray[Any], Generator], NDArray[Any]]


def column_makers() -> dict[str, Maker]:
    """Column -> what makes it of labelled items, features of the pool and random numbers."""
    # Imported here: heads are torch's, and few strategies want them.
    from vidal.heads.classifier import head_members, head_passes, head_votes
    from vidal.heads.learning_loss import predicted_loss
    from vidal.heads.options import HeadOptions, VaalOptions
    from vidal.heads.vaal import labelledness

    head, vaal = HeadOptions(), VaalOptions()
    return {
        "passes": lambda items, features, rng: head_passes(items, features, rng, head),
        "members": lambda items, features, rng: head_members(items, features, rng, head),
        "votes": lambda items, features, rng: head_votes(items, features, rng, head),
        "predicted_loss": lambda items, features, rng: predicted_loss(items, features, rng, head),
        "labelledness": lambda items, features, rng: labelledness(
            items.features, features, rng, vaal
        ),
    }


def learners_of(selector: Any) -> tuple[Learner, ...]:
    """Strategies that train on a trunk: this one and those that it wraps."""
    found: list[Learner] = []
    while selector is not None:
        if isinstance(selector, Learner):
            found.append(selector)
        selector = getattr(selector, "inner", None)
    return tuple(found)
