"""The orderings that open-set papers report, one by one, against measured runs.

O1 to O9 of the papers' tables; part of ``measure_openset.py``, which reads the runs. Every claim is
a difference, paired by seed, with Student's 95 % interval: it *holds* where the interval is above
0, does *not hold* where it is below, and else is *inside the noise*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vidal.evaluate.curves import Row
from vidal.evaluate.intervals import mean_interval

HOLDS, NOT, NOISE, MISSING = "holds", "does not hold", "inside the noise", "not measured"

Runs = Mapping[str, Mapping[int, "Run"]]
"""Strategy -> seed -> run, of one setting."""


@dataclass(frozen=True)
class Run:
    """One strategy and seed.

    Attributes:
        rows: of all rounds.
        told: of every query, what the strategy explained its picks with (means).
        seconds: of computing.
    """

    rows: tuple[Row, ...]
    told: tuple[Mapping[str, float], ...] = ()
    seconds: float = 0.0

    def precision(self) -> np.ndarray:
        """(Q,) share of known images in each query."""
        return np.array([_number(row.picks) for row in self.rows[1:]])

    def accuracy(self) -> np.ndarray:
        """(R,)."""
        return np.array([np.nan if row.ap50 is None else row.ap50 for row in self.rows])


def _number(picks: Any) -> float:
    value = None if picks is None else picks.query_precision
    return np.nan if value is None else float(value)


Value = Callable[[Run], float]
"""What a run is worth in a claim."""


def last(run: Run) -> float:
    """Accuracy after the last round."""
    return float(run.accuracy()[-1])


def mean(run: Run) -> float:
    """Mean accuracy of the rounds after the first."""
    return float(run.accuracy()[1:].mean())


def purity(run: Run) -> float:
    """Mean query precision of all rounds."""
    return float(run.precision().mean())


def first_purity(run: Run) -> float:
    """Query precision of the first round."""
    return float(run.precision()[0])


def fall(run: Run) -> float:
    """By how much the query precision fell from the first round to the last."""
    return float(run.precision()[0] - run.precision()[-1])


def weight(run: Run) -> np.ndarray:
    """(Q,) what purity weighs among the picks of MQ-Net; NaN where it does not tell."""
    return np.array([each.get("purity_weight", np.nan) for each in run.told])


def weight_fall(run: Run) -> float:
    """By how much it fell from the first learned query (the second) to the last."""
    values = weight(run)
    return float(values[1] - values[-1]) if len(values) > 2 else np.nan


def mean_weight(run: Run) -> float:
    """Of all learned queries."""
    return float(weight(run)[1:].mean()) if len(run.told) > 1 else np.nan


@dataclass(frozen=True)
class Claim:
    """A part of an ordering.

    Attributes:
        ordering: ``O1`` ...
        words: what is claimed, in a few words.
        setting: where.
        more, less: strategy and value; the first is claimed to be higher. ``less`` None = 0.
        also: a second pair, whose difference is taken off (another setting): (setting, more, less).
    """

    ordering: str
    words: str
    setting: str
    more: tuple[str, Value]
    less: tuple[str, Value] | None = None
    also: tuple[str, tuple[str, Value], tuple[str, Value] | None] | None = None


@dataclass(frozen=True)
class Verdict:
    """What runs say of a claim.

    Attributes:
        claim: it.
        apart: paired differences, one a seed.
        word: of the four.
        interval: of the mean difference; low and high None with one seed.
    """

    claim: Claim
    apart: tuple[float, ...]
    word: str
    interval: Mapping[str, float | None] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "ordering": self.claim.ordering,
            "claim": self.claim.words,
            "setting": self.claim.setting,
            "verdict": self.word,
            "seeds": len(self.apart),
            "seeds_above_0": int(sum(each > 0 for each in self.apart)),
            "differences": [round(each, 5) for each in self.apart],
            **self.interval,
        }


TITLES: Mapping[str, str] = {
    "O1": "query precision: purity > random > uncertainty",
    "O2": "query precision of uncertainty falls over rounds; so does MQ-Net's",
    "O3": "the lead of uncertainty over random shrinks as unknowns grow",
    "O4": "pure purity loses at low openness, wins at high",
    "O5": "mixed methods are not below either end",
    "O6": "certainty alone stalls below random",
    "O7": "BUAL: the copy alone beats the closed-set doubt; each factor helps",
    "O8": "MQ-Net: above the free network and the fixed rules",
    "O9": "unknown labels as supervision help E2OAL's classifier",
    "F4": "MQ-Net: purity's weight falls over rounds and rises with noise (Figure 4)",
}

META = ("mqnet", "mqnet-csi")
"""MQ-Net with the purity that needs no encoder, and with the paper's."""
PURE, UNSURE = ("lfosa", "msp", "eaoa", *META), ("entropy", "margin")
MIXED = ("bual", "eaoa", "e2oal", *META)


