"""The paired bootstrap over seeds and test clips: how sure a difference of two strategies is.

A draw takes seeds with replacement and test clips with replacement, the same for every strategy
and round, so that what a seed or a clip does to all of them cancels in a difference (two-way or
pigeonhole bootstrap, Owen 2007, Annals of Applied Statistics 1(2); if anything too wide where seeds
and clips interact). Where seeds are few its percentiles are too narrow, as those of every
bootstrap; there Student's interval over the seeds is the wider one, and an interval reaches as far
as the wider of the two. On invented detectors that differ by seeds, by clips or by both
(``tools/bench_intervals.py``), it holds 95 % or more, where Student's alone falls to 61 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.random import Generator

from vidal.evaluate.clip_scores import ClipScores, mean_known
from vidal.evaluate.curves import Curve, Measure
from vidal.evaluate.intervals import Interval, mean_interval
from vidal.types import ScoreArray

Run = tuple[str, int, int]
"""Strategy, seed and round."""

DRAWS = 2000
"""Draws of seeds and clips."""


class Resampler:
    """Draws of seeds and test clips, and what every run is worth in them.

    Attributes:
        left_out: runs judged on other clips than most; they have no draws.
    """

    def __init__(
        self, scores: Mapping[Run, ClipScores], rng: Generator, *, draws: int = DRAWS
    ) -> None:
        """Draw once for all.

        Args:
            scores: of the runs that have them; may be empty.
            rng: draws.
            draws: how many.
        """
        common = Counter(each.clips for each in scores.values()).most_common(1)
        self._clips = common[0][0] if common else ()
        self._scores = {run: s for run, s in scores.items() if s.clips == self._clips}
        self.left_out = len(scores) - len(self._scores)
        n = len(self._clips)
        self._weights = rng.multinomial(n, np.full(n, 1 / n), size=draws) if n else None
        self._places = rng.random((draws, len({seed for _, seed, _ in scores})))
        self._known: dict[tuple[Run, str, str], ScoreArray] = {}

    def mean(self, curve: Curve, coefficients: ScoreArray, measure: Measure) -> ScoreArray | None:
        """(D,) mean over drawn seeds of a weighted sum over rounds, on drawn clips.

        Args:
            curve: whose seeds and rounds are meant.
            coefficients: (S, R) weight of each run; those of weight 0 need no scores.
            measure: of which number.

        Returns:
            NaN in draws where the measure is undefined; None where a run has no scores.
        """
        total = np.zeros(len(self._places))
        times = self._times_drawn(len(curve.seeds)) / len(curve.seeds)
        for s, seed in enumerate(curve.seeds):
            for r, number in enumerate(curve.rounds):
                if coefficients[s, r] == 0:
                    continue
                values = self._values((curve.strategy, seed, number), measure)
                if values is None:
                    return None
                total += times[:, s] * coefficients[s, r] * values
        return total

    def _times_drawn(self, seeds: int) -> ScoreArray:
        """(D, S) how often each seed is in each draw."""
        chosen = (self._places[:, :seeds] * seeds).astype(np.int64)
        return (chosen[:, :, None] == np.arange(seeds)).sum(axis=1).astype(np.float64)

    def _values(self, run: Run, measure: Measure) -> ScoreArray | None:
        """(D,) of a run on the drawn clips; computed once."""
        scores = self._scores.get(run)
        if scores is None or self._weights is None or measure.kind == "ap50_at_half":
            return None
        key = (run, measure.kind, measure.name)
        if key not in self._known:
            if measure.kind == "condition":
                self._known[key] = scores.ap50(self._weights * scores.under(measure.name))
            else:
                each = scores.class_aps(self._weights)
                self._known[(run, "ap50", "")] = mean_known(each)
                for name, values in zip(scores.scored.classes, each.T, strict=True):
                    self._known[(run, "class", name)] = values
        return self._known.get(key)


Combine = Callable[[ScoreArray, ScoreArray], ScoreArray]


def difference_of(
    mine: tuple[Curve, ScoreArray],
    theirs: tuple[Curve, ScoreArray] | None,
    resampler: Resampler,
    measure: Measure,
) -> Interval:
    """Mean over seeds of a weighted sum over rounds, or of the difference of two, with interval.

    Args:
        mine: a curve and (S, R) weights of its runs.
        theirs: another of the same seeds, taken off; None = nothing is.
        resampler: has the draws.
        measure: what the curves hold.

    Returns:
        ``n`` counts the seeds; the ends are infinite for one seed.
    """
    values = (mine[0].values * mine[1]).sum(axis=1)
    draws = resampler.mean(*mine, measure)
    if theirs is not None:
        values = values - (theirs[0].values * theirs[1]).sum(axis=1)
        other = resampler.mean(*theirs, measure)
        draws = None if draws is None or other is None else draws - other
    return widened(mean_interval(values), draws)


def ratio_of(
    mine: tuple[Curve, ScoreArray], theirs: tuple[Curve, ScoreArray], resampler: Resampler
) -> Interval | None:
    """Mean AP50 over that of another with the same seeds; None where that is 0.

    The interval is that of the draws; its ends are infinite where there are none.
    """
    whole = float((theirs[0].values * theirs[1]).sum(axis=1).mean())
    if whole == 0:
        return None
    value = float((mine[0].values * mine[1]).sum(axis=1).mean()) / whole
    draws = [resampler.mean(*each, Measure()) for each in (mine, theirs)]
    if len(mine[0].seeds) < 2 or draws[0] is None or draws[1] is None:
        return Interval(value, -float("inf"), float("inf"), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = draws[0] / draws[1]
    low, high = np.quantile(shares[np.isfinite(shares)], (0.025, 0.975))
    return Interval(value, float(low), float(high), len(mine[0].seeds))


def widened(students: Interval, draws: ScoreArray | None, *, level: float = 0.95) -> Interval:
    """Student's interval over seeds, as far as the percentiles of draws where these are wider."""
    known = None if draws is None else draws[~np.isnan(draws)]
    if known is None or not len(known) or students.n < 2:
        return students
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2))
    return Interval(
        students.value, min(students.low, float(low)), max(students.high, float(high)), students.n
    )


def at_round(curve: Curve, at: int) -> ScoreArray:
    """(S, R) weights that pick one round, by its place."""
    weights = np.zeros_like(curve.values)
    weights[:, at] = 1.0
    return weights


def over_area(curve: Curve) -> ScoreArray:
    """(S, R) weights that give the area under the curve over its range of labels, see ``area``."""
    if curve.values.shape[1] == 1:
        return np.ones_like(curve.values)
    steps = np.diff(curve.labelled, axis=1)
    weights = np.zeros_like(curve.values)
    weights[:, :-1] += steps / 2
    weights[:, 1:] += steps / 2
    return weights / steps.sum(axis=1, keepdims=True)


def at_boxes(curve: Curve, boxes: Sequence[float] | ScoreArray) -> ScoreArray:
    """(S, R) weights that interpolate each seed's curve at a number of boxes, kept to its range."""
    weights = np.zeros_like(curve.values)
    for s, (x, at) in enumerate(zip(curve.boxes, boxes, strict=True)):
        after = int(np.searchsorted(x, at, side="right"))
        if after in (0, len(x)):
            weights[s, min(after, len(x) - 1)] = 1.0
            continue
        share = (at - x[after - 1]) / (x[after] - x[after - 1])
        weights[s, after - 1], weights[s, after] = 1 - share, share
    return weights
