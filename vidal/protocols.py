"""The seams: what a new detector, tracker, strategy, store or engine has to offer, and no more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from numpy.random import Generator
from numpy.typing import NDArray

from vidal.types import (
    Annotations,
    Detections,
    Explanation,
    FloatArray,
    Frame,
    FrameRef,
    IntArray,
    Pool,
    Sample,
    ScoreArray,
)

Item = TypeVar("Item")
Result = TypeVar("Result")


@runtime_checkable
class Detector(Protocol):
    """Finds objects in single frames. Suite: ``tests/contract/test_detectors.py``."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names, in the order of the probability columns."""
        ...

    @property
    def key(self) -> Mapping[str, Any]:
        """What its output depends on (weights digest, options): JSON values, for content keys."""
        ...

    def detect(self, frames: Sequence[Frame]) -> Detections:
        """Detections of a batch; ``frame`` counts positions in ``frames``, all are ``scanned``."""
        ...

    def fit(
        self,
        samples: Sequence[Sample],
        rng: Generator,
        progress: Callable[[Mapping[str, float]], None] | None = None,
    ) -> Detector:
        """A new detector, trained on ``samples``; this one stays as it is."""
        ...


@runtime_checkable
class Propagator(Protocol):
    """Carries boxes to a neighbouring frame. Suite: ``tests/contract/test_propagators.py``."""

    def step(self, before: Frame, after: Frame, boxes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Boxes (N, 4) of ``before`` -> boxes (N, 4) in ``after`` and trust (N,) in [0, 1].

        Either frame may come first in time. Trust 0 = lost: the track stops.
        """
        ...


@runtime_checkable
class Motion(Protocol):
    """The motion of one clip: a propagator bound to its frames, for many boxes at once."""

    def step(
        self, before: IntArray, after: IntArray, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Boxes (N, 4), row i in frame ``before[i]`` -> the same in ``after[i]``, trust (N,).

        ``abs(after - before) == 1`` everywhere.
        """
        ...


@runtime_checkable
class Scorer(Protocol):
    """An acquisition function. Suite: ``tests/contract/test_strategies.py``."""

    @property
    def needs(self) -> frozenset[str]:
        """Pool columns it reads, and ``"regions"`` if it reads those; empty = no detector runs."""
        ...

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64, higher = ask; finite."""
        ...

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """Why these frames: one sentence each and the parts of their score."""
        ...


@runtime_checkable
class Selector(Protocol):
    """Chooses frames under a budget. Suite: ``tests/contract/test_strategies.py``."""

    @property
    def needs(self) -> frozenset[str]:
        """As for a scorer."""
        ...

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """At most ``budget`` distinct positions of the pool, the most wanted first."""
        ...

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) float64, NaN for a strategy that does not score."""
        ...

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """As for a scorer."""
        ...


@runtime_checkable
class Store(Protocol):
    """Keeps evidence between runs. Suite: ``tests/contract/test_stores.py``."""

    def get(self, key: str) -> Mapping[str, NDArray[Any]] | None:
        """The arrays put under a key, or None."""
        ...

    def peek(self, key: str, names: Collection[str]) -> Mapping[str, NDArray[Any]] | None:
        """Of these arrays only: cheap where they are small, however large the entry is."""
        ...

    def put(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays; afterwards they are there whole or, after a crash, not at all."""
        ...


@runtime_checkable
class Engine(Protocol):
    """Where clips are processed. Suite: ``tests/contract/test_engines.py``.

    Work items and results are small (references, never pixels or weights) and picklable; the
    function is importable by name, so that it can run in another process.
    """

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in the order of the items; the first exception is raised where it is due."""
        ...


@runtime_checkable
class Oracle(Protocol):
    """Answers queries: ground truth in a simulation, people in a campaign."""

    def annotate(self, round_: int, frames: Sequence[FrameRef]) -> Mapping[str, Annotations]:
        """Clip id -> labels of these frames, of all or of some, and of no others.

        Raises:
            AwaitingAnnotation: the answer takes longer than a call.
        """
        ...
