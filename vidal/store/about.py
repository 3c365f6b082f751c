"""What is said of an entry, as JSON, and which keys and stages there may be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from vidal.types import Stored

_KEY = re.compile(r"[0-9a-f]{8,128}")
_STAGE = re.compile(r"[a-z][a-z0-9-]{0,39}")
_MOST = 60_000
"""Bytes of JSON: more does not fit where a fresh entry keeps them."""


def checked_key(key: str) -> str:
    """The key.

    Raises:
        ValueError: not a key: 8 to 128 lower-case hexadecimal digits.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a store key: {key!r}")
    return key


def checked(about: Stored | None) -> Stored:
    """As it comes back from a store: facts in plain JSON types; nothing said = ``Stored("")``.

    Raises:
        ValueError: no stage, facts that JSON does not have, or more than 60 kB of them.
    """
    return Stored("") if about is None else from_json(to_json(about))


def to_json(about: Stored) -> str:
    """One line.

    Raises:
        ValueError: as for ``checked``.
    """
    if about.stage and not _STAGE.fullmatch(about.stage):
        raise ValueError(f"not a stage: {about.stage!r}")
    record = {field.name: getattr(about, field.name) for field in fields(Stored)}
    record["facts"] = dict(about.facts)
    try:
        text = json.dumps(record, separators=(",", ":"), allow_nan=False)
    except TypeError as error:
        raise ValueError(f"facts of an entry: {error}") from error
    if len(text) > _MOST:
        raise ValueError(f"facts of an entry: {len(text)} bytes, at most {_MOST} are kept")
    return text


def from_json(text: str) -> Stored:
    """What ``to_json`` wrote.

    Raises:
        ValueError: it did not.
    """
    record = json.loads(text)
    names = {field.name for field in fields(Stored)}
    if not isinstance(record, Mapping) or set(record) != names:
        raise ValueError("not what a store says of an entry")
    values: dict[str, Any] = dict(record)
    return Stored(**values)
