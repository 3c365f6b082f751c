"""The clips of a run: found, opened, and remembered, so that a second run opens them at once.

The table of a clip lies in the store under its content (its id rests on it), so that it is found
again under another mount, after a copy or a new time stamp. What spares reading a file to learn its
content is a hint: a path with this size and these times held the clip of that id.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vidal.errors import NoClips, UnreadableClip, WorkerLost
from vidal.evidence.places import EngineMaker, store_at
from vidal.evidence.shards import WHOLE, Shard, size_of
from vidal.store import FileStore, content_key, from_arrays, to_arrays
from vidal.types import Clip, SkippedClip, Stored
from vidal.video import discover, identify, open_clip

VERSION = 3
"""Raise it when the table of presentation times is computed differently."""

_HINTS = 1
"""Raise it when ids are computed differently."""

_SETTLED = 2.0
"""Seconds after a change before a file's times tell it from its next state: clocks of file systems
tick slowly, and what is being written changes within a tick."""

_AT_ONCE = 2048
"""Entries that are put into the store together: a kill costs what was opened since."""


@dataclass(frozen=True, slots=True)
class OpenJob:
    """One path to open.

    Attributes:
        store: root of the evidence store.
        keep: what is found is remembered there; else nothing is written.
    """

    path: Path
    root: Path
    image_rate: Fraction
    store: Path
    keep: bool = True


@dataclass(frozen=True, slots=True)
class Opened:
    """What became of a path.

    Attributes:
        clip: or why it cannot be used.
        table: key under which its table is to be kept; None where it is already.
        hint: key under which its id is to be kept; None where its times do not tell it.
    """

    clip: Clip | SkippedClip
    table: str | None = None
    hint: str | None = None

    def entries(self) -> list[tuple[str, Mapping[str, NDArray[Any]], Stored]]:
        """For the store; the table does not say where the clip lies."""
        if isinstance(self.clip, SkippedClip):
            return []
        found: list[tuple[str, Mapping[str, NDArray[Any]], Stored]] = []
        name, rows = self.clip.id, self.clip.frames
        if self.table is not None:
            arrays = to_arrays(replace(self.clip, path=Path(self.clip.path.name)))
            found.append((self.table, arrays, Stored("clip", clip=name, rows=rows)))
        if self.hint is not None:
            found.append((self.hint, {}, Stored("clip-hint", clip=name)))
        return found


def open_new(job: OpenJob) -> Opened:
    """Open a clip, unless its content is known. Runs wherever the engine wants."""
    before = _state(job)
    try:
        name = identify(job.path, root=job.root)
        key = _key(name, job, folder=before.folder)
        arrays = _store(job.store, job.keep).get(key)
        if arrays is not None:
            clip = _clip(arrays, job.path)
        else:
            clip = open_clip(job.path, root=job.root, image_rate=job.image_rate, name=name)
    except UnreadableClip as error:
        return Opened(SkippedClip(job.path, error.why))
    tells = before.settled and _state(job).hint == before.hint
    return Opened(clip, key if arrays is None else None, before.hint if tells else None)


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
    roots = {root: _Root.of(root) for root in {root for _, root in paths}}
    jobs = [
        OpenJob(roots[root].placed(path), roots[root].real, image_rate, store, keep)
        for path, root in paths
    ]
    kept = _store(store, keep)
    found: list[Clip | SkippedClip | None] = list(_known(kept, jobs))
    new = [job for job, clip in zip(jobs, found, strict=True) if clip is None]
    opened = iter(_opened(new, engines, kept if keep else None))
    return [next(opened) if clip is None else clip for clip in found]


def _opened(
    jobs: Sequence[OpenJob], engines: EngineMaker, store: FileStore | None
) -> list[Clip | SkippedClip]:
    """Open paths, and remember many at a time: one by one takes longer than opening."""
    clips, new = [], []
    try:
        for each in engines(len(jobs), heavy=False).map(open_new, jobs, lost=_given_up):
            clips.append(each.clip)
            new += each.entries() if store is not None else []
            if store is not None and len(new) >= _AT_ONCE:
                store.put_many(new)
                new = []
    finally:  # an interrupt costs nothing that was done
        if store is not None and new:
            store.put_many(new)
    return clips


def _given_up(job: OpenJob, error: WorkerLost) -> Opened:
    return Opened(SkippedClip(job.path, error.why, passing=True))


def _known(store: FileStore, jobs: Sequence[OpenJob]) -> list[Clip | None]:
    """The clips whose files are as they were: a look at the file, and none into it."""
    states = [_state(job) for job in jobs]
    asked = [(n, state.hint) for n, state in enumerate(states) if state.hint is not None]
    told = store.known([hint for _, hint in asked])
    hinted = [(n, hint.clip) for (n, _), hint in zip(asked, told, strict=True) if hint is not None]
    keys = [_key(name, jobs[n], folder=states[n].folder) for n, name in hinted]
    clips: list[Clip | None] = [None] * len(jobs)
    for place, arrays in store.scan(keys):
        n = hinted[place][0]
        clips[n] = _clip(arrays, jobs[n].path)
    return clips


def _store(root: Path, keep: bool) -> FileStore:
    return store_at(root) if keep else FileStore(root, read_only=True)


def _clip(arrays: Mapping[str, NDArray[Any]], path: Path) -> Clip:
    """A clip of the store, where it lies in this run."""
    return from_arrays(Clip, arrays, path=path)


def _key(name: str, job: OpenJob, *, folder: bool) -> str:
    """Where the table of a clip lies; images have no times but those of their rate."""
    rate = str(job.image_rate) if folder else None
    return content_key("clip", VERSION, [name, job.path.suffix.lower()], {"rate": rate})


@dataclass(frozen=True, slots=True)
class _State:
    """How a path stands: the key of its hint (None: there is none), and when it changed last."""

    hint: str | None
    changed: int
    folder: bool

    @property
    def settled(self) -> bool:
        return time.time_ns() - self.changed > _SETTLED * 1e9


def _state(job: OpenJob) -> _State:
    """What tells that a path still holds the same: names, sizes and times of its files.

    The time of the last change of any kind (``ctime``) is among them: programs can set the others
    back. Numbers of files are not: some network mounts give new ones each time.
    """
    try:
        status = job.path.stat()
        folder = stat.S_ISDIR(status.st_mode)
        if folder:
            with os.scandir(job.path) as entries:
                files = [_of_image(entry) for entry in sorted(entries, key=lambda each: each.name)]
        else:
            files = [_of_file(job.path.name, job.path, status)]
    except (OSError, ValueError):  # opening it says what is wrong
        return _State(None, 0, folder=False)
    where = [os.fspath(job.path), os.fspath(job.root), [line for line, _ in files]]
    hint = content_key("clip-hint", _HINTS, where, {})
    return _State(hint, max((changed for _, changed in files), default=0), folder)


def _of_image(entry: os.DirEntry[str]) -> tuple[str, int]:
    try:
        return _of_file(entry.name, entry.path, entry.stat())
    except OSError as error:  # a link that leads nowhere
        return f"{entry.name}|{error.errno}", 0


def _of_file(name: str, path: str | Path, status: os.stat_result) -> tuple[str, int]:
    """A line for a file, and when it changed last."""
    times = status.st_mtime_ns, status.st_ctime_ns
    readable = "" if os.access(path, os.R_OK) else "|unreadable"
    return f"{name}|{status.st_size}|{times[0]}|{times[1]}{readable}", max(times)


@dataclass(frozen=True, slots=True)
class _Root:
    """A folder that was searched: as it is called, with a separator at its end, and in truth."""

    called: str
    real: Path

    @classmethod
    def of(cls, root: Path) -> _Root:
        return cls(f"{str(root.absolute()).rstrip(os.sep)}{os.sep}", root.resolve())

    def placed(self, path: Path) -> Path:
        """An absolute path below the real root in which the clip's own links keep their names."""
        if ".." in path.parts:
            return path.resolve()
        whole = str(path.absolute())
        if whole.startswith(self.called):
            return self.real / whole[len(self.called) :]
        if f"{whole}{os.sep}" == self.called:
            return self.real
        return Path(whole).parent.resolve() / path.name


def _distinct(clips: Sequence[Clip], skipped: list[SkippedClip]) -> list[Clip]:
    """Without copies: the same content under the same name would be annotated twice."""
    seen: dict[str, Clip] = {}
    for clip in clips:
        if clip.id in seen:
            skipped.append(SkippedClip(clip.path, f"the same clip as {seen[clip.id].path}"))
        else:
            seen[clip.id] = clip
    return list(seen.values())
