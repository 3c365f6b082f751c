"""Strategies of other packages: what they raise, or give in a wrong shape, is said by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.random import Generator

from vidal.errors import PluginError, VidalError
from vidal.protocols import Selector
from vidal.types import Explanation, IntArray, Pool, ScoreArray

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Foreign:
    """A selector of another package; its faults are ``PluginError``, also where it is used.

    Attributes:
        inner: the selector.
        name: as users write it.
        package: the distribution it comes with.
    """

    inner: Selector
    name: str
    package: str

    @property
    def needs(self) -> frozenset[str]:
        """What it reads."""
        return self.inner.needs

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64, as the package gives it."""
        scores = self._guarded(lambda: np.asarray(self.inner.score(pool), np.float64))
        if scores.shape != (len(pool),):
            raise self._refused(f"score() gave shape {scores.shape} for {len(pool)} frames")
        return scores

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """As the package gives it: words and parts for every position."""
        given = self._guarded(lambda: self.inner.explain(pool, positions))
        if not isinstance(given, Explanation):
            raise self._refused(f"explain() gave {type(given).__name__}, not Explanation")
        for what, values in {"words": given.words, **given.parts}.items():
            if len(values) != len(positions):
                raise self._refused(
                    f"explain() gave {len(values)} {what} for {len(positions)} frames"
                )
        return given

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """Positions, as the package or vidal's rounds over clips choose them."""
        self.score(pool)  # of a wrong shape, it would be named by whatever trips over it
        return self._guarded(lambda: self.inner.select(pool, budget, rng))

    def _guarded(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except VidalError:
            raise
        except Exception as error:
            raise self._refused(f"{type(error).__name__}: {error}") from error

    def _refused(self, why: str) -> PluginError:
        return PluginError("strategy", self.name, self.package, why)
