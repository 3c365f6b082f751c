"""Learning curves over seeds: means with intervals, areas, and labels saved.

One row a trained round of one run (strategy and seed).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from vidal.evaluate.intervals import Interval, mean_interval
from vidal.types import ScoreArray


@dataclass(frozen=True, slots=True)
class Picks:
    """What a query's frames held, known from the truth; None where there is no number.

    Attributes:
        frames: how many were picked.
        false_positives, misses: true errors of the model that chose, in the picked frames.
        redundancy: mean distance in frames to the nearest other pick of the clip.
        balance: entropy of the classes of the picked objects over ln K; 1 = balanced.
        fp_precision, fp_recall, fn_precision, fn_recall: of the error estimates, over the pool.
        fp_spearman, fn_spearman: rank correlation of estimated with true counts, frame by frame;
            0 for an estimate that says the same of every frame, None where the truth does.
        score_spearman: so of the strategy's score with the true number of errors.
        wrong: picked images that the model that chose had wrong.
        query_precision, query_recall: see ``vidal.evaluate.selection``, where some classes are
            unknown. Of frames: known objects among the objects that the model that chose detected.
        unknown: objects outside the classes on the picked frames.
        conditions: picked frames of every tag of the pool's clips.
        known: picked images of known classes.
        cost: of the picked images, where labels of known and unknown ones differ in cost.
    """

    frames: int
    false_positives: int | None = None
    misses: int | None = None
    redundancy: float | None = None
    balance: float | None = None
    fp_precision: float | None = None
    fp_recall: float | None = None
    fn_precision: float | None = None
    fn_recall: float | None = None
    fp_spearman: float | None = None
    fn_spearman: float | None = None
    score_spearman: float | None = None
    wrong: int | None = None
    query_precision: float | None = None
    query_recall: float | None = None
    unknown: int | None = None
    conditions: Mapping[str, int] = field(default_factory=dict)
    known: int | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One trained round.

    Attributes:
        strategy: name of the query strategy; ``ALL_DATA`` for the reference.
        seed: of the run.
        round: from 0 = the initial labels.
        labelled: labelled frames that the model was trained on.
        boxes: objects on them.
        ap50, ap50_at_half: mean over classes, on the test clips; None without objects. Of image
            pools ``ap50`` is the quality that is measured there (``Terms``): the accuracy.
        classes: AP50 of each class.
        picks: of the query of this round; None for the initial labels, which are shared.
        conditions: AP50 on the test clips of each tag; None where they have no objects.
        pseudo_labels: what the model was trained on beside the labels, and how many of these boxes
            are right; None = nothing.
        l1_score: how unbalanced the classes of all labels so far are, in [0, 1] (thesis Eq. 4.10,
            cumulative); None in rows of older versions.
        unknown: objects outside the classes on the labelled frames; None in rows of older versions.
        hours: that annotating all of it took, at the rates of the configuration; None likewise.
    """

    strategy: str
    seed: int
    round: int
    labelled: int
    boxes: int
    ap50: float | None
    ap50_at_half: float | None
    classes: Mapping[str, float | None] = field(default_factory=dict)
    picks: Picks | None = None
    conditions: Mapping[str, float | None] = field(default_factory=dict)
    pseudo_labels: Mapping[str, Any] | None = None
    l1_score: float | None = None
    unknown: int | None = None
    hours: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Row:
        """What ``as_dict`` gave."""
        picks = values.get("picks")
        return Row(**{**values, "picks": None if picks is None else Picks(**picks)})


Budget = Literal["labelled", "boxes", "hours"]
"""What labels are counted in: frames, the boxes on them, or hours of annotators' work."""

ALL_DATA = "all-data"
"""The name of the reference that was trained on every frame of the pool."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Which number of a row is told.

    Attributes:
        kind: AP50 over all classes (``ap50``), with a score above 0.5 (``ap50_at_half``), of one
            class, or on the test clips of one condition.
        name: of the class or condition.
    """

    kind: Literal["ap50", "ap50_at_half", "class", "condition"] = "ap50"
    name: str = ""

    def of(self, row: Row) -> float | None:
        """The number; None where the row has none."""
        if self.kind == "class":
            return row.classes.get(self.name)
        if self.kind == "condition":
            return row.conditions.get(self.name)
        return row.ap50 if self.kind == "ap50" else row.ap50_at_half


AP50 = Measure()
AP50_AT_HALF = Measure("ap50_at_half")


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One strategy over its seeds.

    Attributes:
        strategy: its name.
        seeds: those of the rows, increasing; only seeds with all rounds.
        rounds: numbers of the R rounds.
        labelled: (S, R) float64 labelled frames.
        boxes: (S, R) float64 objects on them.
        values: (S, R) float64 of the measure.
        hours: (S, R) float64 of annotators' work; None where rows do not say it.
    """

    strategy: str
    seeds: tuple[int, ...]
    rounds: tuple[int, ...]
    labelled: ScoreArray
    boxes: ScoreArray
    values: ScoreArray
    hours: ScoreArray | None = None

    def intervals(self) -> list[Interval]:
        """Mean over seeds with Student's 95 % interval, round by round."""
        return [mean_interval(column) for column in self.values.T]

    def areas(self) -> ScoreArray:
        """(S,) area under each seed's curve."""
        return np.array(
            [area(x, y) for x, y in zip(self.labelled, self.values, strict=True)], np.float64
        )


