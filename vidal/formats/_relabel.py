"""Classes that an attribute states, not the label: ``vehicle`` with ``type = car``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidal.errors import FormatError
from vidal.formats._xml import shown

_REMEMBERED = 100
"""Values of an attribute that are remembered."""


@dataclass(slots=True)
class Relabel:
    """Gives objects the class that an attribute of theirs states.

    Attributes:
        attributes: label -> the attribute that holds the class of its objects.
        seen: label -> attribute -> its values, as far as the reader met them.
        only: label -> values that count, in lower case; objects with others keep their label.
    """

    attributes: Mapping[str, str] = field(default_factory=dict)
    seen: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __call__(self, path: Path, where: str, label: str, values: Mapping[str, Any]) -> str:
        """The class of an object.

        Args:
            path, where: of the object, for the error.
            label: that the file gives it.
            values: of its attributes.

        Raises:
            FormatError: it lacks the attribute.
        """
        met = self.seen.setdefault(label, {})
        for name, value in values.items():
            known = met.setdefault(name, set())
            if len(known) < _REMEMBERED:
                known.add(_text(value))
        wanted = self.attributes.get(label)
        if wanted is None:
            return label
        text = _text(values.get(wanted, "")).strip()
        if label in self.only:
            return text if text.casefold() in self.only[label] else label
        if not text:
            have = ", ".join(shown(name) for name in list(values)[:5]) or "none"
            why = f"a {shown(label)} without the attribute {shown(wanted)} (it has {have})"
            raise FormatError(path, where, why)
        return text


def _text(value: Any) -> str:
    """A value as people write it; of lists and objects nothing is known."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)[:200] if isinstance(value, str | int | float) else ""
