"""YAML of users: plain values, or one refusal; no exception of PyYAML's own, no bomb."""

import time

import pytest

from vidal.errors import FormatError
from vidal.formats._yaml import LONGEST, parse_yaml

ODD = [
    "a: !!bool foo",
    "a: !!timestamp x",
    "a: !!timestamp 2026-99-99",
    "a: 2026-99-99",
    "a: !!int ''",
    "a: !!int x",
    "a: !!float z",
    "a: !!omap 3",
    "a: !!pairs {b: 1}",
    "a: !!python/object:os.system x",
    "a: &x [*x]",
    "a: &x {b: *x}",
    "a: *nobody",
    "? [1]\n: 2",
    "<<: 3\na: 2",
    "a: " + "[" * 3000,
    "a: \0",
    "%YAML 9.9\n---\na: 1",
    "a: 1\n---\nb: 2",
    "a: " + "9" * 5000,
]


@pytest.mark.parametrize("text", ODD, ids=lambda text: text[:24])
def test_what_does_not_parse_is_refused_in_one_line(text):
    with pytest.raises(FormatError) as refused:
        parse_yaml(text, "odd.yaml")
    assert "odd.yaml" in refused.value.message
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["a: 1\nb: 2\na: 3\n", "x: {a: 1, b: 2,\n a: 3}", "1: a\n2: b\n1: c"]
)
def test_a_key_that_is_there_twice_is_refused_by_line(text):
    with pytest.raises(FormatError, match=r"line [23].*the key [a1] is there twice"):
        parse_yaml(text, "a.yaml")


def test_aliases_are_counted_written_out():
    bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)
    )
    began = time.process_time()
    with pytest.raises(FormatError, match="aliases that stand for more than"):
        parse_yaml(bomb, "bomb.yaml")
    assert time.process_time() - began < 3


def test_a_text_that_is_too_long_is_refused_unread():
    with pytest.raises(FormatError, match="at most"):
        parse_yaml("a" * (LONGEST + 1), "long.yaml")


def test_usual_texts_and_harmless_aliases_are_read():
    assert parse_yaml("a: &x [1, two]\nb: *x\n", "x") == {"a": [1, "two"], "b": [1, "two"]}
    assert parse_yaml("", "x") is None
