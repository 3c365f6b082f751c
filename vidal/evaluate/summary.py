"""The table of results of a simulation: one line a strategy, and where training is the limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.random import Generator

from vidal.evaluate.clip_scores import ClipScores
from vidal.evaluate.comparison import Comparison, compare, corrected, difference_at
from vidal.evaluate.curves import (
    ALL_DATA,
    AP50_AT_HALF,
    Curve,
    Measure,
    Picks,
    Row,
    curves,
    of_seeds,
    reference_curve,
)
from vidal.evaluate.intervals import Interval, mean_interval
from vidal.evaluate.resampling import (
    Resampler,
    Run,
    at_round,
    difference_of,
    over_area,
    ratio_of,
)
from vidal.evaluate.terms import FRAMES, Terms
from vidal.words import counted

QUERY_PRECISION = "query precision"
UNKNOWN_PER_FRAME = "unknown a pick"


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of a strategy: AP50 of a class or condition.

    Attributes:
        value: mean over seeds.
        difference: from the baseline, paired; None for the baseline itself.
    """

    value: Interval
    difference: Interval | None


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """One line of the table of results, after Table 2.2 of the thesis.

    Attributes:
        strategy: its name.
        labelled, boxes: labelled frames and boxes on them after each round, means over seeds; for
            all data, one number.
        values: AP50 after each round.
        outside, hours: unknown objects on the labelled frames, and hours of annotators' work, after
            each round, means over seeds; empty where rows do not say it.
        shares: the same as a share of that of all data; None without that reference, or where it
            found nothing.
        final_at_half: AP50@0.5 after the last round.
        area: area under the learning curve; None for all data.
        comparison: against the baseline; None for the baseline and for all data.
        unknown: query precision, and unknown objects of a picked frame (``QUERY_PRECISION``,
            ``UNKNOWN_PER_FRAME``), over all queries; empty where no strategy met unknown objects.
        classes, conditions: AP50 of each after the round that conclusions are about; those that
            have a number.
        picks: mean over seeds and rounds of every number of ``Picks`` that is known.
        first: the same of the first query alone, for which all strategies of a seed had one model:
            true errors of later picks are those of different models, and do not compare.
        picked: condition -> share of the picked frames that show it, over seeds and rounds.
        l1_score: of the labels after the last round, mean over seeds: 0 = equal counts of all
            classes; None where rows do not say it.
    """

    strategy: str
    labelled: tuple[float, ...]
    boxes: tuple[float, ...]
    values: tuple[Interval, ...]
    shares: tuple[Interval | None, ...]
    final_at_half: Interval | None
    area: Interval | None
    comparison: Comparison | None
    classes: Mapping[str, Cell]
    conditions: Mapping[str, Cell]
    picks: Mapping[str, float]
    first: Mapping[str, float]
    picked: Mapping[str, float]
    l1_score: float | None = None
    unknown: Mapping[str, Cell] = field(default_factory=dict)
    outside: tuple[float, ...] = ()
    hours: tuple[float, ...] = ()

    @property
    def final(self) -> Interval:
        """AP50 after the last round."""
        return self.values[-1]

    @property
    def relative(self) -> float | None:
        """Final AP50 as a share of that of all data."""
        return None if self.shares[-1] is None else self.shares[-1].value


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """All that is told of a simulation's rows.

    Attributes:
        lines: one for all data (where it was run) and one for every strategy, best area first.
        limits: where training, not labels, is the limit; a sentence each.
        focus: the round that conclusions are about.
        resampled: intervals cover the choice of test clips, too; else of seeds alone.
        left_out: runs that were judged on other test clips than most.
    """

    lines: tuple[Summary, ...]
    limits: tuple[str, ...]
    focus: int
    resampled: bool
    left_out: int


def summarise(
    rows: Sequence[Row],
    rng: Generator,
    *,
    baseline: str = "random-r",
    scores: Mapping[Run, ClipScores] | None = None,
    main: tuple[str, int] | None = None,
    terms: Terms = FRAMES,
) -> Results:
    """Tell what the rows say.

    Args:
        rows: of the finished runs.
        rng: of the bootstrap and of flipped signs.
        baseline: what the others are compared with.
        scores: judged test clips of runs (strategy, seed, round); without, intervals rest on the
            seeds alone.
        main: the one comparison that was named before the run: a strategy and a round.
        terms: the words that it is told in.
    """
    resampler = Resampler(scores or {}, rng)
    every = curves(rows)
    last = max((len(curve.rounds) for curve in every.values()), default=1) - 1
    if main is not None and main[1] > last:
        main = None  # not there yet: nothing stands in for it
    focus = last if main is None else main[1]
    found = _Lines(rows, resampler, baseline, focus)
    comparisons = {}
    for name, curve in every.items():
        if name != baseline and baseline in every:
            other = compare(curve, every[baseline], resampler, rng, focus=focus, terms=terms)
            if other is not None:
                comparisons[name] = other
    comparisons = corrected(comparisons, None if main is None else main[0], rng)
    lines = [found.line(name, curve, comparisons.get(name)) for name, curve in every.items()]
    lines.sort(key=lambda line: -line.area.value if line.area else 0.0)
    reference = found.reference_line()
    return Results(
        lines=tuple(lines if reference is None else [reference, *lines]),
        limits=tuple(_limits(every, found.reference, resampler, terms)),
        focus=focus,
        resampled=bool(scores) and resampler.left_out < len(scores or {}),
        left_out=resampler.left_out,
    )


