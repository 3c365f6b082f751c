"""Content keys: what an entry depends on, as a name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def content_key(stage: str, version: int, inputs: Any, options: Mapping[str, Any]) -> str:
    """32 hexadecimal digits that differ wherever any argument differs.

    Args:
        stage: what was computed, e.g. ``detections``.
        version: of the code that computed it; raise it when the result changes.
        inputs: what it was computed from: clip ids, digests, other keys; JSON values.
        options: every option that shapes the result; JSON values. The order of keys is irrelevant.

    Raises:
        TypeError: a value that JSON does not have, or a key that is no string.
        ValueError: NaN or infinity.
    """
    return KeyMaker(stage, version, options)(inputs)


class KeyMaker:
    """``content_key`` of one stage and one set of options, for many inputs, in less time."""

    def __init__(self, stage: str, version: int, options: Mapping[str, Any]) -> None:
        """Args and errors: as of ``content_key``."""
        self._head = f"[{_text(stage)},{_text(version)},"
        self._tail = f",{_text(_checked(options))}]"

    def __call__(self, inputs: Any) -> str:
        """The key of one of them."""
        plain = type(inputs) is list and all(type(each) in _PLAIN for each in inputs)
        text = f"{self._head}{_text(inputs if plain else _checked(inputs))}{self._tail}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _text(value: Any) -> str:
    return _ENCODER.encode(value)


_PLAIN = (str, type(None))
"""What most inputs are lists of: it need not be looked at more closely."""
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def _checked(value: Any) -> Any:
    """The value in plain JSON types; JSON itself would turn the key 1 into "1" in silence."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"content key: the mapping key {key!r} is not a string")
        return {key: _checked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_checked(item) for item in value]
    raise TypeError(f"content key: {type(value).__name__} is not a JSON value")
