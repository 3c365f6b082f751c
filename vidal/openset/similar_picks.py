"""SIMILAR as a strategy: what it compares, and how a large pool is divided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.errors import UsageError
from vidal.openset.checks import known_probs
from vidal.openset.similar import clip_rows, gainful, gradient_directions, similarity
from vidal.query.batch import highest_rows
from vidal.query.pools import items_of, regions_of
from vidal.query.region_picks import frames_of_picks
from vidal.query.region_scores import named
from vidal.query.regions import fold
from vidal.query.select import DEFAULT_GAP, check_gap
from vidal.types import AnyGap, Explanation, Gap, IntArray, Pool, ScoreArray

Function = Literal["flcmi", "flcg", "logdetcmi"]
Directions = tuple[NDArray[Any], NDArray[Any]]

SIDE = 500
"""Labelled objects of known classes, and unknown ones, that LogDetCMI is conditioned on."""

_BLOCK = 4_096
_LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class Compared:
    """Gradients of a pool and of what is labelled, as directions.

    Attributes:
        pool: of N detections.
        query: of labelled objects of known classes.
        private: of annotated unknown objects.
        classes: (Q,) of the query.
    """

    pool: Directions
    query: Directions
    private: Directions
    classes: IntArray

    @classmethod
    def of(cls, pool: Pool, kind: Any) -> Compared:
        """With the right class of known labelled objects, and the model's own guess of others."""
        regions, items = regions_of(pool), items_of(pool).objects()
        known = items.known()
        unknown = items.keep(items.answers == items.unknown)
        return cls(
            _directions(regions.probs, regions.features, None, kind),
            _directions(known.probs, known.features, known.answers, kind),
            _directions(unknown.probs, unknown.features, None, kind),
            known.answers,
        )

    def part(self, rows: IntArray) -> Directions:
        """Of these detections."""
        return self.pool[0][rows], self.pool[1][rows]

    def likeness(self, rows: IntArray) -> tuple[ScoreArray, IntArray, ScoreArray]:
        """(n,) largest similarity to the query, which of it (-1 = none), and to the private side;
        0 where there is none."""
        n = len(rows)
        wanted, which, unwanted = np.zeros(n), np.full(n, -1), np.zeros(n)
        for at in range(0, n, _BLOCK):
            mine = self.part(rows[at : at + _BLOCK])
            here = slice(at, at + _BLOCK)
            if len(self.classes):
                found = similarity(mine, self.query)
                which[here], wanted[here] = found.argmax(axis=1), found.max(axis=1)
            if len(self.private[0]):
                unwanted[here] = similarity(mine, self.private).max(axis=1)
        return wanted, which, unwanted


def _directions(
    probs: NDArray[Any], features: NDArray[Any], labels: IntArray | None, kind: Any
) -> Directions:
    """Block by block, in the precision ``kind``; labels None = the likeliest class.

    With one class every error is 0, and features alone are compared.
    """
    n, k = len(probs), probs.shape[1] - 1
    errors, wide = np.empty((n, k), kind), np.empty((n, features.shape[1] + 1), kind)
    for at in range(0, n, _BLOCK):
        here = slice(at, at + _BLOCK)
        block = known_probs(probs[here])
        if k > 1:
            right = block.argmax(axis=1) if labels is None else labels[here]
            block[np.arange(len(block)), right] -= 1.0
        errors[here], wide[here] = gradient_directions(block, features[here])
    return errors, wide


