import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.store.keys import content_key

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


def test_a_key_is_32_hexadecimal_digits_and_never_changes():
    key = content_key("detections", 1, ["street-0123"], {"threshold": 0.5, "classes": ["car"]})
    assert key == "694ba9dec36fc5095370a9dce0b364df"


@pytest.mark.parametrize(
    "other",
    [
        ("links", 1, ["a"], {"x": 1}),
        ("detections", 2, ["a"], {"x": 1}),
        ("detections", 1, ["b"], {"x": 1}),
        ("detections", 1, [["a"]], {"x": 1}),
        ("detections", 1, ["a"], {"x": 2}),
        ("detections", 1, ["a"], {"x": "1"}),
        ("detections", 1, ["a"], {"x": True}),
        ("detections", 1, ["a"], {"x": 1, "y": None}),
    ],
)
def test_every_argument_counts(other):
    assert content_key(*other) != content_key("detections", 1, ["a"], {"x": 1})


def test_the_order_of_options_does_not_count():
    assert content_key("s", 1, [], {"a": 1, "b": 2}) == content_key("s", 1, [], {"b": 2, "a": 1})


@given(JSON, JSON)
def test_different_inputs_have_different_keys(one, two):
    assert (content_key("s", 1, one, {}) == content_key("s", 1, two, {})) == (
        repr(one) == repr(two)
    )


@pytest.mark.parametrize("value", [Path("x"), {1, 2}, b"x", object(), {1: "a"}])
def test_values_that_json_does_not_have_are_refused(value):
    with pytest.raises(TypeError, match="content key"):
        content_key("s", 1, [value], {})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_does_not_have_are_refused(value):
    with pytest.raises(ValueError, match="JSON"):
        content_key("s", 1, [], {"x": value})


def test_another_process_makes_the_same_key():
    code = "from vidal.store.keys import content_key; print(content_key('s', 1, ['a'], {'b': 2}))"
    root = str(Path(__file__).parents[3])
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert made.stdout.strip() == content_key("s", 1, ["a"], {"b": 2})
