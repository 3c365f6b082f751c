"""Learning curves over seeds: means with intervals, areas, labels saved, and what may be concluded.

One row a trained round of one run (strategy and seed). Comparisons are paired by seed: what the
seed does to both (initial labels, order of training) cancels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import numpy as np

from vidal.evaluate.intervals import Interval, difference_interval, mean_interval
from vidal.types import ScoreArray

Metric = Literal["ap50", "ap50_at_half"]

ENOUGH_SEEDS = 3
"""With fewer seeds an interval says next to nothing, and no conclusion is drawn."""


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
        conditions: picked frames of every tag of the pool's clips.
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
    conditions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One trained round.

    Attributes:
        strategy: name of the query strategy; ``ALL_DATA`` for the reference.
        seed: of the run.
        round: from 0 = the initial labels.
        labelled: labelled frames that the model was trained on.
        boxes: objects on them.
        ap50, ap50_at_half: mean over classes, on the test clips; None without objects.
        classes: AP50 of each class.
        picks: of the query of this round; None for the initial labels, which are shared.
        conditions: AP50 on the test clips of each tag; None where they have no objects.
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

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Row:
        """What ``as_dict`` gave."""
        picks = values.get("picks")
        return Row(**{**values, "picks": None if picks is None else Picks(**picks)})


ALL_DATA = "all-data"
"""The name of the reference that was trained on every frame of the pool."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One strategy over its seeds.

    Attributes:
        strategy: its name.
        seeds: those of the rows, increasing; only seeds with all rounds.
        labelled: (S, R) float64 labelled frames.
        values: (S, R) float64 of the metric.
    """

    strategy: str
    seeds: tuple[int, ...]
    labelled: ScoreArray
    values: ScoreArray

    @property
    def rounds(self) -> int:
        """Number of rounds, the initial one included."""
        return self.values.shape[1]

    def intervals(self) -> list[Interval]:
        """Mean over seeds with its 95 % interval, round by round."""
        return [mean_interval(column) for column in self.values.T]

    def areas(self) -> ScoreArray:
        """(S,) area under each seed's curve."""
        return np.array(
            [area(x, y) for x, y in zip(self.labelled, self.values, strict=True)], np.float64
        )


def curves(rows: Sequence[Row], metric: Metric = "ap50") -> dict[str, Curve]:
    """The curve of every strategy in the rows, in order of appearance; ``ALL_DATA`` left out.

    A seed counts when it has a number for every round that any run has: means over different
    seeds at different rounds would not be one curve. Strategies without such a seed are left out.
    """
    mine = [row for row in rows if row.strategy != ALL_DATA]
    last = max((row.round for row in mine), default=-1)
    table: dict[str, dict[int, dict[int, tuple[int, float]]]] = {}
    for row in mine:
        value = getattr(row, metric)
        runs = table.setdefault(row.strategy, {})
        if value is not None:
            runs.setdefault(row.seed, {})[row.round] = (row.labelled, value)
    result = {}
    for strategy, runs in table.items():
        seeds = tuple(sorted(seed for seed, run in runs.items() if len(run) == last + 1))
        if seeds:
            numbers = [[runs[seed][r] for r in range(last + 1)] for seed in seeds]
            cube = np.array(numbers, dtype=np.float64)
            result[strategy] = Curve(strategy, seeds, cube[:, :, 0], cube[:, :, 1])
    return result


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


