"""Which stage an entry is of, where nobody said it: entries of an earlier version of vidal."""

from __future__ import annotations

from collections.abc import Sequence

_BY_ARRAYS = {
    "flow": {"forward", "backward", "valid"},
    "detections": {"scanned", "boxes", "scores", "probs"},
    "estimate": {"false_positive", "missed"},
    "expected": {"detections.evidence", "candidates.evidence"},
    "prints": {"prints"},
    "clip": {"pts"},
}


def sniffed(layout: Sequence[tuple[str, str]]) -> str:
    """By the names of its arrays; "" = not known."""
    names = {name for name, _ in layout}
    return next((stage for stage, due in _BY_ARRAYS.items() if due <= names), "")
