"""``--map``: which class of the campaign a class of a file is.

``van=car``               a van is a car.
``vehicle.type``          the class of a vehicle is what its attribute ``type`` says; the same as
                          ``vehicle.type=class``.
``vehicle.type=car``      a vehicle of which ``type`` says car is a car; other vehicles stay what
                          they are. Where the file has a class that is called ``vehicle.type``, it
                          is a car.

Attributes come first: of ``vehicle.type`` and ``van=car`` together a vehicle of type van is a car.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from vidal.errors import UnknownName, UsageError
from vidal.formats._relabel import Relabel
from vidal.selection.labelled import class_at
from vidal.types import UNKNOWN, LabelledClip

ANY = "class"
"""``vehicle.type=class``: whatever the attribute says."""
NOBODYS = "unknown"
"""The class of objects that are none of the campaign's."""


def is_nobodys(name: str) -> bool:
    """Whether a file calls objects unknown on purpose, in whatever case."""
    return name.strip().casefold() == NOBODYS


@dataclass(frozen=True, slots=True)
class ClassMap:
    """Parsed rules.

    Attributes:
        names: class of the file -> class of the campaign, or ``unknown``.
        attributes: class of the file -> the attribute that holds the class.
        only: class of the file -> values of that attribute that count, in lower case; all where it
            is absent.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, rules: Iterable[str], classes: Sequence[str]) -> ClassMap:
        """Of the texts of ``--map``.

        Args:
            rules: see above.
            classes: of the campaign.

        Raises:
            UsageError: no such rule, or two that contradict each other.
            UnknownName: a class that the campaign does not have.
        """
        names: dict[str, str] = {}
        attributes: dict[str, str] = {}
        only: dict[str, set[str]] = {}
        whole: set[str] = set()
        for rule in rules:
            left, sign, right = (part.strip() for part in rule.partition("="))
            label, dot, attribute = left.rpartition(".")
            dotted = bool(dot and label and attribute)
            if not left or (not dotted and (not sign or not right)):
                raise UsageError(
                    f"--map {rule!r}: not a rule.",
                    hint="Expected van=car, or vehicle.type for the class that an attribute holds.",
                )
            every = dotted and right in ("", ANY)
            if not dotted:
                _set(names, left, _target(right, classes), rule)
                continue
            _set(attributes, label, attribute, rule)
            if every:
                whole.add(label)
            else:
                names.setdefault(left, _target(right, classes))
                only.setdefault(label, set()).add(right.casefold())
        strict = {name: frozenset(each) for name, each in only.items() if name not in whole}
        return cls(names, attributes, strict)

    def relabel(self) -> Relabel:
        """What readers take."""
        return Relabel(self.attributes, only=self.only)

    def renamed(self, entries: Iterable[LabelledClip]) -> Iterator[LabelledClip]:
        """The entries of a file with the classes that they mean."""
        for entry in entries:
            table = entry.annotations
            wanted = [self.names.get(name, name) for name in table.classes]
            if wanted == list(table.classes):
                yield entry
                continue
            classes = tuple(dict.fromkeys(name for name in wanted if name != NOBODYS))
            places = [UNKNOWN if name == NOBODYS else classes.index(name) for name in wanted]
            labels = np.array([*places, UNKNOWN], np.int64)[table.labels]
            yield replace(entry, annotations=replace(table, classes=classes, labels=labels))

    def check_used(self, path: object, found: Iterable[str], relabel: Relabel) -> None:
        """Refuse rules for classes that the file does not have: they are misspelt.

        Args:
            path: of the file.
            found: its classes, before they were renamed.
            relabel: of the reading.

        Raises:
            UsageError: names the rule, and what there is.
        """
        names = set(found)
        known = sorted(names | relabel.seen.keys())
        have = f"It has: {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}."
        for label in self.attributes:
            literal = any(f"{label}.{self.attributes[label]}" == name for name in names)
            if label not in relabel.seen and not literal:
                raise UsageError(f"--map: {path} has no object of class {label!r}.", hint=have)
        for name in self.names:
            label, _, attribute = name.rpartition(".")
            by_value = self.attributes.get(label) == attribute and label in relabel.seen
            if name not in names and not by_value:
                raise UsageError(f"--map: {path} has no class {name!r}.", hint=have)


def _set(known: dict[str, str], key: str, value: str, rule: str) -> None:
    if known.setdefault(key, value) != value:
        raise UsageError(f"--map {rule!r}: {key!r} is mapped to {known[key]!r}, too.")


def _target(name: str, classes: Sequence[str]) -> str:
    at = class_at(name, tuple(classes))
    if is_nobodys(name) and (at == UNKNOWN or name == NOBODYS):
        return NOBODYS
    if at == UNKNOWN:
        raise UnknownName("class", name, [*classes, NOBODYS])
    return classes[at]


def suggestion(relabel: Relabel, classes: Sequence[str]) -> str:
    """The rule that would give most objects a class of the campaign; empty where none would."""
    best, text = 0, ""
    for label, attributes in sorted(relabel.seen.items()):
        for name, values in sorted(attributes.items()):
            fits = sum(class_at(value, tuple(classes)) != UNKNOWN for value in values)
            if fits > best:
                best, text = fits, f"{label}.{name}=class"
    return text
