"""What a store's manifest says of an entry: enough to plan by, without opening it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Stored:
    """One entry.

    Attributes:
        stage: what was computed, e.g. ``detections``; lower-case letters, digits and hyphens, a
            letter first; "" = not said.
        clip: id of the clip it was computed from; "" = none, or many.
        start, stop: frames of the clip, half-open; 0, 0 = the whole clip.
        rows: of its tables.
        facts: whatever else has to be known without opening it; JSON values, small.
    """

    stage: str
    clip: str = ""
    start: int = 0
    stop: int = 0
    rows: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
