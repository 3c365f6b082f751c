"""What the tool of open-set results says of runs: holds, does not hold, or inside the noise."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from openset_orderings import (
    HOLDS,
    MISSING,
    NOISE,
    NOT,
    TITLES,
    Claim,
    Run,
    claims,
    fall,
    judge,
    last,
    mean_weight,
    overall,
    purity,
    weight_fall,
)

from vidal.evaluate.curves import Picks, Row


def run(accuracies, precisions=(), weights=()):
    picks = [None, *(Picks(40, query_precision=each) for each in precisions)]
    rows = tuple(
        Row("x", 0, at, 20 + 40 * at, 20, each, None, picks=picks[at] if precisions else None)
        for at, each in enumerate(accuracies)
    )
    return Run(rows, tuple({"purity_weight": each} for each in weights))


def verdict(mine, theirs, claim=None):
    settings = {
        "here": {
            "a": {seed: run([0.5, each]) for seed, each in enumerate(mine)},
            "b": {seed: run([0.5, each]) for seed, each in enumerate(theirs)},
        }
    }
    return judge(claim or Claim("O5", "a above b", "here", ("a", last), ("b", last)), settings)


@pytest.mark.parametrize(
    ("mine", "theirs", "word"),
    [
        ([0.9, 0.91, 0.92], [0.8, 0.8, 0.81], HOLDS),
        ([0.8, 0.8, 0.81], [0.9, 0.91, 0.92], NOT),
        ([0.9, 0.7, 0.8], [0.8, 0.8, 0.8], NOISE),
        ([0.9], [0.8], NOISE),
        ([], [0.8], MISSING),
    ],
)
def test_a_claim_is_judged_by_the_interval_of_paired_differences(mine, theirs, word):
    found = verdict(mine, theirs)
    assert found.word == word
    assert found.as_dict()["seeds"] == len(mine)


def test_a_seed_that_only_one_strategy_has_does_not_count():
    found = verdict([0.9, 0.91, 0.92, 0.1], [0.8, 0.8, 0.81])
    assert found.apart == pytest.approx((0.1, 0.11, 0.11))


def test_a_lead_is_compared_between_settings():
    base_runs = {seed: run([0.5, 0.7]) for seed in (0, 1)}
    there = {"a": {0: run([0.5, 0.7]), 1: run([0.5, 0.72])}, "b": base_runs}
    here = {"a": {0: run([0.5, 0.9]), 1: run([0.5, 0.92])}, "b": base_runs}
    own, base = ("a", last), ("b", last)
    claim = Claim("O3", "shrinks", "here", own, base, ("there", own, base))
    found = judge(claim, {"here": here, "there": there})
    assert found.apart == pytest.approx((0.2, 0.2))
    assert found.word == HOLDS


def test_numbers_of_a_run():
    one = run([0.5, 0.6, 0.7], [0.9, 0.3], [0.5, 0.8, 0.6])
    assert purity(one) == pytest.approx(0.6)
    assert fall(one) == pytest.approx(0.6)
    assert weight_fall(one) == pytest.approx(0.2)
    assert mean_weight(one) == pytest.approx(0.7)
    assert math.isnan(mean_weight(replace(one, told=({}, {}))))


def test_an_ordering_holds_where_all_its_claims_do():
    good = verdict([0.9, 0.91, 0.92], [0.8, 0.8, 0.81])
    bad = verdict([0.8, 0.8, 0.81], [0.9, 0.91, 0.92])
    unsure, missing = verdict([0.9], [0.8]), verdict([], [])
    assert overall([good, good, missing]) == HOLDS
    assert overall([good, unsure, bad]) == NOT
    assert overall([good, unsure]) == NOISE
    assert overall([missing]) == MISSING


def test_every_ordering_has_claims_and_each_is_of_a_setting():
    found = list(claims("mnist-4", "mnist-all", "mnist-2", ("mnist-noise-20", "mnist-noise-60")))
    assert {each.ordering for each in found} == set(TITLES)
    assert len({(each.setting, each.words) for each in found}) == len(found)
