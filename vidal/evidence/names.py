"""Which clip a name means: by its place in its folders, by its id, never by the file name alone
where the folders say otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vidal.errors import LabelsMismatch
from vidal.types import Clip


def names_of(clip: Clip) -> tuple[str, ...]:
    """The names by which a user may call a clip, the most specific first."""
    bare = clip.id.rpartition("-")[0]
    return (clip.id, bare, clip.path.name, clip.path.stem)


@dataclass(frozen=True, slots=True, order=True)
class Fit:
    """How well a name fits a clip; the greater the better.

    Attributes:
        whole: the name is the clip's id.
        folders: how many folders agree, counted from the clip upwards.
        exact: 2 = the file name agrees with its suffix, 1 = without it, 0 = without both suffixes.
        own: the name is of the clip, not of the folder that holds it alone.
    """

    whole: bool
    folders: int
    exact: int
    own: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """A clip and where it lies: ``below`` the folder that was searched, and all of its path."""

    clip: Clip
    below: tuple[str, ...]
    above: tuple[str, ...]

    @property
    def folders(self) -> tuple[str, ...]:
        """All folders above the clip, outermost first."""
        return (*self.above, *self.below[:-1])


class ClipNames:
    """The clips of a run, to be found by the names that annotation and detection files give them.

    A name may be the clip's id, the id without its digest, or its file name with or without suffix,
    after any number of its folders: ``night/cam``, ``clips/night/cam.mp4``. The longest agreement
    wins. A folder in the name that is not the clip's rules the clip out, where the clip has a
    folder of its own there. A clip that is alone in its folder (``<sequence>/video.mp4``) also goes
    by the folder's name.
    """

    def __init__(self, clips: Iterable[Clip]) -> None:
        self._ids: dict[str, _Place] = {}
        self._bare: dict[str, list[_Place]] = {}
        self._last: dict[str, list[_Place]] = {}
        self._alone: dict[str, list[_Place]] = {}
        homes: dict[Path, list[_Place]] = {}
        for clip in clips:
            at = _place(clip)
            homes.setdefault(clip.path.parent, []).append(at)
            self._ids[clip.id] = at
            self._bare.setdefault(clip.id.rpartition("-")[0], []).append(at)
            for name in {at.below[-1], clip.path.stem, clip.path.name}:
                self._last.setdefault(name, []).append(at)
        for held in homes.values():
            if len(held) == 1 and held[0].folders:
                self._alone.setdefault(held[0].folders[-1], []).extend(held)

    def find(self, path: Path, names: Iterable[str]) -> tuple[Clip, Fit] | None:
        """The clip that one of the names means, tried in order; None where none does.

        Raises:
            LabelsMismatch: names of ``path`` that could be several clips, and no other name
                settles it.
        """
        doubt: tuple[str, list[Clip]] | None = None
        for given in names:
            found = self._fits(given)
            best = max((fit for _, fit in found), default=None)
            clips = [clip for clip, fit in found if fit == best]
            if best is not None and len(clips) == 1:
                return clips[0], best
            if clips and doubt is None:
                doubt = given, clips
        if doubt is None:
            return None
        both = " and ".join(str(clip.path) for clip in doubt[1][:2])
        raise LabelsMismatch(
            path,
            f"{doubt[0]!r} could be {both}",
            hint=f"Name the clips with their folders, or by their ids ({doubt[1][0].id}).",
        )

    def _fits(self, given: str) -> list[tuple[Clip, Fit]]:
        """Every clip that a name may mean, and how well it fits."""
        parts = _parts(given)
        if not parts:
            return []
        *folders, last = parts
        stem = PurePosixPath(last).stem
        for name in (last, stem):
            if name in self._ids:
                return [(self._ids[name].clip, Fit(True, 0, 2, True))]
        for name in dict.fromkeys(("__".join(parts), "__".join([*folders, stem]))):
            if name in self._bare:
                return [self._bared(at, last) for at in self._bare[name]]
        found: dict[str, tuple[Clip, Fit]] = {}
        for name in dict.fromkeys((last, stem)):
            for at in self._last.get(name, ()):
                fit = _fit(at, folders, _exact(at, last))
                if fit is not None:
                    found.setdefault(at.clip.id, (at.clip, fit))
        for name in dict.fromkeys((last, stem)):
            if not found and name in self._bare:
                return [self._bared(at, last) for at in self._bare[name]]
        if not found:
            for at in self._alone.get(last, ()):
                fit = _fit(at, parts, 0, own=False)
                if fit is not None:
                    found[at.clip.id] = at.clip, fit
        return list(found.values())

    def _bared(self, at: _Place, last: str) -> tuple[Clip, Fit]:
        """The fit of a clip that is named by its id without the digest."""
        return at.clip, Fit(False, len(at.below) - 1, max(1, _exact(at, last)), True)


def _exact(at: _Place, last: str) -> int:
    return 2 if last == at.clip.path.name else int(last == at.below[-1])


def _fit(at: _Place, given: Sequence[str], exact: int, *, own: bool = True) -> Fit | None:
    """How the folders of a name fit those of a clip; None where they contradict them.

    Only folders below the one that was searched can contradict: what lies above is called
    differently on every machine.
    """
    agree = 0
    for mine, theirs in zip(reversed(at.folders), reversed(given), strict=False):
        if mine != theirs:
            break
        agree += 1
    if agree < min(len(given), len(at.below) - 1):
        return None
    return Fit(False, agree, exact, own)


def _parts(given: str) -> tuple[str, ...]:
    parts = [part for part in re.split(r"[/\\]+", given) if part not in ("", ".")]
    return tuple(parts)


def _place(clip: Clip) -> _Place:
    """Where a clip lies; its id tells how many folders lie below the one that was searched."""
    bare = clip.id.rpartition("-")[0]
    parts = clip.path.parts
    for count in range(1, len(parts) + 1):
        for last in (clip.path.stem, clip.path.name):
            below = (*parts[-count:-1], last)
            if "__".join(re.sub(r"[^A-Za-z0-9._-]", "_", part) for part in below) == bare:
                return _Place(clip, below, tuple(p for p in parts[:-count] if p != "/"))
    below = tuple(bare.split("__"))  # a link, or a file that was renamed since
    above = tuple(p for p in parts[: -len(below)] if p != "/")
    return _Place(clip, below, above)
