"""The table of results, and where it says that training is the limit."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_runs import simulated

from vidal.evaluate.curves import ALL_DATA, Picks, Row
from vidal.evaluate.summary import summarise


def a_row(strategy, seed, number, value, picks=None):
    classes = {"car": value}
    frames = 10 * (number + 1)
    half = None if value is None else value / 2
    return Row(strategy, seed, number, frames, 4 * frames, value, half, classes, picks)


def told(rows, **options):
    return summarise(rows, np.random.default_rng(0), **options)


def runs(name, *values, noise=0.0):
    return [
        a_row(name, seed, r, value + noise * (-1) ** (seed + r))
        for seed in range(4)
        for r, value in enumerate(values)
    ]


def test_the_table_states_quality_relative_to_all_data():
    rows = [a_row("random-r", seed, r, 0.3 + 0.1 * r) for seed in (0, 1) for r in range(2)]
    rows += [a_row("tc", seed, r, 0.3 + 0.2 * r) for seed in (0, 1) for r in range(2)]
    rows += [a_row(ALL_DATA, seed, 0, 0.8) for seed in (0, 1)]
    first, second, third = told(rows).lines
    assert (first.strategy, second.strategy, third.strategy) == (ALL_DATA, "tc", "random-r")
    assert second.relative == pytest.approx(0.5 / 0.8)
    assert [share.value for share in second.shares] == pytest.approx([0.3 / 0.8, 0.5 / 0.8])
    assert second.final_at_half.value == pytest.approx(0.25)
    assert second.comparison.final.value == pytest.approx(0.1)
    assert second.classes["car"].difference.value == pytest.approx(0.1)
    assert third.comparison is None


def test_a_reference_that_found_nothing_is_stated_and_nothing_is_a_share_of_it():
    rows = [a_row(ALL_DATA, 0, 1, 0.0), *(a_row("random-r", 0, n, 0.1) for n in range(2))]
    whole, line = told(rows).lines
    assert (whole.strategy, whole.final.value) == (ALL_DATA, 0.0)
    assert line.relative is None
    # A reference without a number is none.
    lines = told([a_row(ALL_DATA, 0, 1, None), *rows[1:]]).lines
    assert [each.strategy for each in lines] == ["random-r"]


def test_shares_of_all_data_take_the_seeds_that_both_have():
    rows = [*runs("random-r", 0.3, 0.4), a_row("random-r", 9, 0, 0.9), a_row("random-r", 9, 1, 0.9)]
    rows += [a_row(ALL_DATA, seed, 1, 0.8) for seed in range(3)]
    line = next(each for each in told(rows).lines if each.strategy == "random-r")
    assert line.shares[-1].value == pytest.approx(0.4 / 0.8)


def test_numbers_of_the_picks_are_averaged_where_they_are_known():
    picks = [None, Picks(5, false_positives=4), Picks(5, false_positives=6), Picks(5)]
    (line,) = told([a_row("tc", 0, r, 0.1, picks[r]) for r in range(4)]).lines
    assert line.picks == {"frames": 5.0, "false_positives": 5.0}
    assert line.first == {"frames": 5.0, "false_positives": 4.0}


def test_conditions_of_the_picks_are_shares_of_all_picked_frames():
    picks = [None, Picks(4, conditions={"night": 3, "rain": 0}), Picks(6, conditions={"night": 2})]
    (line,) = told([a_row("tc", 0, r, 0.1, picks[r]) for r in range(3)]).lines
    assert line.picked == {"night": 0.5, "rain": 0.0}


def test_ap_that_falls_as_labels_are_added_is_told_as_the_limit_of_training():
    rows = [*runs("tc", 0.3, 0.5, 0.4, noise=0.005), *runs("random-r", 0.3, 0.4, 0.5)]
    (limit,) = told(rows).limits
    assert limit.startswith("tc: AP50 falls from 0.500 to 0.400 as labels are added (round 2")
    assert "training is the limit" in limit


def test_a_fall_inside_the_noise_is_not():
    rows = [*runs("tc", 0.3, 0.41, 0.4, noise=0.05), *runs("random-r", 0.3, 0.4, 0.5)]
    assert told(rows).limits == ()


def test_first_models_that_are_better_than_the_second_are_counted():
    rows = [*runs("tc", 0.3, 0.29, 0.5, noise=0.02), *runs("random-r", 0.3, 0.28, 0.5, noise=0.02)]
    rows = [replace(row, ap50=0.9) if row.round == 0 and row.seed < 3 else row for row in rows]
    found = told(rows).limits
    assert "In 6 of 8 runs AP50 after the first query is below" in found[0]
    half = [*runs("tc", 0.3, 0.2, 0.5, noise=0.2), *runs("random-r", 0.3, 0.35, 0.5)]
    assert told(half).limits == ()


def test_a_reference_below_a_strategy_is_called_no_ceiling():
    rows = [*runs("tc", 0.3, 0.5), *runs("random-r", 0.3, 0.4)]
    rows += [a_row(ALL_DATA, seed, 1, 0.45) for seed in range(4)]
    (limit,) = told(rows).limits
    assert limit.startswith("tc: above the model that was trained on all data")


def test_the_named_comparison_decides_the_round_of_all_conclusions():
    rows = [*runs("tc", 0.3, 0.5, 0.4), *runs("random-r", 0.3, 0.4, 0.4), *runs("x", 0.3, 0.4, 0.4)]
    found = told(rows, main=("tc", 1))
    assert found.focus == 1
    tc = next(line for line in found.lines if line.strategy == "tc")
    assert (tc.comparison.main, tc.comparison.difference.value) == (True, pytest.approx(0.1))
    assert tc.classes["car"].value.value == pytest.approx(0.5)
    # A round that no run has reached is not stood in for by another.
    early = told(rows, main=("tc", 3))
    assert early.focus == 2
    assert not any(line.comparison.main for line in early.lines if line.comparison)


def test_no_rows_and_no_baseline_are_tables_too():
    assert told([]).lines == ()
    (line,) = told(runs("tc", 0.3, 0.4)).lines
    assert line.comparison is None
    assert line.classes["car"].difference is None


def test_scores_widen_the_intervals_of_few_test_clips():
    rows, scores = simulated({"random-r": 0.5, "oracle": 1.5}, seeds=4, clips=14, all_data=2.5)
    bare, whole = told(rows), told(rows, scores=scores)
    assert (bare.resampled, whole.resampled) == (False, True)

    def ends(results, name):
        line = next(each for each in results.lines if each.strategy == name)
        rest = line.shares[-1] if name == "oracle" else None
        return line.final, line.conditions["night"].value, rest

    for narrow, wide in zip(ends(bare, "oracle")[:2], ends(whole, "oracle")[:2], strict=True):
        assert narrow.value == pytest.approx(wide.value)
        assert wide.high - wide.low > narrow.high - narrow.low
    assert ends(bare, "oracle")[2].low == -np.inf
    share = ends(whole, "oracle")[2]
    assert share.low < share.value < share.high


def test_a_hundred_runs_are_told_in_seconds():
    import time

    gains = {"random-r": 0.5, **{f"s{k}": 0.5 + 0.1 * k for k in range(3)}}
    rows, scores = simulated(gains, seeds=8)
    began = time.process_time()
    told(rows, scores=scores)
    assert time.process_time() - began < 10


def test_unknown_objects_are_told_with_paired_differences_where_some_were_met():
    def rows(name, precisions, unknown):
        return [
            a_row(name, seed, 1, 0.1, Picks(5, query_precision=p, unknown=u))
            for seed, (p, u) in enumerate(zip(precisions, unknown, strict=True))
        ] + [a_row(name, seed, 0, 0.1) for seed in range(len(precisions))]

    both = rows("random-r", [0.5, 0.7], [10, 20]) + rows("kept", [0.9, 0.9], [0, 5])
    lines = {line.strategy: line.unknown for line in told(both).lines}
    precision = lines["kept"]["query precision"]
    assert precision.value.value == pytest.approx(0.9)
    assert precision.difference.value == pytest.approx(0.3)
    assert precision.difference.n == 2
    assert precision.difference.low < 0.3 < precision.difference.high
    found = lines["kept"]["unknown a pick"]
    assert found.value.value == pytest.approx(0.5)
    assert found.difference.value == pytest.approx((0 - 2 + 1 - 4) / 2)
    assert lines["random-r"]["query precision"].difference is None
    closed = rows("random-r", [1.0, 1.0], [0, 0])
    assert told(closed).lines[0].unknown == {}


def test_a_precision_that_nobody_knows_is_left_out_not_counted_as_0():
    known = Picks(5, query_precision=0.5, unknown=1)
    picks = [None, Picks(5, query_precision=None, unknown=3), known]
    (line,) = told([a_row("x", 0, r, 0.1, picks[r]) for r in range(3)]).lines
    assert line.unknown["query precision"].value.value == 0.5
