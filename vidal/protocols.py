"""The seams: what a new detector, tracker, strategy, store or engine has to offer, and no more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from numpy.random import Generator
from numpy.typing import NDArray

from vidal.errors import WorkerLost
from vidal.types import (
    Annotations,
    Course,
    Detections,
    Explanation,
    FloatArray,
    Frame,
    FrameRef,
    HeadSpec,
    IntArray,
    Learned,
    Looked,
    Pool,
    Sample,
    ScoreArray,
    Side,
    Stored,
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
class Trunk(Protocol):
    """What open-set methods train on, and never ask what it is: pictures, or features of regions.

    A method brings heads, a loss, a score and a batch rule. Items are N of the pool and M labelled
    ones. Suite: ``tests/contract/test_trunks.py``.
    """

    @property
    def known(self) -> int:
        """K, the number of known classes."""
        ...

    @property
    def answers(self) -> IntArray:
        """(M,) 0..K-1 known class, K = annotated as unknown, -1 = ``BACKGROUND`` (of regions)."""
        ...

    @property
    def size(self) -> int:
        """N, items of the pool."""
        ...

    @property
    def background(self) -> bool:
        """Whether there is background: a negative that is always there, and no unknown object."""
        ...

    @property
    def pictures(self) -> bool:
        """Whether inputs are pixels, which can be turned, cropped and made up."""
        ...

    def network(
        self,
        heads: Mapping[str, HeadSpec],
        seed: int,
        *,
        projection: int | None = None,
        start: str = "fresh",
    ) -> Any:
        """A torch module: a batch of inputs -> ``Seen``.

        Args:
            heads: name -> linear layer on the features.
            seed: of the weights.
            projection: width of one trained linear layer between trunk and heads; None = none.
            start: ``fresh`` = weights from the seed; ``closed`` = the trunk of the classifier of
                the known classes in use, as it is now.
        """
        ...

    def inputs(self, side: Side, rows: Any, rng: Generator | None = None) -> Any:
        """A batch of inputs by rows of a side; with ``rng`` changed as in training (R6: never so
        for scores)."""
        ...

    def course(self, items: int) -> Course:
        """How a training on so many items goes."""
        ...

    def drawing(self, seed: int) -> Any:
        """A context in which torch draws from the seed; afterwards its generators are as before."""
        ...

    def look(self, network: Any, side: Side) -> Looked:
        """What a network makes of all items of a side, in evaluation mode."""
        ...

    def probs(self, side: Side) -> FloatArray:
        """(n, K) float32 of the classifier in use; rows sum to 1, background left out."""
        ...

    def frozen(self, side: Side) -> FloatArray:
        """(n, D) float32 features that no label has shaped: of the detector, or self-supervised."""
        ...


@runtime_checkable
class Learner(Protocol):
    """A strategy that trains on a trunk before it scores; states ``"trunk"`` in its needs."""

    def learn(self, trunk: Trunk, seed: int) -> Learned:
        """Train, and say of every item what the score will read. Same seed, same arrays."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """A strategy that learns from its last query; states ``"asked"`` in its needs."""

    def memory(self, pool: Pool, rows: IntArray) -> Mapping[str, NDArray[Any]]:
        """Name -> one value for each of these rows of ``pool.regions``, to be kept with the query:
        the columns of ``Pool.asked`` next time."""
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

    def put(
        self, key: str, arrays: Mapping[str, NDArray[Any]], about: Stored | None = None
    ) -> None:
        """Keep arrays; afterwards they are there whole or, after a crash, not at all.

        ``about``: what ``known`` will say of them.
        """
        ...

    def known(self, keys: Sequence[str]) -> Sequence[Stored | None]:
        """What is there, None where nothing is; no entry is read to learn it.

        An entry that was put without ``about`` is a ``Stored("")``.
        """
        ...

    def scan(
        self, keys: Sequence[str], names: Collection[str] | None = None
    ) -> Iterator[tuple[int, Mapping[str, NDArray[Any]]]]:
        """Entries (position in ``keys``, arrays as of ``peek``) in the order in which they lie.

        Those that are not there, or damaged, are left out. ``names``: of these arrays; None = all.
        """
        ...

    def drop(self, keys: Sequence[str]) -> None:
        """Forget entries; those that are not there are no error."""
        ...

    def pack(self) -> None:
        """Put what was added one by one together, so that much of it is read at once."""
        ...


@runtime_checkable
class Engine(Protocol):
    """Where clips are processed. Suite: ``tests/contract/test_engines.py``.

    Work items and results are small (references, never pixels or weights) and picklable; the
    function is importable by name, so that it can run in another process.
    """

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        lost: Callable[[Item, WorkerLost], Result] | None = None,
    ) -> Iterator[Result]:
        """Results in the order of the items; the first exception is raised where it is due.

        An item whose worker is killed is tried again on another one: an item may be worked on more
        than once. One that has cost three workers is given up: its result is ``lost(item, error)``,
        or the error is raised where it is due.
        """
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
