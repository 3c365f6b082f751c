"""What was expected of labelled frames, and what their annotators found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.evaluate.intervals import Interval
from vidal.evaluate.reliability import Reliability, reliability
from vidal.expected_errors import (
    ErrorModel,
    Evidence,
    ExpectedErrorsOptions,
    Judged,
    Totals,
    cross_probabilities,
    model_totals,
)
from vidal.selection.draws import LEARN, step_rng
from vidal.selection.expected import JudgedRound, fit_expected_errors
from vidal.types import ScoreArray
from vidal.words import counted

KINDS = ("false_positives", "misses", "errors")


@dataclass(frozen=True, slots=True)
class Forecast:
    """Expected against found errors.

    Attributes:
        round: whose frames; None = all labelled frames, each expected by a model that was fitted to
            the labels of other clips.
        false_positives, misses: of each kind.
        expected: counts of false positives, misses and both together, each with its 95 % interval;
            None = the sums of probabilities are all that was said.
    """

    round: int | None
    false_positives: Reliability
    misses: Reliability
    expected: tuple[Interval, Interval, Interval] | None = None

    @property
    def sentence(self) -> str:
        """In words: what was said, what was found."""
        kinds = (self.false_positives, self.misses)
        said, between = [kind.said for kind in kinds], ""
        if self.expected is not None:
            said = [each.value for each in self.expected[:2]]
            between = f", most likely {span_text(self.expected[2])}"
        found = sum(kind.found for kind in kinds)
        where = f"Round {self.round}"
        if self.round is None:
            where = "Labelled frames, judged by what the other labelled clips teach"
        total, parts = adding_up(said[0], said[1])
        return (
            f"{where}: {counted(total, 'error')} expected ({parts}{between}); the annotators found"
            f" {found:,} ({counted(kinds[0].found, 'false alarm')},"
            f" {counted(kinds[1].found, 'miss', 'misses')})."
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON values; null where there is no number."""
        return {
            "round": self.round,
            **{
                name: {
                    key: None if isinstance(value, float) and math.isnan(value) else value
                    for key, value in asdict(getattr(self, name)).items()
                }
                for name in ("false_positives", "misses")
            },
            "expected": expected_dict(self.expected),
        }


def adding_up(false_positives: float, misses: float) -> tuple[int, str]:
    """Both rounded, in words, and their sum: the sum as it is printed, so that it adds up."""
    false, missed = round(false_positives), round(misses)
    return false + missed, f"{counted(false, 'false alarm')}, {counted(missed, 'miss', 'misses')}"


def span_text(interval: Interval) -> str:
    """``12 to 30``; the ends lie outward, so that they hold what was rounded beside them."""
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return "any number"
    return f"{math.floor(interval.low):,} to {math.ceil(interval.high):,}"


def expected_dict(
    expected: tuple[Interval, Interval, Interval] | None,
) -> dict[str, dict[str, float]] | None:
    """Counts with their intervals as JSON values; None where there are none."""
    if expected is None:
        return None
    return {
        name: {"value": each.value, "low": each.low, "high": each.high}
        for name, each in zip(KINDS, expected, strict=True)
    }


def forecast(
    earlier: Sequence[JudgedRound],
    answered: JudgedRound,
    rng: Generator,
    options: ExpectedErrorsOptions,
) -> Forecast | None:
    """A round's frames, as the model expected them that selected the round.

    Args:
        earlier: rounds with lower numbers.
        answered: the round.
        rng: of its selection; with it and the pool of that time the model is the one used then.
        options: of the estimate.

    Returns:
        None where nothing could be learned from the earlier rounds, or the model weighted its rows
        by a pool whose evidence is not kept any more: another model's word would be no forecast.
    """
    pool: Sequence[Evidence] | None = ()
    if options.correction == "importance":
        pool = None if answered.pool is None else answered.pool()
    if not pool and options.correction == "importance":
        return None
    rows = [each.judged for each in earlier]
    columns = answered.judged.columns
    model = fit_expected_errors(rows, rng, options, pool=pool or (), columns=columns)
    if model is None:
        return None
    said = model.probabilities(answered.judged)
    return _compare(answered.number, said, answered.judged, model_totals(model), own=True)


def cross_forecast(model: ErrorModel, totals: Totals | None) -> Forecast:
    """All rows that a model was fitted to, each expected from the labels of other clips."""
    return _compare(None, cross_probabilities(model), model.judged, totals, own=False)


def forecasts(
    rounds: Sequence[JudgedRound], seed: int, options: ExpectedErrorsOptions
) -> list[Forecast]:
    """Of every round whose errors could be expected from earlier ones.

    Args:
        rounds: by rising number.
        seed: of the campaign: the models are those that selections used.
        options: of the estimate.
    """
    found = (_earlier(rounds[: at + 1], seed, options) for at in range(1, len(rounds)))
    return [each for each in found if each is not None]


def newest_forecast(
    rounds: Sequence[JudgedRound], model: ErrorModel | None, totals: Totals | None, seed: int
) -> Forecast | None:
    """What a selection can tell of its own trustworthiness.

    Args:
        rounds: what the model was fitted to, by rising number.
        model: None where nothing was learned.
        totals: what makes counts of its sums.
        seed: of the campaign.

    Returns:
        The forecast of the newest round, else the cross-validated one; None without a model.
    """
    if model is None:
        return None
    told = _earlier(rounds, seed, model.options)
    return cross_forecast(model, totals) if told is None and len(rounds) else told


def _earlier(
    rounds: Sequence[JudgedRound], seed: int, options: ExpectedErrorsOptions
) -> Forecast | None:
    """The last of the rounds, as the others let expect it."""
    if len(rounds) < 2:
        return None
    last = rounds[-1]
    return forecast(rounds[:-1], last, step_rng(seed, last.number, LEARN), options)


def _compare(
    number: int | None,
    probabilities: tuple[ScoreArray, ScoreArray],
    judged: Judged,
    totals: Totals | None,
    *,
    own: bool,
) -> Forecast:
    """Args:
    own: whether clips that have labels are told by their own level.
    """
    false, missed = judged.detections.error, judged.candidates.error
    return Forecast(
        number,
        reliability(probabilities[0], false, found=int(np.count_nonzero(false))),
        reliability(probabilities[1], missed, found=judged.missed),
        None if totals is None else spans(totals, totals.of_rows(judged, probabilities, own=own)),
    )


def spans(
    totals: Totals, sums: Sequence[tuple[int | None, NDArray[np.floating]]]
) -> tuple[Interval, Interval, Interval]:
    """What is told of clips, false positives, misses and both, with intervals.

    Args:
        totals: of the model that speaks.
        sums: number of a clip and (2,) what is told of its frames.
    """
    told = np.array([values for _, values in sums], np.float64).reshape(-1, 2).sum(axis=0)
    values, ends = (told[0], told[1], told.sum()), totals.intervals(sums)
    first, second, third = (
        Interval(float(value), low, high, len(sums))
        for value, (low, high) in zip(values, ends, strict=True)
    )
    return first, second, third
