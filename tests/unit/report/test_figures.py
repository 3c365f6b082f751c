"""Axis ticks, downsampling, SVG paths, numbers in words."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.report import figures


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0, 10, 5, [0, 2, 4, 6, 8, 10]),
        (0, 9.88, 8, [0, 2, 4, 6, 8]),
        (0, 1, 4, [0, 0.5, 1]),
        (3, 3, 4, [3]),
        (-1, 1, 4, [-1, -0.5, 0, 0.5, 1]),
    ],
)
def test_ticks_are_round_numbers(low, high, count, expected):
    assert figures.ticks(low, high, count) == expected


@given(st.floats(1e-3, 1e6), st.integers(2, 12))
def test_ticks_lie_within_the_axis_and_are_few(high, count):
    marks = figures.ticks(0.0, high, count)
    assert marks[0] == 0
    assert marks[-1] <= high * (1 + 1e-6)
    assert 1 <= len(marks) <= count + 2


def test_downsampling_keeps_a_single_peak_and_a_single_dip():
    y = np.zeros(1000)
    y[317], y[640] = 9.0, -4.0
    x, kept = figures.downsample(np.arange(1000.0), y, 20)
    assert len(kept) <= 40
    assert kept.max() == 9.0
    assert x[kept.argmax()] == 317
    assert kept.min() == -4.0
    assert x[kept.argmin()] == 640
    assert (np.diff(x) > 0).all()


def test_downsampling_leaves_a_gap_where_nothing_was_scored():
    y = np.ones(100)
    y[40:60] = np.nan
    _, kept = figures.downsample(np.arange(100.0), y, 10)
    assert np.isnan(kept).sum() == 2


def test_short_series_come_back_unchanged():
    x, y = np.arange(5.0), np.array([1.0, np.nan, 2.0, 3.0, 4.0])
    assert figures.downsample(x, y, 5)[1] is y


def test_runs_are_half_open():
    mask = np.array([1, 1, 0, 0, 1, 0, 1], bool)
    assert figures.runs(mask).tolist() == [[0, 2], [4, 5], [6, 7]]
    assert figures.runs(np.zeros(3, bool)).tolist() == []


def test_a_gap_interrupts_the_line_and_the_area():
    x = np.array([0.0, 1.0, 2.0, 3.0])
    y = np.array([5.0, 6.5, np.nan, 7.0])
    assert figures.line_path(x, y) == "M0 5L1 6.5M3 7h1"
    assert figures.area_path(x, y, 10) == "M0 10L0 5L1 6.5V10ZM3 10L3 7V10Z"


def test_kinds_of_boxes_differ_in_colour_line_style_and_sign():
    judged = (figures.CORRECT, figures.FALSE_ALARM, figures.MISS)
    for name in ("key", "colour", "dash", "sign"):
        assert len({getattr(style, name) for style in judged}) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.0, "3"), (1200.0, "1,200"), (0.4217, "0.422"), (1.34e-5, "1.34e-05"), (math.nan, "–")],
)
def test_scores_are_short(value, text):
    assert figures.short(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.916, "4.92 s"), (59.996, "1:00.0"), (124.9, "2:04.9"), (3724.94, "1:02:04.9")],
)
def test_times_read_as_a_clock(seconds, text):
    assert figures.clock(seconds) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(24, 1200, "2 %"), (1, 470, "0.21 %"), (1, 3, "33 %"), (5, 5, "100 %"), (0, 0, "–")],
)
def test_shares_have_two_significant_digits(part, whole, text):
    assert figures.share(part, whole) == text


def test_a_key_figure_of_one_is_singular():
    assert figures.tile(1, "likely miss", "likely misses") == ("1", "likely miss")
    assert figures.tile(2, "likely miss", "likely misses") == ("2", "likely misses")
    assert figures.tile(1200, "likely unknown object") == ("1,200", "likely unknown objects")
