"""``key=value`` options."""

from __future__ import annotations

from collections.abc import Sequence

from vidal.errors import UsageError

KEY_VALUE = "KEY=VALUE"
RATES = "frame=2s,box=7s,..."
"""How rates of annotation are given."""


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """``("a=1", "b=2")`` -> ``{"a": "1", "b": "2"}``.

    Raises:
        UsageError: a text without ``=``, or a key given twice.
    """
    result: dict[str, str] = {}
    name = option.removesuffix("s").replace("_", "-")
    for text in given:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise UsageError(f"--{name} {text!r} is not {KEY_VALUE}.")
        if key in result:
            raise UsageError(f"--{name} {key} is given twice.")
        result[key.strip().replace("-", "_")] = value.strip()
    return result
