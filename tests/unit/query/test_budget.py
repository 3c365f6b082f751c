from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.errors import BudgetError
from vidal.query.budget import Budget


@pytest.mark.parametrize(
    ("text", "base", "frames"),
    [
        ("150", 10_000, 150),
        ("150", 3, 150),
        (" 7 ", 10, 7),
        ("2%", 1_000, 20),
        ("2 %", 1_000, 20),
        ("2%", 149, 2),  # 2.98, rounded down
        ("0.5 %", 1_000, 5),
        (".5%", 1_000, 5),
        ("2%", 10, 1),  # at least one
        ("100%", 37, 37),
        ("29%", 100, 29),  # 0.29 * 100 = 28.999... in floating point
    ],
)
def test_parses_frames_and_percentages(text, base, frames):
    assert Budget.parse(text).frames(base) == frames


@pytest.mark.parametrize(
    "text",
    ["0%", "0.0%", "0", "-3", "-2%", "abc", "101%", "100.1%", "1.5", "nan", "inf", "", " ", "%",
     "1e3", "1,000", "8 apples", "6hh", "h", "boxes", "0h", "0boxes", "1.5boxes", "2%h",
     "10%boxes", "6h30min", "-6h", "6 h 3", "1_000", "2%%", "2% 3", "٣", "1/2", "0x10", "9" * 5000],
)  # fmt: skip
def test_refuses_what_is_no_budget_with_a_hint(text):
    with pytest.raises(BudgetError) as refused:
        Budget.parse(text)
    assert refused.value.hint
    assert refused.value.text == text


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [
        ("800boxes", "boxes", 800),
        ("800 boxes", "boxes", 800),
        ("1 box", "boxes", 1),
        ("6h", "time", 6 * 3600),
        ("1.5 h", "time", 5400),
        ("90min", "time", 5400),
        ("2 Hours", "time", 7200),
        ("150 frames", "frames", 150),
    ],
)
def test_parses_boxes_and_times(text, unit, amount):
    budget = Budget.parse(text)
    assert (budget.unit, budget.amount, budget.share) == (unit, amount, False)
    assert budget.text == text


@pytest.mark.parametrize("text", ["10%boxes", "10 % boxes", "5% h"])
def test_a_share_of_boxes_or_time_is_refused_by_name(text):
    with pytest.raises(BudgetError, match="a share of boxes or of time") as refused:
        Budget.parse(text)
    assert "2%" in str(refused.value.hint)


def test_boxes_and_times_are_no_number_of_frames():
    for text in ("800boxes", "6h"):
        with pytest.raises(BudgetError, match="only a number or a share"):
            Budget.parse(text).frames(100)


def test_more_than_the_pool_is_refused_and_says_how_many_there_are():
    budget = Budget.parse("150")
    budget.check(150, 150)
    with pytest.raises(BudgetError, match=r"budget '150': 150 frames of which only 149 can be"):
        budget.check(150, 149)
    with pytest.raises(BudgetError, match="1 frame of which none can be selected"):
        Budget.parse("2%").check(1, 0)


@given(st.fractions(min_value=Fraction(1, 1000), max_value=100), st.integers(1, 10**9))
def test_a_share_is_at_least_one_frame_and_at_most_all(percent, base):
    frames = Budget("x", percent / 100, True).frames(base)
    assert 1 <= frames <= base
    assert frames == 1 or frames <= percent * base / 100 < frames + 1
