"""Strategies, detectors and trackers of other packages, found by their entry points.

A package names them in its ``pyproject.toml``; nothing of it is imported before it is asked for:

    [project.entry-points."vidal.strategies"]
    mine = "my_package:Mine"
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from vidal.errors import PluginError

GROUPS: Mapping[str, str] = {
    "strategy": "vidal.strategies",
    "detector": "vidal.detectors",
    "tracker": "vidal.trackers",
}
"""What a plug-in is -> the group of its entry points."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point, not imported yet.

    Attributes:
        kind: of ``GROUPS``.
        name: as users write it.
        package: the distribution it comes with; empty where it does not say.
        version: of that distribution: part of every content key.
        entry: what is imported.
    """

    kind: str
    name: str
    package: str
    version: str
    entry: EntryPoint

    def load(self) -> Any:
        """Import it.

        Raises:
            PluginError: it cannot be imported; says why.
        """
        try:
            with redirect_stdout(sys.stderr):  # what it prints is no part of a command's output
                return self.entry.load()
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise PluginError(self.kind, self.name, self.package, why) from error


def plugins(kind: str, own: Sequence[str] = ()) -> dict[str, Plugin]:
    """Name -> plug-in of a kind, by name; those that clash are left out (see ``plugin``).

    Args:
        kind: of ``GROUPS``.
        own: names that vidal has itself.
    """
    found = _found(GROUPS[kind])
    alone = {name: each[0] for name, each in found.items() if len(each) == 1 and name not in own}
    return {name: _described(kind, entry) for name, entry in sorted(alone.items())}


def plugin(kind: str, name: str, own: Sequence[str] = ()) -> Plugin | None:
    """The plug-in of a name; None where no package has one.

    Raises:
        PluginError: the name is taken: by vidal (``own``) or by several packages.
    """
    entries = _found(GROUPS[kind]).get(name, ())
    if not entries:
        return None
    packages = [_described(kind, entry).package or "another package" for entry in entries]
    if name in own:
        raise PluginError(kind, name, packages[0], "vidal has one of that name itself")
    if len(entries) > 1:
        why = f"{' and '.join(packages)} both have one of that name"
        raise PluginError(kind, name, packages[0], why)
    return _described(kind, entries[0])


@lru_cache(maxsize=8)
def _found(group: str) -> Mapping[str, tuple[EntryPoint, ...]]:
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in entry_points(group=group):
        known = found.get(entry.name, ())
        # The same distribution can be found twice on the path (an editable install and its egg).
        if all(entry.value != other.value for other in known):
            found[entry.name] = (*known, entry)
    return found


def _described(kind: str, entry: EntryPoint) -> Plugin:
    dist = entry.dist
    package, version = ("", "") if dist is None else (dist.name, dist.version)
    return Plugin(kind, entry.name, package, version, entry)
