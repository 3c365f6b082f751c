"""What labels cost, and how many of a query are paid for (MQ-Net, section 5.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vidal.errors import BudgetError
from vidal.query.budget import Budget
from vidal.types import FloatArray, IntArray

_SLACK = 1e-9
"""Sums of costs such as 0.1 are not exact."""


def number_of_images(text: str) -> Budget:
    """A budget in images or a share of them; boxes and time are none here.

    Raises:
        BudgetError: another one, or none that can be meant.
    """
    try:
        budget = Budget.parse(text)
        budget.frames(1)
    except BudgetError as error:
        hint = "Give a number of pictures (150) or a share of them (2%)."
        raise BudgetError(error.text, error.why, hint=hint) from error
    return budget


@dataclass(frozen=True, slots=True)
class Prices:
    """What labels cost, and what may be spent.

    Attributes:
        known, unknown: one label, > 0.
        classes: K; labels below are known.
        budget: of a round.
    """

    known: float
    unknown: float
    classes: int
    budget: float

    def of(self, labels: IntArray) -> float:
        """Of all these labels."""
        return float(self._each(labels).sum())

    @property
    def most(self) -> int:
        """Images that are paid for if all of them are as cheap as can be."""
        return int(self.budget / min(self.known, self.unknown) + _SLACK)

    @property
    def sure(self) -> int:
        """Images that are paid for whatever they are."""
        return int(self.budget / max(self.known, self.unknown) + _SLACK)

    def less(self, labels: IntArray) -> Prices:
        """With what is left of the budget when all these are labelled."""
        return replace(self, budget=max(0.0, self.budget - self.of(labels)))

    def paid_for(self, labels: IntArray) -> int:
        """How many are labelled, in their order, before the next one would cost too much.

        What an image costs is known when it is labelled. With costs of 1 a number of images.
        """
        spent = self._each(labels).cumsum()
        return int(np.searchsorted(spent, self.budget + _SLACK, side="right"))

    def _each(self, labels: IntArray) -> FloatArray:
        return np.where(labels < self.classes, self.known, self.unknown)
