from dataclasses import dataclass, field
from typing import Literal

import pytest

from vidal.errors import UnknownName, UsageError
from vidal.query.options import Option, Preset, build, options_of, summary


@dataclass(frozen=True, slots=True)
class Sample:
    """A thing.

    Attributes:
        mode: which way,
            of two.
        count: how many.
        share: how much: a part.
        loud: whether it speaks.
        name: what it is called.
        limit: at most; none = no limit.
        gap: not an option.

    Afterword: not an option either.
    """

    mode: Literal["up", "down"] = "up"
    count: int = 3
    share: float = 0.5
    loud: bool = False
    name: str = "x"
    limit: int | None = None
    gap: int = field(default=1, metadata={"option": False})


@dataclass(frozen=True, slots=True)
class Bare:
    """Nothing to set."""


def test_options_are_the_fields_with_type_default_and_help():
    options = options_of(Sample)
    assert [o.name for o in options] == ["mode", "count", "share", "loud", "name", "limit"]
    assert options[0] == Option("mode", Literal["up", "down"], "up", "which way, of two.")
    assert options[0].choices == ("up", "down")
    assert options[1] == Option("count", int, 3, "how many.")
    assert options[1].choices == ()
    assert options[2].help == "how much: a part."


def test_text_is_converted_to_the_type_of_the_field():
    values = {"mode": "down", "count": "4", "share": "1e-1", "loud": "Yes", "limit": "7"}
    assert build(Sample, values) == Sample("down", 4, 0.1, True, "x", 7)
    assert build(Sample, {"limit": "none", "loud": "off"}) == Sample()


def test_plain_values_are_taken_as_they_are():
    assert build(Sample, {"count": 4, "share": 1, "loud": True, "limit": None}) == Sample(
        count=4, share=1.0, loud=True
    )


def test_fixed_fields_are_passed_beside_the_options():
    assert build(Sample, {}, gap=9) == Sample(gap=9)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("mode", "sideways", "one of up, down"),
        ("count", "4.5", "a whole number"),
        ("count", 4.5, "a whole number"),
        ("count", True, "a whole number"),
        ("share", "much", "a number"),
        ("share", "nan", "a number"),
        ("share", float("inf"), "a number"),
        ("loud", "perhaps", "true or false"),
        ("loud", 1, "true or false"),
        ("name", 3, "text"),
        ("limit", "some", "a whole number"),
        ("count", "9" * 20, "a whole number of usual size"),
        ("count", -(10**10), "a whole number of usual size"),
        ("share", "1e308", "a number of usual size"),
    ],
)
def test_a_value_of_another_type_is_refused_with_the_help_as_hint(name, value, words):
    with pytest.raises(UsageError, match=f"option {name}: {value!r} is not {words}") as refused:
        build(Sample, {name: value})
    assert refused.value.hint


def test_unknown_options_are_refused_with_the_valid_ones():
    with pytest.raises(UnknownName, match="Did you mean 'count'") as refused:
        build(Sample, {"coumt": "1"})
    assert refused.value.choices == ("mode", "count", "share", "loud", "name", "limit")
    with pytest.raises(UnknownName):
        build(Sample, {"gap": "1"})
    with pytest.raises(UsageError, match="unknown option 'a'"):
        build(Bare, {"a": "1"})


def test_a_preset_gives_fields_and_other_defaults_and_can_be_changed():
    quiet = Preset(Sample, "A quiet thing.", {"gap": 7, "count": 9})
    assert quiet() == build(quiet, {}) == Sample(count=9, gap=7)
    assert build(quiet, {"count": "4"}) == Sample(count=4, gap=7)
    assert [o.default for o in options_of(quiet)] == ["up", 9, 0.5, False, "x", None]
    assert (summary(quiet), summary(Sample)) == ("A quiet thing.", "A thing.")
    with pytest.raises(UnknownName, match="gap"):
        build(quiet, {"gap": 1})
