"""A strategy against a baseline, paired by seed: differences, their intervals, what is concluded.

Pairing cancels what the seed does to both (initial labels, first model, order of training).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from vidal.evaluate.curves import (
    AP50,
    Budget,
    Curve,
    Measure,
    labels_saved,
    of_seeds,
    saved_between,
)
from vidal.evaluate.intervals import Interval
from vidal.evaluate.resampling import (
    Resampler,
    at_boxes,
    at_round,
    difference_of,
    over_area,
)
from vidal.evaluate.significance import (
    beyond_zero,
    corrected_ps,
    holm,
    sign_flip_p,
    smallest_difference,
)
from vidal.evaluate.terms import FRAMES, Terms
from vidal.types import ScoreArray

ENOUGH_SEEDS = 3
"""With fewer seeds an interval says next to nothing, and no conclusion is drawn."""

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """A strategy against a baseline, over the seeds that both have.

    Attributes:
        strategy, baseline: names.
        seeds: S seeds that both have.
        rounds: difference after each round, the initial one first.
        at_boxes: difference after each round where both have as many labelled boxes: as many as
            the one with fewer, the other's curve interpolated.
        focus: the round that conclusions are about.
        labelled: mean labelled frames then, of the strategy.
        area: difference of the areas under the curves.
        saved, saved_boxes: see ``labels_saved``; its interval is that of the draws, infinite where
            there are none, and its value NaN where nothing can be saved.
        differences: (S,) after that round, one a seed.
        p_seeds: of no difference then, by flipped signs of the seeds' differences.
        p_draws: the same by the draws of seeds and test clips, see ``beyond_zero``; None without.
        corrected: the larger of both, each corrected for being one of many; of the main one as
            they are.
        family: how many comparisons it was corrected for.
        main: it was named before the run.
        detectable: the true difference that these seeds show with 80 % power; None for one seed.
        terms: the words that it is told in.
        labelled_base: the same of the baseline, which differs where budgets are no numbers of
            frames; None = as many.
        saved_hours: as ``saved``, of hours of annotation; None where rows do not say them.
    """

    strategy: str
    baseline: str
    seeds: tuple[int, ...]
    rounds: tuple[Interval, ...]
    at_boxes: tuple[Interval, ...]
    focus: int
    labelled: float
    area: Interval
    saved: Interval
    saved_boxes: Interval
    differences: ScoreArray
    p_seeds: float
    p_draws: float | None
    corrected: float
    family: int
    main: bool
    detectable: float | None
    terms: Terms = FRAMES
    saved_hours: Interval | None = None
    labelled_base: float | None = None

    @property
    def difference(self) -> Interval:
        """After the round that conclusions are about."""
        return self.rounds[self.focus]

    @property
    def final(self) -> Interval:
        """After the last round."""
        return self.rounds[-1]

    @property
    def conclusive(self) -> bool:
        """Whether the difference is more than chance.

        The comparison that was named before the run: its interval excludes 0. All others: the
        corrected p is below 0.05. Never with fewer than ``ENOUGH_SEEDS`` seeds.
        """
        if self.difference.n < ENOUGH_SEEDS:
            return False
        if self.main:
            return self.difference.excludes(0)
        return self.corrected < SIGNIFICANT and self.difference.excludes(0)

    @property
    def sentence(self) -> str:
        """In plain words, what may be concluded."""
        d, n, score = self.difference, self.difference.n, self.terms.score
        where = self._where()
        if n < ENOUGH_SEEDS:
            runs = "1 seed" if n == 1 else f"{n} seeds"
            return (
                f"{self.strategy} was {signed(d.value)} {score} against {self.baseline} {where} on"
                f" {runs}; with so few nothing can be concluded."
            )
        span = f"95 % interval {signed(d.low)} to {signed(d.high)} over {n} seeds{self._chance()}"
        if self.conclusive:
            how = "better" if d.value > 0 else "worse"
            said = f"{self.strategy} is {how} than {self.baseline} {where}: "
            return f"{said}{signed(d.value)} {score} ({span}).{self._power()}"
        return (
            f"{self.strategy} against {self.baseline} {where}: {signed(d.value)} {score} ({span})."
            f" That is too little for a conclusion.{self._power()}"
        )

    def _where(self) -> str:
        """After which labels; of both where they differ."""
        mine, theirs, items = f"{self.labelled:,.0f}", self.labelled_base, self.terms.items
        if theirs is None or f"{theirs:,.0f}" == mine:
            return f"at {mine} labelled {items}"
        return f"after round {self.focus} ({mine} labelled {items} against {theirs:,.0f})"

    def _chance(self) -> str:
        if self.main:
            return ", the comparison named before the run"
        text = f", p = {p_text(self.corrected)}"
        return text if self.family == 1 else f"{text} corrected for {self.family} comparisons"

    def _power(self) -> str:
        if self.detectable is None:
            return ""
        return (
            f" With {self.difference.n} seeds a difference of {self.detectable:.3f} could have been"
            " seen with 80 % power."
        )


def compare(
    curve: Curve,
    baseline: Curve,
    resampler: Resampler,
    rng: Generator,
    *,
    focus: int = -1,
    terms: Terms = FRAMES,
) -> Comparison | None:
    """A strategy against a baseline; None where they share no seed.

    Args:
        curve, baseline: of AP50.
        resampler: has draws of the runs that have scores; the others rest on their seeds alone.
        rng: draws patterns of signs where there are many seeds.
        focus: place of the round that conclusions are about; negative = from the end.
        terms: the words that it is told in.
    """
    seeds = [seed for seed in curve.seeds if seed in baseline.seeds]
    if not seeds:
        return None
    mine, theirs = of_seeds(curve, seeds), of_seeds(baseline, seeds)
    count = mine.values.shape[1]
    focus %= count
    differences = mine.values[:, focus] - theirs.values[:, focus]
    p_seeds = sign_flip_p(differences, rng)
    p_draws = _beyond_zero(mine, theirs, focus, resampler)
    return Comparison(
        strategy=curve.strategy,
        baseline=baseline.strategy,
        seeds=mine.seeds,
        rounds=tuple(difference_at(mine, theirs, r, resampler) for r in range(count)),
        at_boxes=tuple(_at_equal_boxes(mine, theirs, r, resampler) for r in range(count)),
        focus=focus,
        labelled=float(mine.labelled[:, focus].mean()),
        area=difference_of((mine, over_area(mine)), (theirs, over_area(theirs)), resampler, AP50),
        saved=_saved(mine, theirs, "labelled", resampler),
        saved_boxes=_saved(mine, theirs, "boxes", resampler),
        differences=differences,
        p_seeds=p_seeds,
        p_draws=p_draws,
        corrected=max(p_seeds, p_draws or 0.0),
        family=1,
        main=False,
        detectable=smallest_difference(differences),
        terms=terms,
        labelled_base=float(theirs.labelled[:, focus].mean()),
        saved_hours=_saved(mine, theirs, "hours", resampler)
        if mine.hours is not None and theirs.hours is not None
        else None,
    )


def difference_at(
    mine: Curve, theirs: Curve, at: int, resampler: Resampler, measure: Measure = AP50
) -> Interval:
    """Difference after one round (by its place) of two curves of the same seeds."""
    return difference_of(
        (mine, at_round(mine, at)), (theirs, at_round(theirs, at)), resampler, measure
    )


def _beyond_zero(mine: Curve, theirs: Curve, at: int, resampler: Resampler) -> float | None:
    draws = [resampler.mean(curve, at_round(curve, at), AP50) for curve in (mine, theirs)]
    if draws[0] is None or draws[1] is None:
        return None
    return beyond_zero(draws[0] - draws[1])


def _at_equal_boxes(mine: Curve, theirs: Curve, at: int, resampler: Resampler) -> Interval:
    boxes = np.minimum(mine.boxes[:, at], theirs.boxes[:, at])
    sides = (mine, at_boxes(mine, boxes)), (theirs, at_boxes(theirs, boxes))
    return difference_of(*sides, resampler, AP50)


def _saved(mine: Curve, theirs: Curve, of: Budget, resampler: Resampler) -> Interval:
    """Labels saved, and how sure that is: the mean curves of every draw are read anew."""
    value, n = labels_saved(mine, theirs, of), len(mine.seeds)
    sides = []
    for curve in (mine, theirs):
        places = range(curve.values.shape[1])
        drawn = [resampler.mean(curve, at_round(curve, at), AP50) for at in places]
        known = [each for each in drawn if each is not None]
        if n < 2 or len(known) < len(drawn):
            return Interval(value, -float("inf"), float("inf"), n)
        sides.append((getattr(curve, of).mean(axis=0), np.stack(known, axis=1)))
    (x, drawn_mine), (base, drawn_theirs) = sides
    pairs = zip(drawn_mine, drawn_theirs, strict=True)
    shares = np.array([saved_between((x, a), (base, b)) for a, b in pairs])
    shares = shares[~np.isnan(shares)]
    if not len(shares):
        return Interval(value, -float("inf"), float("inf"), n)
    low, high = np.quantile(shares, (0.025, 0.975))
    return Interval(value, float(low), float(high), n)


def corrected(
    comparisons: Mapping[str, Comparison], main: str | None, rng: Generator
) -> dict[str, Comparison]:
    """The same, corrected for being many; the one named before the run stands by itself.

    Flipped signs by ``corrected_ps`` where all rest on the same seeds, else by Holm, as the draws:
    seeds tell nothing of the choice of test clips, and draws are too sure of few seeds.
    """
    others = {name: each for name, each in comparisons.items() if name != main}
    if len({each.seeds for each in others.values()}) == 1:
        ps = corrected_ps({name: each.differences for name, each in others.items()}, rng)
    else:
        ps = holm({name: each.p_seeds for name, each in others.items()})
    drawn = holm({name: each.p_draws or 0.0 for name, each in others.items()})
    return {
        name: replace(each, main=True)
        if name == main
        else replace(each, corrected=max(ps[name], drawn[name]), family=len(others))
        for name, each in comparisons.items()
    }


def signed(value: float) -> str:
    """``+0.031``."""
    return f"{value:+.3f}"


def p_text(value: float) -> str:
    """A p with two digits that matter: ``0.34``, ``0.0078``."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"
