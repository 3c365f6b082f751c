"""Numbers with their nouns."""

from __future__ import annotations


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 frame``, ``2 frames``, ``1,000 boxes`` (``plural`` where an s is not enough)."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