def claims(main: str, closed: str, high: str, noisy: Sequence[str]) -> Iterator[Claim]:
    """All of them.

    Args:
        main: the setting with 4 known classes of 10.
        closed: that with all classes known.
        high: that with 2 known classes of 10.
        noisy: with less and with more noise.
    """
    yield from _purity(main)
    yield from _openness(main, closed, high)
    for setting in (main, high, *noisy):
        yield from _mixed(setting)
    yield Claim("O6", "random above msp, last accuracy", main, ("random", last), ("msp", last))
    yield from _parts(main)
    yield from _weights(*noisy)


def _purity(main: str) -> Iterator[Claim]:
    for name in PURE:
        value, words = (first_purity, "first query") if name in META else (purity, "all queries")
        yield Claim("O1", f"{name} above random, {words}", main, (name, value), ("random", value))
    for name in UNSURE:
        yield Claim(
            "O1", f"random above {name}, all queries", main, ("random", purity), (name, purity)
        )
    for name in (*UNSURE, *META):
        yield Claim("O2", f"{name} falls from first to last query", main, (name, fall))


def _openness(main: str, closed: str, high: str) -> Iterator[Claim]:
    base = ("random", last)
    for name in UNSURE:
        own = (name, last)
        words = f"{name} - random, last accuracy, all known minus {main}"
        yield Claim("O3", words, closed, own, base, (main, own, base))
    words = "random above lfosa, last accuracy"
    yield Claim("O4", words, main, base, ("lfosa", last))
    words = "lfosa above random, last accuracy"
    yield Claim("O4", words, high, ("lfosa", last), base)


def _mixed(setting: str) -> Iterator[Claim]:
    for name in MIXED:
        for end in ("lfosa", "entropy"):
            words = f"{name} above {end}, last accuracy"
            yield Claim("O5", words, setting, (name, last), (end, last))


def _parts(main: str) -> Iterator[Claim]:
    for ordering, name, other in (
        ("O7", "bual-negative", "margin"),
        ("O7", "bual-equal", "bual-negative"),
        ("O7", "bual-precision", "bual-equal"),
        ("O7", "bual", "bual-precision"),
        *(("O8", name, f"{name}-{rule}") for name in META for rule in ("free", "sum", "product")),
        ("O9", "e2oal-own", "e2oal"),
    ):
        for value in (last, mean):
            what = "last accuracy" if value is last else "mean of rounds"
            yield Claim(
                ordering, f"{name} above {other}, {what}", main, (name, value), (other, value)
            )


def _weights(little: str, much: str) -> Iterator[Claim]:
    for name in META:
        for setting in (little, much):
            words = f"weight of purity in {name} falls over rounds"
            yield Claim("F4", words, setting, (name, weight_fall))
        words, own = f"weight of purity in {name} above that at {little}", (name, mean_weight)
        yield Claim("F4", words, much, own, None, (little, own, None))


def judge(claim: Claim, settings: Mapping[str, Runs]) -> Verdict:
    """What the runs that are there say."""
    apart = _apart(settings.get(claim.setting, {}), claim.more, claim.less)
    if claim.also is not None:
        setting, more, less = claim.also
        other = _apart(settings.get(setting, {}), more, less)
        apart = {seed: apart[seed] - other[seed] for seed in apart if seed in other}
    values = tuple(float(each) for each in apart.values() if np.isfinite(each))
    if not values:
        return Verdict(claim, (), MISSING)
    found = mean_interval(list(values))
    low, high = (float(e) if np.isfinite(e) else None for e in (found.low, found.high))
    word = NOISE
    if low is not None and low > 0:
        word = HOLDS
    elif high is not None and high < 0:
        word = NOT
    ends = {"low": None if low is None else round(low, 5)}
    ends |= {"high": None if high is None else round(high, 5)}
    return Verdict(claim, values, word, {"value": round(found.value, 5), **ends})


def _apart(runs: Runs, more: tuple[str, Value], less: tuple[str, Value] | None) -> dict[int, float]:
    """Seed -> difference, of seeds that both have."""
    mine = runs.get(more[0], {})
    theirs = None if less is None else runs.get(less[0], {})
    seeds = [seed for seed in mine if theirs is None or seed in theirs]
    taken = {s: 0.0 if less is None or theirs is None else less[1](theirs[s]) for s in seeds}
    return {seed: more[1](mine[seed]) - taken[seed] for seed in seeds}


def overall(verdicts: Sequence[Verdict]) -> str:
    """Of an ordering: it holds where all its claims do, and fails where one of them fails."""
    words = {each.word for each in verdicts} - {MISSING}
    if not words:
        return MISSING
    if NOT in words:
        return NOT
    return HOLDS if words == {HOLDS} else NOISE