def curves(rows: Sequence[Row], measure: Measure = AP50) -> dict[str, Curve]:
    """The curve of every strategy in the rows, in order of appearance; ``ALL_DATA`` left out.

    A seed counts when it has a number for every round that any run has: means over different
    seeds at different rounds would not be one curve. Strategies without such a seed are left out.
    """
    mine = [row for row in rows if row.strategy != ALL_DATA]
    last = max((row.round for row in mine), default=-1)
    names = dict.fromkeys(row.strategy for row in mine)
    found = {name: _curve(mine, name, tuple(range(last + 1)), measure) for name in names}
    return {name: curve for name, curve in found.items() if curve is not None}


def reference_curve(rows: Sequence[Row], measure: Measure = AP50) -> Curve | None:
    """That of ``ALL_DATA``, a single round; None where it was not run or has no number."""
    last = max((row.round for row in rows if row.strategy == ALL_DATA), default=0)
    return _curve(rows, ALL_DATA, (last,), measure)


def _curve(
    rows: Sequence[Row], strategy: str, rounds: tuple[int, ...], measure: Measure
) -> Curve | None:
    table: dict[int, dict[int, tuple[float, float, float, float]]] = {}
    for row in rows:
        value, hours = measure.of(row), math.nan if row.hours is None else row.hours
        if row.strategy == strategy and row.round in rounds and value is not None:
            table.setdefault(row.seed, {})[row.round] = (row.labelled, row.boxes, value, hours)
    seeds = tuple(sorted(seed for seed, run in table.items() if len(run) == len(rounds)))
    if not seeds:
        return None
    cube = np.array([[table[seed][r] for r in rounds] for seed in seeds], dtype=np.float64)
    spent = None if np.isnan(cube[:, :, 3]).any() else cube[:, :, 3]
    return Curve(strategy, seeds, rounds, cube[:, :, 0], cube[:, :, 1], cube[:, :, 2], spent)


def area(labelled: Sequence[float] | ScoreArray, values: Sequence[float] | ScoreArray) -> float:
    """Area under one curve over its range of labels: the mean value, trapezoid by trapezoid.

    The value itself where there is one point only.

    Raises:
        ValueError: no points, or labels that do not increase.
    """
    x, y = np.asarray(labelled, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if not len(x) or len(x) != len(y) or (np.diff(x) <= 0).any():
        raise ValueError("labelled: none, not as many as values, or not increasing")
    return float(np.trapezoid(y, x) / (x[-1] - x[0])) if len(x) > 1 else float(y[0])


def labels_needed(
    labelled: Sequence[float] | ScoreArray, values: Sequence[float] | ScoreArray, target: float
) -> float:
    """Labels at which a curve first reaches a value, by linear interpolation; NaN if it does not.

    At most the first point's labels where the curve starts above the target.
    """
    x, y = np.asarray(labelled, dtype=np.float64), np.asarray(values, dtype=np.float64)
    reached = np.flatnonzero(y >= target)
    if not len(reached):
        return float("nan")
    at = int(reached[0])
    if at == 0:
        return float(x[0])
    share = (target - y[at - 1]) / (y[at] - y[at - 1])
    return float(x[at - 1] + share * (x[at] - x[at - 1]))


def labels_saved(curve: Curve, baseline: Curve, of: Budget = "labelled") -> float:
    """Share of the baseline's labels that a strategy saves at equal quality, of the mean curves.

    The target is the best mean that both reach, so that both numbers exist. Counted are the labels
    beyond those that the baseline began with. Negative = it needs more than the baseline. NaN where
    the baseline needs none: nothing can be saved of that.

    Args:
        curve: of the strategy.
        baseline: of the same seeds.
        of: labelled frames, the boxes on them, or hours, where both curves have them.
    """
    sides = (
        (getattr(each, of).mean(axis=0), each.values.mean(axis=0)) for each in (curve, baseline)
    )
    return saved_between(*sides)


def saved_between(
    mine: tuple[ScoreArray, ScoreArray], theirs: tuple[ScoreArray, ScoreArray]
) -> float:
    """As ``labels_saved``, of two curves given as (R,) labels and (R,) values."""
    target = min(float(mine[1].max()), float(theirs[1].max()))
    start = float(theirs[0][0])
    need = labels_needed(*mine, target) - start
    base = labels_needed(*theirs, target) - start
    return 1 - need / base if base > 0 else float("nan")


def of_seeds(curve: Curve, seeds: Sequence[int]) -> Curve:
    """The same with these of its seeds."""
    rows = [curve.seeds.index(seed) for seed in seeds]
    return replace(
        curve,
        seeds=tuple(seeds),
        labelled=curve.labelled[rows],
        boxes=curve.boxes[rows],
        values=curve.values[rows],
        hours=None if curve.hours is None else curve.hours[rows],
    )