class _Lines:
    """Makes the lines of a table."""

    def __init__(
        self, rows: Sequence[Row], resampler: Resampler, baseline: str, focus: int
    ) -> None:
        self.rows = rows
        self.resampler = resampler
        self.baseline = baseline
        self.focus = focus
        self.reference = reference_curve(rows)
        self.at_half = curves(rows, AP50_AT_HALF)
        names = dict.fromkeys(name for row in rows for name in row.classes)
        tags = dict.fromkeys(name for row in rows for name in row.conditions)
        measures = [Measure("class", n) for n in names] + [Measure("condition", n) for n in tags]
        self.parts = {each: curves(rows, each) for each in measures}

    def line(self, name: str, curve: Curve, comparison: Comparison | None) -> Summary:
        """Of one strategy."""
        half = self.at_half.get(name)
        mine = [row for row in self.rows if row.strategy == name]
        places = range(len(curve.rounds))
        area = difference_of((curve, over_area(curve)), None, self.resampler, Measure())
        return Summary(
            strategy=name,
            labelled=tuple(curve.labelled.mean(axis=0).tolist()),
            boxes=tuple(curve.boxes.mean(axis=0).tolist()),
            values=tuple(self._value(curve, at, Measure()) for at in places),
            shares=tuple(self._share(curve, at) for at in places),
            final_at_half=None if half is None else mean_interval(half.values[:, -1]),
            area=area,
            comparison=comparison,
            classes=self._cells(name, "class"),
            conditions=self._cells(name, "condition"),
            picks=_mean_picks(mine),
            first=_mean_picks([row for row in mine if row.round == 1]),
            picked=_picked(mine),
            l1_score=_last_l1(mine),
            hours=() if curve.hours is None else tuple(curve.hours.mean(axis=0).tolist()),
            outside=_outside(mine, curve),
            unknown=self._unknown(name),
        )

    def _unknown(self, name: str) -> dict[str, Cell]:
        """How the strategy kept to the known classes, with paired differences."""
        if not any(row.picks is not None and row.picks.unknown for row in self.rows):
            return {}
        cells = {}
        for what, of in ((QUERY_PRECISION, _precision), (UNKNOWN_PER_FRAME, _unknown_a_frame)):
            mine, base = (_by_seed(self.rows, each, of) for each in (name, self.baseline))
            if not mine:
                continue
            paired = [mine[seed] - base[seed] for seed in sorted(mine) if seed in base]
            known = name != self.baseline and paired
            difference = mean_interval(np.array(paired)) if known else None
            cells[what] = Cell(mean_interval(np.array(list(mine.values()))), difference)
        return cells

    def reference_line(self) -> Summary | None:
        """Of all data; None where it was not run."""
        curve = self.reference
        if curve is None:
            return None
        half = reference_curve(self.rows, AP50_AT_HALF)
        parts: dict[str, dict[str, Cell]] = {"class": {}, "condition": {}}
        for measure in self.parts:
            own = reference_curve(self.rows, measure)
            if own is not None:
                parts[measure.kind][measure.name] = Cell(self._value(own, 0, measure), None)
        return Summary(
            strategy=ALL_DATA,
            labelled=tuple(curve.labelled.mean(axis=0).tolist()),
            boxes=tuple(curve.boxes.mean(axis=0).tolist()),
            values=(self._value(curve, 0, Measure()),),
            shares=(self._share(curve, 0),),
            final_at_half=None if half is None else mean_interval(half.values[:, -1]),
            area=None,
            comparison=None,
            classes=parts["class"],
            conditions=parts["condition"],
            picks={},
            first={},
            picked={},
        )

    def _value(self, curve: Curve, at: int, measure: Measure) -> Interval:
        return difference_of((curve, at_round(curve, at)), None, self.resampler, measure)

    def _share(self, curve: Curve, at: int) -> Interval | None:
        """Of the AP50 of all data, over the seeds that both have."""
        if self.reference is None:
            return None
        seeds = [seed for seed in curve.seeds if seed in self.reference.seeds]
        if not seeds:
            return None
        mine, whole = of_seeds(curve, seeds), of_seeds(self.reference, seeds)
        return ratio_of((mine, at_round(mine, at)), (whole, at_round(whole, 0)), self.resampler)

    def _cells(self, name: str, kind: str) -> dict[str, Cell]:
        cells = {}
        for measure, every in self.parts.items():
            if measure.kind != kind or name not in every:
                continue
            curve, base = every[name], every.get(self.baseline)
            value = self._value(curve, self.focus, measure)
            seeds = [s for s in curve.seeds if base is not None and s in base.seeds]
            difference = None
            if base is not None and name != self.baseline and seeds:
                pair = of_seeds(curve, seeds), of_seeds(base, seeds)
                difference = difference_at(*pair, self.focus, self.resampler, measure)
            cells[measure.name] = Cell(value, difference)
        return cells


