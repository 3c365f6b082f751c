"""What may be concluded of paired runs, from how many seeds, and at how many boxes."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_runs import simulated

from vidal.evaluate.comparison import compare, corrected, p_text
from vidal.evaluate.curves import Curve, curves, labels_saved
from vidal.evaluate.resampling import Resampler

BARE = Resampler({}, np.random.default_rng(0))


def a_curve(name, finals, *, seeds=None, boxes=(40, 80, 120)):
    values = np.array([[0.1, 0.2, value] for value in finals])
    frames = np.tile([10.0, 20.0, 30.0], (len(finals), 1))
    names = tuple(range(len(finals))) if seeds is None else seeds
    many = np.tile(np.array(boxes, float), (len(finals), 1))
    return Curve(name, names, (0, 1, 2), frames, many, values)


def compared(mine, theirs, **options):
    rng = np.random.default_rng(0)
    return compare(a_curve("tc", mine), a_curve("random-r", theirs), BARE, rng, **options)


def named(comparison):
    return corrected({"tc": comparison}, "tc", np.random.default_rng(0))["tc"]


def test_with_two_seeds_nothing_is_concluded_however_large_the_difference():
    result = named(compared([0.9, 0.9], [0.1, 0.1]))
    assert not result.conclusive
    assert "on 2 seeds; with so few nothing can be concluded" in result.sentence


def test_one_seed_has_no_interval_and_no_power():
    result = compared([0.9], [0.1])
    assert (result.difference.n, result.p_seeds, result.detectable) == (1, 1.0, None)
    assert result.sentence.startswith("tc was +0.800 AP50 against random-r at 30 labelled frames")


def test_a_steady_difference_of_three_seeds_is_enough_for_the_comparison_named_before():
    result = compared([0.30, 0.51, 0.70], [0.20, 0.40, 0.60])
    assert not result.conclusive  # p is 1/4 at best
    assert named(result).conclusive
    assert named(result).sentence.startswith(
        "tc is better than random-r at 30 labelled frames: +0.103 AP50 (95 % interval +0.089 to"
        " +0.118 over 3 seeds, the comparison named before the run). With 3 seeds a difference of "
    )


def test_six_steady_seeds_are_enough_without_a_name():
    rising = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    result = compared([v + 0.1 + 0.01 * k for k, v in enumerate(rising)], rising)
    assert result.conclusive
    assert "p = 0.031)" in result.sentence
    assert "With 6 seeds a difference of " in result.sentence
    assert "could have been seen with 80 % power" in result.sentence


def test_a_difference_that_changes_sign_is_too_little_for_a_conclusion():
    result = named(compared([0.3, 0.5, 0.7], [0.2, 0.6, 0.6]))
    assert not result.conclusive
    assert "That is too little for a conclusion." in result.sentence


def test_a_loss_is_called_worse():
    assert (
        "tc is worse than random-r" in named(compared([0.2, 0.4, 0.6], [0.3, 0.5, 0.701])).sentence
    )


def test_conclusions_are_about_the_round_that_is_asked_for():
    result = compared([0.9, 0.9, 0.9], [0.1, 0.1, 0.1], focus=1)
    assert (result.focus, result.labelled, result.difference.value) == (1, 20, 0)
    assert result.final.value == pytest.approx(0.8)
    assert compared([0.9], [0.1]).focus == 2


def test_runs_are_compared_over_the_seeds_they_share():
    rng = np.random.default_rng(0)
    mine, theirs = a_curve("tc", [0.5, 0.7], seeds=(0, 2)), a_curve("r", [0.1, 0.6], seeds=(1, 2))
    result = compare(mine, theirs, BARE, rng)
    assert (result.seeds, result.difference.n) == ((2,), 1)
    assert result.difference.value == pytest.approx(0.1)
    assert compare(mine, replace(theirs, seeds=(1, 3)), BARE, rng) is None


def test_at_equal_boxes_the_curve_with_more_boxes_is_read_between_its_rounds():
    # At 120 boxes: 40 of the 80 from its second to its third round; 0.2 + 0.5 * (0.6 - 0.2).
    mine = a_curve("tc", [0.6], boxes=(40, 80, 160))
    theirs = a_curve("random-r", [0.5])
    result = compare(mine, theirs, BARE, np.random.default_rng(0))
    assert [i.value for i in result.at_boxes] == pytest.approx([0, 0, 0.4 - 0.5])
    assert [i.value for i in result.rounds] == pytest.approx([0, 0, 0.1])


def test_labels_saved_have_an_interval_where_test_clips_can_be_drawn():
    rows, scores = simulated({"random-r": 0.4, "oracle": 1.5}, seeds=4, all_data=None)
    every = curves(rows)
    found, bare = (
        compare(every["oracle"], every["random-r"], each, np.random.default_rng(0))
        for each in (Resampler(scores, np.random.default_rng(0), draws=200), BARE)
    )
    assert found.saved.value == bare.saved.value == labels_saved(every["oracle"], every["random-r"])
    assert 0 < found.saved.low < found.saved.value < found.saved.high < 1
    assert found.saved_boxes.low < found.saved_boxes.value < found.saved.value
    assert (bare.saved.low, bare.saved.high) == (-np.inf, np.inf)


def test_frames_without_objects_do_not_break_the_curve_over_boxes():
    mine = a_curve("tc", [0.6], boxes=(40, 40, 40))
    result = compare(mine, a_curve("random-r", [0.5]), BARE, np.random.default_rng(0))
    assert all(np.isfinite(interval.value) for interval in result.at_boxes)


def test_the_named_comparison_stands_alone_and_the_others_are_corrected():
    rng, draw = np.random.default_rng(0), np.random.default_rng(1)
    base = draw.uniform(0.2, 0.4, 8)
    every = {
        name: compare(
            a_curve(name, base + gain + draw.normal(0, 0.02, 8)), a_curve("r", base), BARE, rng
        )
        for name, gain in {"main": 0.03, "oracle": 0.1, "noise": 0.0, "entropy": 0.01}.items()
    }
    found = corrected(every, "main", rng)
    assert (found["main"].main, found["main"].family, found["main"].corrected) == (
        True,
        1,
        every["main"].p_seeds,
    )
    assert all(found[name].family == 3 for name in ("oracle", "noise", "entropy"))
    assert all(found[name].corrected >= every[name].p_seeds for name in found)
    assert found["oracle"].conclusive
    assert not found["noise"].conclusive
    assert "corrected for 3 comparisons" in found["oracle"].sentence


def test_comparisons_over_other_seeds_are_corrected_by_holm():
    rng = np.random.default_rng(0)
    full = compared(np.linspace(0.3, 0.4, 6), np.linspace(0.1, 0.3, 6))
    fewer = compared(np.linspace(0.3, 0.4, 5), np.linspace(0.1, 0.3, 5))
    found = corrected({"a": full, "b": fewer}, None, rng)
    assert found["a"].corrected == pytest.approx(2 * 2 / 64)
    assert found["b"].corrected == pytest.approx(2 / 32)


def test_test_clips_that_disagree_stand_against_seeds_that_agree():
    # All six seeds say +0.02; the judged clips, of models that are alike, do not.
    rows, scores = simulated({"random-r": 0.4, "oracle": 0.4}, seeds=6, clips=12, all_data=None)
    every = curves(rows)
    steady = replace(every["oracle"], values=every["random-r"].values + 0.02)
    rng = np.random.default_rng(0)
    found = compare(steady, every["random-r"], Resampler(scores, rng), rng)
    assert found.p_seeds == 2 / 64
    assert found.p_draws > 0.05
    assert found.corrected == found.p_draws
    alone = corrected({"oracle": found, "other": found}, None, rng)["oracle"]
    assert alone.corrected == min(1.0, 2 * found.p_draws)
    assert not alone.conclusive
    assert compare(steady, every["random-r"], BARE, rng).p_draws is None


def test_ps_are_told_with_two_digits():
    assert [p_text(p) for p in (1.0, 0.3438, 0.0312, 0.0078125)] == [
        "1.00",
        "0.34",
        "0.031",
        "0.0078",
    ]