@dataclass(frozen=True, slots=True)
class Similar:
    """Objects that resemble labelled known ones, no unknown ones, and not each other.

    SIMILAR of Kothawade et al., NeurIPS 2021, on gradients of the last layer made of class
    probabilities and features; the picks are greedy. The right class counts of Q, the model's guess
    of the pool and of P, for which it has no output (MQ-Net's copy trains one). FLCMI is the
    default: the paper's measure for pools with unknown objects whose greedy choice has a guarantee
    (MQ-Net's copy begins with LogDetCMI). While no unknown object is labelled nothing is taken off;
    where nothing is gained any more, and where no object of the classes is labelled, the most
    similar to Q and least to P come first. A pool of more than ``part`` objects is divided at
    random, and every part gives as many, as in DISTIL: time and memory stay in proportion to the
    pool. LogDetCMI is conditioned on at most 500 labelled objects of either kind, drawn. On video
    background is left out, and a frame is taken for the object that is picked.

    Attributes:
        function: flcmi (like Q and unlike P), flcg (unlike P only, needs no Q), or logdetcmi.
        eta: weight of the similarity to Q.
        nu: weight of the similarity to P.
        part: objects that are compared with each other at most.
        gap: between chosen or labelled frames of a clip, see ``Gap``; 0 = none.
    """

    function: Function = "flcmi"
    eta: float = 1.0
    nu: float = 1.0
    part: int = 4_000
    gap: AnyGap = field(default=DEFAULT_GAP, metadata={"option": False})

    def __post_init__(self) -> None:
        check_gap(self.gap)
        if self.part < 1:
            raise UsageError(f"part {self.part}: less than 1.", hint="Such as 4000.")
        for name in ("eta", "nu"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} {getattr(self, name)}: negative.", hint="Such as 1.")

    @property
    def needs(self) -> frozenset[str]:
        """Features and what is labelled; without labels only FLCG says anything."""
        labels = set() if self.function == "flcg" else {"labels"}
        return frozenset({"regions", "features", "labelled"} | labels)

    def select(self, pool: Pool, budget: int, rng: Generator) -> IntArray:
        """``min(budget, what fits)`` positions in the order picked."""
        count = len(regions_of(pool))
        order = _Order(self, self._compared(pool), rng)
        # Detections of one frame, and of neighbours, count once: more of them are asked for.
        ahead = 1 if count <= len(pool) and not Gap.of(self.gap) else 4

        def rule(number: int) -> IntArray:
            return order.first(number, ahead)

        return frames_of_picks(pool, rule, budget, rng, self.gap)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) the largest eta q - nu p of a frame's detections; the lowest of all without any."""
        regions = regions_of(pool)
        values = self._relevance(self._compared(pool), np.arange(len(regions)))
        empty = float(values.min()) if len(values) else 0.0
        return fold(values, regions.pos, len(pool), "max", empty=empty)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """What labelled objects the most relevant detection resembles."""
        regions = regions_of(pool)
        compared = self._compared(pool)
        values = self._relevance(compared, np.arange(len(regions)))
        rows = highest_rows(pool, values, positions)
        wanted, which, unwanted = compared.likeness(
            np.maximum(rows, 0) if len(values) else rows[:0]
        )
        words, like = [], np.zeros(len(rows))
        for place, row in enumerate(rows.tolist()):
            if row < 0:
                words.append("no detections: drawn at random from such frames")
                continue
            said = named(pool, row)
            if which[place] < 0:
                words.append(f"{said}: no labelled object of the classes to compare with")
                continue
            like[place] = wanted[place]
            said += (
                f": {wanted[place]:.2f} like a labelled"
                f" {pool.classes[compared.classes[which[place]]]}"
            )
            if len(compared.private[0]):
                said += f", {unwanted[place]:.2f} like an unknown object"
            words.append(said)
        return Explanation(tuple(words), {"like_known": like})

    def _compared(self, pool: Pool) -> Compared:
        """Large pools in float32."""
        large = len(regions_of(pool)) > self.part
        return Compared.of(pool, np.float32 if large else np.float64)

    def _relevance(self, compared: Compared, rows: IntArray) -> ScoreArray:
        wanted, _, unwanted = compared.likeness(rows)
        return self.eta * wanted - self.nu * unwanted