def _limits(
    every: Mapping[str, Curve], reference: Curve | None, resampler: Resampler, terms: Terms
) -> list[str]:
    """Where quality falls as labels are added: training is the limit, labels cannot show."""
    found = []
    runs = [run for curve in every.values() if len(curve.rounds) > 1 for run in curve.values]
    worse = sum(bool(run[1] < run[0]) for run in runs)
    if 2 * worse > len(runs):
        found.append(
            f"In {worse} of {counted(len(runs), 'run')} {terms.score} after the first query is"
            " below that of the initial model: training is the limit here, and labels cannot show"
            " what they are worth."
        )
    for name, curve in every.items():
        for at in range(1, len(curve.rounds)):
            step = difference_of(
                (curve, at_round(curve, at) - at_round(curve, at - 1)), None, resampler, Measure()
            )
            if step.high < 0:
                found.append(
                    f"{name}: {terms.score} falls from {_mean(curve, at - 1):.3f} to"
                    f" {_mean(curve, at):.3f} as labels are added (round {curve.rounds[at]}, more"
                    " than chance): training is the limit there."
                )
    return [*found, *_no_ceiling(every, reference, resampler)]


def _no_ceiling(
    every: Mapping[str, Curve], reference: Curve | None, resampler: Resampler
) -> list[str]:
    """Strategies that end above all data."""
    above = []
    for name, curve in every.items():
        seeds = [s for s in curve.seeds if reference is not None and s in reference.seeds]
        if reference is None or not seeds:
            continue
        mine, whole = of_seeds(curve, seeds), of_seeds(reference, seeds)
        sides = (mine, at_round(mine, -1)), (whole, at_round(whole, 0))
        if difference_of(*sides, resampler, Measure()).low > 0:
            above.append(name)
    if not above:
        return []
    return [
        f"{', '.join(above)}: above the model that was trained on all data, by more than chance."
        " That reference is no ceiling: it was not trained to its end."
    ]


def _mean(curve: Curve, at: int) -> float:
    return float(curve.values[:, at].mean())


def _outside(rows: Sequence[Row], curve: Curve) -> tuple[float, ...]:
    """Unknown objects on labelled frames, round by round; none where a row does not say it."""
    kept = [row for row in rows if row.seed in curve.seeds]
    found = [[row.unknown for row in kept if row.round == number] for number in curve.rounds]
    means = [
        float(np.mean([n for n in each if n is not None])) for each in found if None not in each
    ]
    return tuple(means) if len(means) == len(curve.rounds) else ()


def _last_l1(rows: Sequence[Row]) -> float | None:
    last = max((row.round for row in rows), default=0)
    values = [row.l1_score for row in rows if row.round == last and row.l1_score is not None]
    return float(np.mean(values)) if values else None


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


def _precision(picks: Picks) -> float | None:
    return picks.query_precision


def _unknown_a_frame(picks: Picks) -> float | None:
    return None if picks.unknown is None or not picks.frames else picks.unknown / picks.frames


def _by_seed(
    rows: Sequence[Row], strategy: str, of: Callable[[Picks], float | None]
) -> dict[int, float]:
    """Seed -> mean over a strategy's queries of a number of their picks, where it is known."""
    found: dict[int, list[float]] = {}
    for row in rows:
        value = of(row.picks) if row.strategy == strategy and row.picks is not None else None
        if value is not None:
            found.setdefault(row.seed, []).append(value)
    return {seed: float(np.mean(values)) for seed, values in sorted(found.items())}


def _picked(rows: Sequence[Row]) -> dict[str, float]:
    known = [row.picks for row in rows if row.picks is not None and row.picks.conditions]
    frames = sum(picks.frames for picks in known)
    names = dict.fromkeys(name for picks in known for name in picks.conditions)
    if not frames:
        return {}
    return {n: sum(picks.conditions.get(n, 0) for picks in known) / frames for n in names}
