"""What strategies learn of a round's pictures, and what a method's own classifier is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidal.errors import UsageError
from vidal.images.evidence import Fitted
from vidal.images.training import Stock
from vidal.images.trunk import PictureTrunk, look_with
from vidal.protocols import Learner
from vidal.types import IntArray, Learned

_LEARN = 41
"""Purpose of random numbers."""


def trunk_of(fitted: Fitted, needs: frozenset[str]) -> PictureTrunk:
    """The trunk of a round: pictures that may be asked for, and all that are answered."""
    encodings, frozen = fitted.encodings, None
    if "frozen" in needs and encodings is not None:
        frozen = {
            "pool": encodings.columns(["frozen"], fitted.waiting)["frozen"],
            "labelled": encodings.columns(["frozen"], fitted.labelled)["frozen"],
        }
    return PictureTrunk(
        fitted.stock(fitted.waiting),
        fitted.stock(fitted.labelled),
        fitted.task.train.labels[fitted.labelled],
        fitted.model,
        fitted.recipe,
        body=fitted.body,
        looks=fitted.looks(),
        frozen=frozen,  # type: ignore[arg-type]
    )


def learned_of(
    fitted: Fitted, learners: Sequence[Learner], needs: frozenset[str]
) -> tuple[Learned, ...]:
    """What each of the strategies learns, the outermost first; nothing where none does."""
    if not learners:
        return ()
    trunk = trunk_of(fitted, needs)
    seeds = np.random.SeedSequence([fitted.seed, _LEARN]).generate_state(len(learners), np.uint64)
    return tuple(
        each.learn(trunk, int(seed >> np.uint64(2)))
        for each, seed in zip(learners, seeds, strict=True)
    )


def own_labels(name: str, learned: Sequence[Learned], stock: Stock) -> IntArray:
    """(n,) the class that a method's own classifier gives each picture.

    Raises:
        UsageError: the method has none.
    """
    for each in learned:
        if each.network is not None and each.known_probs is not None:
            found = each.known_probs(look_with(each.network, stock).outputs)
            return np.asarray(found).argmax(axis=1).astype(np.int64)
    raise UsageError(
        f"{name}: judge: own, and this strategy has no classifier of its own.",
        hint="Leave judge out: the classifier that all strategies share is judged.",
    )