def labels_saved(curve: Curve, baseline: Curve) -> float:
    """Share of the baseline's labels that a strategy saves at equal quality, of the mean curves.

    The target is the best mean that both reach, so that both numbers exist. Negative = it needs
    more labels than the baseline. NaN where the baseline needs none: nothing can be saved of that.
    """
    mine, theirs = curve.values.mean(axis=0), baseline.values.mean(axis=0)
    target = min(float(mine.max()), float(theirs.max()))
    need = labels_needed(curve.labelled.mean(axis=0), mine, target)
    base = labels_needed(baseline.labelled.mean(axis=0), theirs, target)
    return 1 - need / base if base > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A strategy against a baseline, over the seeds that both have.

    Attributes:
        strategy, baseline: names.
        final: difference after the last round, paired by seed.
        area: difference of the areas under the curves.
        saved: see ``labels_saved``.
    """

    strategy: str
    baseline: str
    final: Interval
    area: Interval
    saved: float

    @property
    def conclusive(self) -> bool:
        """Whether the final difference is larger than the spread of enough seeds."""
        return self.final.n >= ENOUGH_SEEDS and self.final.excludes(0)

    @property
    def sentence(self) -> str:
        """In plain words, what may be concluded."""
        d, n = self.final, self.final.n
        if n < ENOUGH_SEEDS:
            runs = "1 seed" if n == 1 else f"{n} seeds"
            return (
                f"{self.strategy} ended {_signed(d.value)} against {self.baseline} on {runs};"
                " with so few nothing can be concluded."
            )
        span = f"95 % interval {_signed(d.low)} to {_signed(d.high)} over {n} seeds"
        if not self.conclusive:
            return (
                f"{self.strategy} against {self.baseline}: {_signed(d.value)} AP50 ({span})."
                " The difference is inside the seed noise."
            )
        how = "better" if d.value > 0 else "worse"
        return f"{self.strategy} is {how} than {self.baseline}: {_signed(d.value)} AP50 ({span})."


def compare(curve: Curve, baseline: Curve) -> Comparison | None:
    """A strategy against a baseline; None where they share no seed."""
    seeds = [seed for seed in curve.seeds if seed in baseline.seeds]
    if not seeds:
        return None
    mine, theirs = _of(curve, seeds), _of(baseline, seeds)
    return Comparison(
        strategy=curve.strategy,
        baseline=baseline.strategy,
        final=difference_interval(mine.values[:, -1].tolist(), theirs.values[:, -1].tolist()),
        area=difference_interval(mine.areas().tolist(), theirs.areas().tolist()),
        saved=labels_saved(mine, theirs),
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the table of results, after Table 2.2 of the thesis.

    Attributes:
        strategy: its name.
        labelled: labelled frames after the last round, mean over seeds.
        final, final_at_half: AP50 and AP50@0.5 after the last round.
        relative: final AP50 as a share of that of all data; None without that reference, or
            where it is 0.
        area: area under the learning curve.
        comparison: against the baseline; None for the baseline and for all data.
        picks: mean over seeds and rounds of every number of ``Picks`` that is known.
    """

    strategy: str
    labelled: float
    final: Interval
    final_at_half: Interval
    relative: float | None
    area: Interval | None
    comparison: Comparison | None
    picks: Mapping[str, float]


def summarise(rows: Sequence[Row], *, baseline: str = "random-r") -> list[Summary]:
    """A line for all data (where it was run) and one for every strategy, best area first."""
    by_name, at_half = curves(rows), curves(rows, "ap50_at_half")
    reference = _reference(rows)
    lines = []
    for name, curve in by_name.items():
        other = by_name.get(baseline)
        final = mean_interval(curve.values[:, -1])
        lines.append(
            Summary(
                strategy=name,
                labelled=float(curve.labelled[:, -1].mean()),
                final=final,
                final_at_half=mean_interval(at_half[name].values[:, -1]),
                relative=_share(final, reference),
                area=mean_interval(curve.areas()),
                comparison=None if other is None or name == baseline else compare(curve, other),
                picks=_mean_picks([row for row in rows if row.strategy == name]),
            )
        )
    lines.sort(key=lambda line: -line.area.value if line.area else 0.0)
    return lines if reference is None else [reference, *lines]


def _reference(rows: Sequence[Row]) -> Summary | None:
    mine = [
        (row.labelled, row.ap50, row.ap50_at_half)
        for row in rows
        if row.strategy == ALL_DATA and row.ap50 is not None and row.ap50_at_half is not None
    ]
    if not mine:
        return None
    labelled, ap50, at_half = zip(*mine, strict=True)
    return Summary(
        strategy=ALL_DATA,
        labelled=float(np.mean(labelled)),
        final=mean_interval(ap50),
        final_at_half=mean_interval(at_half),
        relative=1.0,
        area=None,
        comparison=None,
        picks={},
    )


def _share(final: Interval, reference: Summary | None) -> float | None:
    """Of the reference's AP50; None without one, or where it found nothing."""
    if reference is None or reference.final.value == 0:
        return None
    return final.value / reference.final.value


def _mean_picks(rows: Sequence[Row]) -> dict[str, float]:
    known = [row.picks for row in rows if row.picks is not None]
    result = {}
    for each in fields(Picks):
        if each.name == "conditions":
            continue
        values = [getattr(picks, each.name) for picks in known]
        values = [value for value in values if value is not None]
        if values:
            result[each.name] = float(np.mean(values))
    return result


def _of(curve: Curve, seeds: Sequence[int]) -> Curve:
    rows = [curve.seeds.index(seed) for seed in seeds]
    return Curve(curve.strategy, tuple(seeds), curve.labelled[rows], curve.values[rows])


def _signed(value: float) -> str:
    return f"{value:+.3f}"
