"""What was expected of labelled frames, and what their annotators found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from vidal.evaluate.reliability import Reliability, reliability
from vidal.expected_errors import (
    ErrorModel,
    Evidence,
    ExpectedErrorsOptions,
    Judged,
    cross_probabilities,
)
from vidal.selection.draws import LEARN, step_rng
from vidal.selection.expected import JudgedRound, fit_expected_errors
from vidal.types import ScoreArray


@dataclass(frozen=True, slots=True)
class Forecast:
    """Expected against found errors.

    Attributes:
        round: whose frames; None = all labelled frames, each expected by a model that was fitted to
            the labels of other clips.
        false_positives, misses: of each kind.
    """

    round: int | None
    false_positives: Reliability
    misses: Reliability

    @property
    def sentence(self) -> str:
        """In words: what was said, what was found."""
        kinds = (self.false_positives, self.misses)
        said, found = sum(kind.said for kind in kinds), sum(kind.found for kind in kinds)
        where = f"Round {self.round}"
        if self.round is None:
            where = "Labelled frames, judged by what the other labelled clips teach"
        return (
            f"{where}: errors expected {said:.0f} ({kinds[0].said:.0f} false alarms,"
            f" {kinds[1].said:.0f} misses), found by the annotators {found} ({kinds[0].found} and"
            f" {kinds[1].found})."
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
    return _compare(answered.number, model.probabilities(answered.judged), answered.judged)


def cross_forecast(model: ErrorModel) -> Forecast:
    """All rows that a model was fitted to, each expected from the labels of other clips."""
    return _compare(None, cross_probabilities(model), model.judged)


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
    rounds: Sequence[JudgedRound], model: ErrorModel | None, seed: int
) -> Forecast | None:
    """What a selection can tell of its own trustworthiness.

    Args:
        rounds: what the model was fitted to, by rising number.
        model: None where nothing was learned.
        seed: of the campaign.

    Returns:
        The forecast of the newest round, else the cross-validated one; None without a model.
    """
    if model is None:
        return None
    told = _earlier(rounds, seed, model.options)
    return cross_forecast(model) if told is None and len(rounds) else told


def _earlier(
    rounds: Sequence[JudgedRound], seed: int, options: ExpectedErrorsOptions
) -> Forecast | None:
    """The last of the rounds, as the others let expect it."""
    if len(rounds) < 2:
        return None
    last = rounds[-1]
    return forecast(rounds[:-1], last, step_rng(seed, last.number, LEARN), options)


def _compare(
    number: int | None, probabilities: tuple[ScoreArray, ScoreArray], judged: Judged
) -> Forecast:
    false, missed = judged.detections.error, judged.candidates.error
    return Forecast(
        number,
        reliability(probabilities[0], false, found=int(np.count_nonzero(false))),
        reliability(probabilities[1], missed, found=judged.missed),
    )
