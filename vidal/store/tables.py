"""Tables of ``vidal.types`` as named arrays and back, without loss and without pickle.

Array fields stay arrays. All other fields go, as JSON, into one uint8 array named ``@``. A table
inside a table contributes its arrays under ``field.name``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

PLAIN = "@"
"""Name of the array that holds every field that is none."""


def to_arrays(table: Any) -> dict[str, NDArray[Any]]:
    """A frozen dataclass as named arrays.

    Raises:
        TypeError: a field that is neither an array, a table, nor made of plain values.
    """
    arrays: dict[str, NDArray[Any]] = {}
    plain: dict[str, Any] = {"@type": type(table).__name__}
    for field in fields(table):
        value = getattr(table, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = value
        elif is_dataclass(value):
            inner = to_arrays(value)
            arrays |= {f"{field.name}.{name}": array for name, array in inner.items()}
        else:
            plain[field.name] = _to_json(value)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    arrays[PLAIN] = np.frombuffer(text.encode(), dtype=np.uint8)
    return arrays


def from_arrays(cls: type[T], arrays: Mapping[str, NDArray[Any]], **given: Any) -> T:
    """The table that ``to_arrays`` took apart; its constructor checks it again.

    A field with a default may be missing: the table was stored before there was such a field.
    Fields that are ``given`` are not what was stored.

    Raises:
        ValueError: the arrays are not those of a ``cls``.
    """
    if PLAIN not in arrays:
        raise ValueError(f"not a stored {cls.__name__}: no array {PLAIN!r}")
    plain = json.loads(arrays[PLAIN].tobytes())
    if plain.pop("@type") != cls.__name__:
        raise ValueError(f"not a stored {cls.__name__}")
    hints = _hints(cast("Any", cls))
    values: dict[str, Any] = {}
    for field in fields(cls):  # type: ignore[arg-type]
        name = field.name
        if name in given:
            values[name] = given[name]
        elif name in arrays:
            values[name] = arrays[name]
        elif name in plain:
            values[name] = _from_json(plain[name], hints[name])
        elif inner := _inside(f"{name}.", arrays):
            values[name] = from_arrays(_table_type(hints[name]), inner)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"not a stored {cls.__name__}: no field {name!r}")
    return cls(**values)


def _inside(start: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays of a table within a table."""
    return {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}


@lru_cache(maxsize=64)
def _hints(cls: Any) -> Mapping[str, Any]:
    """Types of fields; working them out takes longer than reading a small table."""
    return get_type_hints(cls)


def plain_fields(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The fields of a stored table that are no arrays, as JSON has them; needs the array ``@``."""
    fields_: dict[str, Any] = json.loads(arrays[PLAIN].tobytes())
    return fields_


def _to_json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path | Fraction):
        return str(value)
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    raise TypeError(f"cannot be stored: a {type(value).__name__}")


def _from_json(value: Any, hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        if value is None:
            return None
        (hint,) = (arg for arg in get_args(hint) if arg is not NoneType)
    if get_origin(hint) is tuple:
        args = get_args(hint)
        items = args[:1] * len(value) if args[1:] == (...,) else args
        return tuple(_from_json(item, kind) for item, kind in zip(value, items, strict=True))
    return hint(value) if hint in (Path, Fraction) else value


def _table_type(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        return next(arg for arg in get_args(hint) if is_dataclass(arg))
    return hint