class _Order:
    """The picks of a selection: as many as were asked for so far."""

    def __init__(self, strategy: Similar, compared: Compared, rng: Generator) -> None:
        self._strategy, self._compared = strategy, compared
        count = len(compared.pool[0])
        self._shuffled = rng.permutation(count)
        self._parts = np.array_split(self._shuffled, max(1, -(-count // strategy.part)))
        wanted, _, unwanted = compared.likeness(np.arange(count))
        self._most, self._off = strategy.eta * wanted, strategy.nu * unwanted
        self._relevance = self._most - self._off
        self._greedy = self._greedy_of(rng)
        self._known: IntArray = np.zeros(0, np.int64)
        self._asked = 0

    def first(self, number: int, ahead: int) -> IntArray:
        """(number,) detections; ``ahead`` times as many are looked for at once."""
        if number > self._asked:
            self._asked = number * ahead
            each = -(-self._asked // len(self._parts))
            picks = [part[self._greedy(part, each)].tolist() for part in self._parts]
            turns = [row for turn in zip_longest(*picks) for row in turn if row is not None]
            rest = np.ones(len(self._shuffled), np.bool_)
            rest[turns] = False
            order = self._shuffled[np.argsort(-self._relevance[self._shuffled], kind="stable")]
            self._known = np.concatenate([np.array(turns, np.int64), order[rest[order]]])
        return self._known[:number]

    def _greedy_of(self, rng: Generator) -> Callable[[IntArray, int], IntArray]:
        if self._strategy.function != "logdetcmi":
            return self._covering
        query = _drawn(self._compared.query, rng)
        private = _drawn(self._compared.private, rng)
        return lambda part, budget: self._informing(part, budget, query, private)

    def _covering(self, part: IntArray, budget: int) -> IntArray:
        """Facility location on the clipped kernel of one part."""
        mutual = self._strategy.function == "flcmi"
        # Others never contribute: they are at most ``most``, or the 1 of a thing with itself.
        use = self._off[part] < (self._most[part] if mutual else 1.0)
        rows = part[use]
        alike = similarity(self._compared.part(rows), self._compared.part(part))
        most = self._most[rows] if mutual else None
        return gainful(clip_rows(alike, most, self._off[rows]), budget)

    def _informing(
        self, part: IntArray, budget: int, query: Directions, private: Directions
    ) -> IntArray:
        """LogDetCMI: what the residual variance given P loses when Q is known as well."""
        if not len(query[0]):
            return np.zeros(0, np.int64)
        mine, strategy = self._compared.part(part), self._strategy
        to_query = strategy.eta * similarity(query, mine)
        to_private = strategy.nu * similarity(private, mine)
        both = np.concatenate([query[0], private[0]]), np.concatenate([query[1], private[1]])
        given = Residual.of(private, to_private)
        informed = Residual.of(both, np.concatenate([to_query, to_private]))
        free, picks = np.ones(len(part), np.bool_), list[int]()
        while len(picks) < min(budget, len(part)):
            gains = np.log(given.left) - np.log(informed.left)
            pick = int(np.argmax(np.where(free, gains, -np.inf)))
            picks.append(pick)
            free[pick] = False
            row = similarity((mine[0][pick : pick + 1], mine[1][pick : pick + 1]), mine)[0]
            given.add(pick, row)
            informed.add(pick, row)
        return np.array(picks, np.int64)


def _drawn(side: Directions, rng: Generator) -> Directions:
    """At most ``SIDE`` of them."""
    rows = np.sort(rng.permutation(len(side[0]))[:SIDE])
    return side[0][rows], side[1][rows]


class Residual:
    """Variances of items given others under a kernel with 1 added to its diagonal."""

    def __init__(self, factor: NDArray[Any], left: ScoreArray) -> None:
        self._factors, self.left = [factor], left

    @classmethod
    def of(cls, known: Directions, to_items: NDArray[Any]) -> Residual:
        """Given (m) known ones, with similarities (m, n) to the items."""
        from scipy.linalg import cholesky, solve_triangular

        inner = similarity(known, known).astype(np.float64) + np.eye(len(known[0]))
        factor = np.asarray(to_items, np.float64)
        if len(inner):
            factor = solve_triangular(cholesky(inner, lower=True), factor, lower=True)
        return cls(factor, np.maximum(2.0 - (factor**2).sum(axis=0), _LEAST))

    def add(self, pick: int, row: NDArray[Any]) -> None:
        """One item more is known, with similarities (n,); the 1 on the diagonal is added here."""
        rest = np.asarray(row, np.float64).copy()
        rest[pick] += 1.0
        for factor in self._factors:
            rest -= factor[:, pick] @ factor
        rest /= np.sqrt(max(float(rest[pick]), _LEAST))
        self._factors.append(rest[None])
        self.left = np.maximum(self.left - rest**2, _LEAST)
