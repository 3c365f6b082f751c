"""Finding the clips of a campaign again after files were moved or renamed.

A clip is known by its content: one of another content is refused, whatever it is called.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from vidal.campaign.clips import Lost, same_content
from vidal.campaign.config_file import change_paths
from vidal.campaign.entries import ClipEntry
from vidal.campaign.folder import Campaign
from vidal.campaign.migrate import set_home
from vidal.campaign.own import EVENT, RELINKED, moved
from vidal.campaign.places import place
from vidal.errors import InputError, NoClips, UsageError
from vidal.evidence.clips import open_paths
from vidal.evidence.places import EngineMaker
from vidal.types import Clip
from vidal.video import find_clips


@dataclass(frozen=True, slots=True)
class Relinked:
    """What became of a search.

    Attributes:
        there: clips that lie where the record says.
        found: (id, path) of those that were found elsewhere; the record names that place now.
        other: (id, path) of files at a clip's place, or of its name, that hold another clip.
        missing: ids of those that were not found.
    """

    there: int
    found: tuple[tuple[str, Path], ...]
    other: tuple[tuple[str, Path], ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """A folder that was moved: what lay below ``old`` lies below ``new``."""

    old: Path
    new: Path

    @classmethod
    def between(
        cls, old: str | os.PathLike[str] | None, new: str | os.PathLike[str] | None
    ) -> Move | None:
        """From what a user wrote; None where nothing was moved.

        Raises:
            UsageError: one without the other.
        """
        if (old is None) is not (new is None):
            raise UsageError(
                "old and new go together: what lay below the one lies below the other."
            )
        if old is None or new is None:
            return None
        return cls(_absolute(old), _absolute(new))

    def apply(self, path: Path) -> Path:
        """Where a path leads after the move."""
        return self.new / path.relative_to(self.old) if path.is_relative_to(self.old) else path


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 (a link stays a link)


def relink(
    campaign: Campaign,
    *,
    engines: EngineMaker,
    videos: Path | None = None,
    move: Move | None = None,
) -> Relinked:
    """Find the clips that are not where they were, and write down where they are.

    Searched are, in this order: the places of ``move``; ``videos``, else the folders that the
    configuration names. Paths of ``campaign.yaml`` (labels, weights, ...) follow a move, and its
    folder of clips becomes ``videos`` where the former is gone.

    Args:
        campaign: locked by the caller.
        engines: where clips are opened.
        videos: a folder with the clips, at any depth and under any name.
        move: absolute.

    Raises:
        InputError: a folder that is not there.
        OutputError: the campaign cannot be written.
    """
    for folder in (videos, None if move is None else move.new):
        if folder is not None and not folder.exists():
            raise InputError(folder, "no such file or folder")
    found = campaign.found(engines, None)
    search = _Search(campaign, engines)
    left = list(found.lost)
    if move is not None:
        left = search.moved(left, move)
    places = [videos] if videos is not None else _named(campaign, move)
    for place_ in places:
        left = search.below(left, place_)
    _write(campaign, search.found, videos, move)
    there = len(found.clips)
    other = {**search.other, **{e.entry.id: e.path for e in left if e.why.startswith("has ch")}}
    return Relinked(
        there=there,
        found=tuple((entry.id, clip.path) for entry, clip, _ in search.found),
        other=tuple(sorted((n, p) for n, p in other.items() if n in {e.entry.id for e in left})),
        missing=tuple(each.entry.id for each in left),
    )


class _Search:
    """Candidates are opened; those of the right content are kept."""

    def __init__(self, campaign: Campaign, engines: EngineMaker) -> None:
        self._campaign = campaign
        self._engines = engines
        self.found: list[tuple[ClipEntry, Clip, Path]] = []
        self.other: dict[str, Path] = {}

    def moved(self, lost: Sequence[Lost], move: Move) -> list[Lost]:
        """Look at the new place of each clip; what is still lost."""
        pairs = {}
        for each in lost:
            path, root = move.apply(each.path), self._campaign.place_of(each.entry.root)
            if path != each.path and path.exists():
                pairs[each.entry.id] = path, move.apply(root)
        opened = self._open(pairs.values())
        return self._match(lost, {n: opened[at[0].resolve()] for n, at in pairs.items()}, pairs)

    def below(self, lost: Sequence[Lost], folder: Path) -> list[Lost]:
        """Look at all clips below a folder; what is still lost."""
        if not lost:
            return []
        try:
            paths = find_clips(folder)
        except NoClips:
            return list(lost)
        opened = self._open([(path, folder) for path in paths])
        by_digest: dict[tuple[str, int], list[Path]] = {}
        by_stem: dict[str, list[Path]] = {}
        for path in paths:
            clip = opened[path.resolve()]
            by_stem.setdefault(path.name, []).append(path)
            if isinstance(clip, Clip):
                by_digest.setdefault((clip.id.rpartition("-")[2], clip.frames), []).append(path)
        pairs, results = {}, {}
        for each in lost:
            entry = each.entry
            same = by_digest.get((entry.id.rpartition("-")[2], entry.frames), [])
            named = by_stem.get(each.path.name, [])
            best = sorted(same, key=lambda path: _unlike(path, each.path)) or named[:1]
            if best:
                pairs[entry.id] = best[0], folder
                results[entry.id] = opened[best[0].resolve()]
        return self._match(lost, results, pairs)

    def _open(self, pairs: Iterable[tuple[Path, Path]]) -> dict[Path, object]:
        wanted = list(pairs)
        clips = open_paths(
            wanted,
            engines=self._engines,
            store=self._campaign.evidence,
            image_rate=Fraction(self._campaign.config.data.image_rate),
        )
        return {path.resolve(): clip for (path, _), clip in zip(wanted, clips, strict=True)}

    def _match(
        self,
        lost: Sequence[Lost],
        opened: Mapping[str, object],
        pairs: Mapping[str, tuple[Path, Path]],
    ) -> list[Lost]:
        left = []
        for each in lost:
            clip = opened.get(each.entry.id)
            if isinstance(clip, Clip) and same_content(each.entry, clip):
                path, root = pairs[each.entry.id]
                self.found.append((each.entry, replace(clip, path=path), root))
                continue
            if clip is not None:
                self.other[each.entry.id] = pairs[each.entry.id][0]
            left.append(each)
        return left


def _unlike(path: Path, former: Path) -> tuple[int, str]:
    """How little of the former place a path has; of copies the most alike is taken."""
    mine, theirs = path.with_suffix("").parts[::-1], former.with_suffix("").parts[::-1]
    alike = 0
    for one, two in zip(mine, theirs, strict=False):
        if one != two:
            break
        alike += 1
    return -alike, str(path)


def _named(campaign: Campaign, move: Move | None) -> list[Path]:
    """Folders of clips that the configuration names, where they are there."""
    data = campaign.config.data
    named = [each for each in (data.videos, data.root, data.test_videos) if each is not None]
    return [place_ for each in named if (place_ := move.apply(each) if move else each).exists()]


def _write(
    campaign: Campaign,
    found: Iterable[tuple[ClipEntry, Clip, Path]],
    videos: Path | None,
    move: Move | None,
) -> None:
    """One transaction for the record, then the configuration; both can be done again."""
    folder, home = campaign.folder, campaign.home
    told = moved(campaign, (lambda path: path) if move is None else move.apply)
    rows = {entry.id: (clip.path, root) for entry, clip, root in found}
    with campaign.record.transaction() as db:
        for entry in campaign.record.clips():
            path, root = rows.get(
                entry.id, (campaign.place_of(entry.path), campaign.place_of(entry.root))
            )
            db.execute(
                "UPDATE clips SET path = ?, root = ? WHERE id = ?",
                (place(path, folder), place(root, folder), entry.id),
            )
        set_home(db, folder)
        campaign.record.event(None, "relinked", {"clips": sorted(rows)})
        for each in told:
            campaign.record.event(None, RELINKED, {EVENT: each})
    gone = campaign.config.data.videos
    lost = gone if gone is not None and not gone.exists() else None

    def change(path: Path) -> Path:
        moved = path if move is None else move.apply(path)
        return videos if videos is not None and moved == lost else moved

    change_paths(folder, home, change)
