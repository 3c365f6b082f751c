"""Frames a second, as people write them."""

from __future__ import annotations

import re
from fractions import Fraction

SLOWEST, FASTEST = Fraction(1, 86400), Fraction(1000)

_NUMBER = re.compile(
    r"\d{1,12}/\d{1,12}|(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(?:[eE][+-]?\d{1,2})?"
)


def parse_rate(text: str) -> Fraction:
    """``10``, ``12.5`` or ``30000/1001`` as a number of frames a second.

    Raises:
        ValueError: something else (long numbers and exponents are not worked out), or not from one
            a day to 1000 a second.
    """
    cleaned = text.strip()
    try:
        rate = Fraction(cleaned) if _NUMBER.fullmatch(cleaned) else None
    except ZeroDivisionError:
        rate = None
    if rate is None or not SLOWEST <= rate <= FASTEST:
        raise ValueError("not a number of frames a second, up to 1000")
    return rate
