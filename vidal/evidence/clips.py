"""The clips of a run: found, opened, and remembered, so that a second run opens them at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidal.errors import NoClips, UnreadableClip, WorkerLost
from vidal.evidence.places import EngineMaker, store_at
from vidal.evidence.shards import WHOLE, Shard, size_of
from vidal.store import FileStore, content_key, from_arrays, to_arrays
from vidal.types import Clip, SkippedClip
from vidal.video import discover, open_clip

VERSION = 2
"""Raise it when the table of presentation times is computed differently."""


@dataclass(frozen=True, slots=True)
class OpenJob:
    """One path to open; ``store`` is the root of the evidence store, None = it is not kept."""

    path: Path
    root: Path
    image_rate: Fraction
    store: Path | None


def open_new(job: OpenJob) -> Clip | SkippedClip:
    """Open a clip and remember it. Runs wherever the engine wants."""
    try:
        clip = open_clip(job.path, root=job.root, image_rate=job.image_rate)
    except UnreadableClip as error:
        return SkippedClip(job.path, error.why)
    if job.store is not None:
        store_at(job.store).put(_key(job), to_arrays(clip))
    return clip


def open_clips(
    videos: Path, *, engines: EngineMaker, store: Path, image_rate: Fraction
) -> tuple[list[Clip], list[SkippedClip]]:
    """All clips under a path, in natural order, and what could not be read.

    A clip whose files have not changed since it was opened last is taken from the store.

    Raises:
        NoClips: nothing there, or nothing readable.
    """
    dealt = open_shard(videos, WHOLE, engines=engines, store=store, image_rate=image_rate)
    return dealt.own, dealt.skipped


@dataclass(frozen=True, slots=True, eq=False)
class Dealt:
    """The clips of a shard.

    Attributes:
        own: that no other shard has.
        divided: that all shards have; each looks at its part of their windows.
        skipped: what could not be read.
    """

    own: list[Clip]
    divided: list[Clip]
    skipped: list[SkippedClip]


def open_shard(
    videos: Path, shard: Shard, *, engines: EngineMaker, store: Path, image_rate: Fraction
) -> Dealt:
    """The clips under a path that a shard is dealt, by the size of their files and their names.

    Raises:
        NoClips: nothing there, or nothing readable; a shard may be dealt none.
    """
    searched = discover(videos)
    root = videos if videos.is_dir() and videos not in searched.clips else videos.parent
    names = {path: path.relative_to(root).as_posix() for path in searched.clips}
    deal = shard.deal({names[path]: size_of(path) for path in names} if shard.of > 1 else {})
    everyones = [path for path in names if names[path] in deal.divided]
    paths = [path for path in names if shard.of == 1 or names[path] in deal.own] + everyones
    found = open_paths(
        [(path, root) for path in paths], engines=engines, store=store, image_rate=image_rate
    )
    skipped = [entry for entry in found if isinstance(entry, SkippedClip)]
    if paths and len(skipped) == len(paths):
        first = skipped[0]
        which = f"none of {len(skipped):,} clips can be read; the first, {first.path.name}"
        if len(skipped) == 1:
            which = f"its one clip cannot be read: {first.path.name}"
        raise NoClips(videos, f"{which}: {first.reason}")
    skipped += searched.skipped if shard.number == 1 else []
    distinct = _distinct([entry for entry in found if isinstance(entry, Clip)], skipped)
    common = {entry.id for entry in found[len(paths) - len(everyones) :] if isinstance(entry, Clip)}
    own = [clip for clip in distinct if clip.id not in common]
    return Dealt(own, [clip for clip in distinct if clip.id in common], skipped)


def open_paths(
    paths: Sequence[tuple[Path, Path]],
    *,
    engines: EngineMaker,
    store: Path,
    image_rate: Fraction,
    keep: bool = True,
) -> list[Clip | SkippedClip]:
    """The clip at every (path, root), or why it cannot be used; known ones from the store.

    ``keep``: others are remembered there; else nothing is written.
    """
    to = store if keep else None
    jobs = [OpenJob(_placed(path, root), root.resolve(), image_rate, to) for path, root in paths]
    kept = store_at(store) if keep else FileStore(store, read_only=True)
    known = [kept.get(_key(job)) for job in jobs]
    new = [job for job, arrays in zip(jobs, known, strict=True) if arrays is None]
    opened = iter(engines(len(new), heavy=False).map(open_new, new, lost=_given_up))
    return [next(opened) if arrays is None else from_arrays(Clip, arrays) for arrays in known]


def _given_up(job: OpenJob, error: WorkerLost) -> SkippedClip:
    return SkippedClip(job.path, error.why, passing=True)


def _key(job: OpenJob) -> str:
    return content_key("clip", VERSION, _identity(job), {"rate": str(job.image_rate)})


def _identity(job: OpenJob) -> Sequence[str]:
    """What tells that a path still holds the same: names, sizes and times of its files."""
    try:
        files = sorted(job.path.iterdir()) if job.path.is_dir() else [job.path]
    except OSError:
        files = [job.path]
    return [str(job.path), str(job.root), *(_state(file) for file in files)]


def _state(file: Path) -> str:
    try:
        status = file.stat()
    except OSError as error:  # a link that leads nowhere: opening it says what is wrong
        return f"{file.name}|{error.errno}"
    readable = "" if os.access(file, os.R_OK) else "|unreadable"
    return f"{file.name}|{status.st_size}|{status.st_mtime_ns}{readable}"


def _placed(path: Path, root: Path) -> Path:
    """An absolute path below the real root in which the clip's own links keep their names."""
    if ".." in path.parts:
        return path.resolve()
    whole, base = path.absolute(), root.absolute()
    if whole.is_relative_to(base):
        return root.resolve() / whole.relative_to(base)
    return whole.parent.resolve() / whole.name


def _distinct(clips: Sequence[Clip], skipped: list[SkippedClip]) -> list[Clip]:
    """Without copies: the same content under the same name would be annotated twice."""
    seen: dict[str, Clip] = {}
    for clip in clips:
        if clip.id in seen:
            skipped.append(SkippedClip(clip.path, f"the same clip as {seen[clip.id].path}"))
        else:
            seen[clip.id] = clip
    return list(seen.values())
