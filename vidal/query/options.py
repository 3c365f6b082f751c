"""The options of a strategy are its dataclass fields: listing them, and building one from text.

Help texts are read from the ``Attributes:`` section of the class docstring, so that an option is
described in one place.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from types import NoneType, UnionType
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vidal.errors import UnknownName, UsageError

T = TypeVar("T")
N = TypeVar("N", int, float)

LARGEST = 1_000_000_000
"""Of the numbers of options, either way: nothing is counted or weighed higher, and it does not
overflow."""

_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        name: the field.
        type: its annotation: ``bool``, ``int``, ``float``, ``str``, a ``Literal``, or one of
            them ``| None``.
        default: the value it has when it is not given.
        help: what it means; from the docstring of the class.
    """

    name: str
    type: Any
    default: Any
    help: str

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of a ``Literal``; empty for other types."""
        return tuple(str(choice) for choice in get_args(self.type)) if _is_literal(self) else ()


@dataclass(frozen=True, slots=True)
class Preset(Generic[T]):
    """A dataclass with some of its fields given: one entry of a table that shares a class.

    Attributes:
        cls: the dataclass.
        what: it does, in one sentence.
        given: fields that are no options, and other defaults of some that are.
        hidden: options of the class that mean nothing for this entry.
    """

    cls: type[T]
    what: str
    given: Mapping[str, Any]
    hidden: frozenset[str] = frozenset()

    def __call__(self, **values: Any) -> T:
        """An instance; values take the place of what is given."""
        return self.cls(**{**self.given, **values})


def summary(kind: type | Preset[Any]) -> str:
    """What a dataclass or preset does, in one line."""
    if isinstance(kind, Preset):
        return kind.what
    return (inspect.getdoc(kind) or "").splitlines()[0]


def options_of(kind: type | Preset[Any]) -> list[Option]:
    """The options of a dataclass or preset, in the order of the fields.

    A field with ``metadata={"option": False}`` is none: it is set by other means (``gap``), or
    holds an inner strategy.
    """
    preset = kind if isinstance(kind, Preset) else Preset(kind, "", {})
    cls, given, hidden = preset.cls, preset.given, preset.hidden
    hints = get_type_hints(cls)
    helps = _helps(cls)
    return [
        Option(
            f.name,
            hints[f.name],
            given[f.name] if f.name in given else _default(cls, f),
            helps.get(f.name, ""),
        )
        for f in fields(cls)
        if f.init and f.metadata.get("option", True) and f.name not in hidden
    ]


def build(cls: type[T] | Preset[T], values: Mapping[str, Any], **fixed: Any) -> T:
    """An instance from options as text (command line) or as plain values (YAML).

    Args:
        cls: the dataclass, or a preset of one.
        values: option name -> text or value.
        fixed: fields that are no options, passed as they are.

    Raises:
        UnknownName: an option that the class does not have.
        UsageError: a value that cannot be meant.
    """
    options = {option.name: option for option in options_of(cls)}
    for name in values:
        if name not in options:
            if not options:
                raise UsageError(f"unknown option {name!r}.", hint="There are no options to set.")
            raise UnknownName("option", name, tuple(options))
    return cls(**{name: convert(options[name], value) for name, value in values.items()}, **fixed)


def convert(option: Option, value: Any) -> Any:
    """A value of the option's type.

    Raises:
        UsageError: it cannot be one.
    """
    kind = option.type
    if get_origin(kind) in (Union, UnionType):
        kinds = [arg for arg in get_args(kind) if arg is not NoneType]
        if value is None or (isinstance(value, str) and value.lower() == "none"):
            return None
        kind = kinds[0]
    if get_origin(kind) is Literal:
        for choice in get_args(kind):
            if value == choice or str(value) == str(choice):
                return choice
        raise _refusal(option, value, "one of " + ", ".join(map(str, get_args(kind))))
    if kind not in _PARSERS:
        raise TypeError(f"option {option.name}: cannot be derived from {option.type!r}")
    words, parse = _PARSERS[kind]
    try:
        return parse(value)
    except _OutOfReach:
        raise _refusal(option, value, f"{words} of usual size, at most {LARGEST:,}") from None
    except ValueError:
        raise _refusal(option, value, words) from None


def _refusal(option: Option, value: Any, words: str) -> UsageError:
    return UsageError(f"option {option.name}: {value!r} is not {words}.", hint=option.help)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    raise ValueError(value)


def _int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(value)
    return _within(int(value))


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return _within(number)


class _OutOfReach(ValueError):
    """A number, but one that nobody means."""


def _within(number: N) -> N:
    if abs(number) > LARGEST:
        raise _OutOfReach(number)
    return number


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


_PARSERS: Mapping[type, tuple[str, Any]] = {
    bool: ("true or false", _bool),
    int: ("a whole number", _int),
    float: ("a number", _float),
    str: ("text", _str),
}


def _is_literal(option: Option) -> bool:
    return get_origin(option.type) is Literal


def _default(cls: type, field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    raise TypeError(f"{cls.__name__}.{field.name}: an option without a default")


def _helps(cls: type) -> dict[str, str]:
    """Field -> text of the ``Attributes:`` section of a docstring."""
    _, _, section = (inspect.getdoc(cls) or "").partition("Attributes:\n")
    helps: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if line and not line.startswith(" "):
            break
        start = re.fullmatch(r" {4}(\w+): (.+)", line)
        if start:
            name = start[1]
            helps[name] = start[2]
        elif name and line.strip():
            helps[name] += " " + line.strip()
    return helps
