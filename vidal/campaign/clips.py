"""The clips that a record names, opened where they lie now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidal.campaign.entries import ClipEntry
from vidal.errors import InputError
from vidal.evidence.clips import open_paths
from vidal.evidence.places import EngineMaker
from vidal.types import Clip, SkippedClip
from vidal.video.discover import numbered_images
from vidal.video.identity import former_id


@dataclass(frozen=True, slots=True)
class Lost:
    """A clip that cannot be used: not there, unreadable, or of another content than it had."""

    entry: ClipEntry
    path: Path
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What became of the clips of a record.

    Attributes:
        clips: those that are there and are what they were, by id, in order of id.
        lost: the others, in order of id.
    """

    clips: dict[str, Clip]
    lost: tuple[Lost, ...]

    @property
    def skipped(self) -> tuple[SkippedClip, ...]:
        """The lost ones, as a run lists what it did not use."""
        return tuple(SkippedClip(e.path, f"clip {e.entry.id} {e.why}") for e in self.lost)

    def need(self, folder: Path, only: Collection[str] | None = None) -> None:
        """Refuse to go on without one of them.

        Args:
            folder: of the campaign.
            only: ids of those that are needed; None = all.

        Raises:
            InputError: names the first that is lost, and the way out.
        """
        lost = [each for each in self.lost if only is None or each.entry.id in only]
        if not lost:
            return
        first, more = lost[0], len(lost) - 1
        others = f" (and {more} more)" if more else ""
        raise InputError(
            first.path,
            f"clip {first.entry.id} {first.why}{others}",
            hint=f"Put it back, or tell where the clips are: `vidal relink {folder} --videos DIR`.",
        )


def find_clips(
    entries: Sequence[ClipEntry],
    place_of: Callable[[str], Path],
    *,
    engines: EngineMaker,
    store: Path,
    image_rate: Fraction,
    keep: bool = True,
) -> Found:
    """Open the clips of a record; what is lost is told, not raised.

    A clip is the one of the record where its content is, whatever the file is called: it keeps its
    id and with it all that is recorded and computed.

    Args:
        entries: of the record.
        place_of: where a path of the record lies now.
        engines, store, image_rate, keep: see ``open_paths``.
    """
    paths = {e.id: (place_of(e.path), place_of(e.root)) for e in entries}
    there = [e for e in entries if paths[e.id][0].exists()]
    opened = open_paths(
        [paths[e.id] for e in there],
        engines=engines,
        store=store,
        image_rate=image_rate,
        keep=keep,
    )
    results: Mapping[str, Clip | SkippedClip] = {
        e.id: clip for e, clip in zip(there, opened, strict=True)
    }
    clips: dict[str, Clip] = {}
    lost: list[Lost] = []
    for entry in sorted(entries, key=lambda e: e.id):
        clip = results.get(entry.id)
        if clip is None:
            lost.append(Lost(entry, paths[entry.id][0], "is not there any more"))
        elif isinstance(clip, SkippedClip):
            lost.append(Lost(entry, clip.path, f"cannot be read: {clip.reason}"))
        elif not (same_content(entry, clip) or _formerly(entry, clip, paths[entry.id][1])):
            why = f"has changed since the campaign began: the file is now {clip.id}"
            lost.append(Lost(entry, clip.path, why))
        else:
            clips[entry.id] = clip if clip.id == entry.id else replace(clip, id=entry.id)
    return Found(clips, tuple(lost))


def same_content(entry: ClipEntry, clip: Clip) -> bool:
    """Whether a clip is the one of an entry, by the digest of its content and its length."""
    digests = {each.rpartition("-")[2] for each in (entry.id, clip.id)}
    return len(digests) == 1 and clip.frames == entry.frames


def _formerly(entry: ClipEntry, clip: Clip, root: Path) -> bool:
    """Whether a large folder of images is the one that an earlier version gave the entry's id."""
    if clip.reader != "images" or clip.frames != entry.frames:
        return False
    files, _ = numbered_images(clip.path)
    return former_id(clip.path, files, root.resolve()) == entry.id


def ghost(clip_id: str, path: Path, frames: int) -> Clip:
    """A clip that is not opened, as far as names and length go."""
    ticks = np.arange(frames, dtype=np.int64)
    return Clip(clip_id, path, ticks, Fraction(1, 25), Fraction(25), (1, 1), reader="none")
