"""What callers of the Python functions gave, checked by kind and refused by name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from vidal.errors import UsageError


def path_of(name: str, value: Any) -> Path:
    """A path, given as text, bytes or a path object.

    Raises:
        UsageError: it is something else.
    """
    try:
        return Path(os.fsdecode(value))
    except TypeError:
        raise UsageError(f"{name}: {value!r} is not a path.") from None


def whole(name: str, value: Any, least: int = 0) -> int:
    """A whole number, also of numpy.

    Raises:
        UsageError: it is none, or below ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        kind = "a whole number" if least < 0 else f"a whole number of at least {least}"
        raise UsageError(f"{name}: {value!r} is not {kind}.")
    return int(value)


def truth(name: str, value: Any) -> bool:
    """True or False.

    Raises:
        UsageError: something else.
    """
    if not isinstance(value, bool):
        raise UsageError(f"{name}: {value!r} is not True or False.")
    return value


def real(name: str, value: Any) -> float:
    """A number, also of numpy.

    Raises:
        UsageError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise UsageError(f"{name}: {value!r} is not a number.")
    return float(value)


def text(name: str, value: Any) -> str:
    """A text.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(value, str):
        raise UsageError(f"{name}: {value!r} is not a text.")
    return value


def texts(name: str, value: Any) -> list[str]:
    """Texts in a row; a single one is a row of one.

    Raises:
        UsageError: it is something else.
    """
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping) or not isinstance(value, Sequence | set | frozenset):
        raise UsageError(f"{name}: {value!r} is not a list of texts.")
    return [text(name, each) for each in value]


def mapping(name: str, value: Any) -> dict[str, Any]:
    """Options by name.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(value, Mapping):
        raise UsageError(f"{name}: {value!r} does not give options by name.")
    return {text(name, key): each for key, each in value.items()}


def place_of(workers: Any, engine: Any, ray_address: Any, ray_gpus: Any) -> dict[str, Any]:
    """Where the work is done; None = not said.

    Raises:
        UsageError: a value of another kind.
    """
    return {
        "workers": whole("workers", workers),
        "engine": None if engine is None else text("engine", engine),
        "ray_address": None if ray_address is None else text("ray_address", ray_address),
        "ray_gpus": None if ray_gpus is None else real("ray_gpus", ray_gpus),
    }
