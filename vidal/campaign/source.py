"""Where a campaign's clips and labels come from, and which clips are set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from fractions import Fraction
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from vidal.campaign.config import CampaignConfig
from vidal.campaign.config_data import DataConfig, SplitConfig
from vidal.campaign.entries import ClipEntry, Split
from vidal.campaign.places import place
from vidal.errors import InputError, NoClips, UnknownName, UsageError
from vidal.evidence.beside import labels_beside, left_out
from vidal.evidence.clips import open_clips, open_paths
from vidal.evidence.label_files import reader
from vidal.evidence.labels import match_labels
from vidal.evidence.names import names_of
from vidal.evidence.places import EngineMaker
from vidal.selection.labelled import with_classes
from vidal.types import (
    Annotations,
    Clip,
    Skipped,
    SkippedClip,
)
from vidal.words import counted


@dataclass(frozen=True, slots=True, eq=False)
class SourceClip:
    """One clip of a campaign.

    Attributes:
        clip: opened.
        root: the folder that was searched, part of the clip's id.
        split: what the clip is for.
        truth: what its labels file says, with the campaign's classes; None where there is none.
        start: its labels are there from the beginning, in a simulation too.
    """

    clip: Clip
    root: Path
    split: Split
    truth: Annotations | None
    start: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """All clips of a configuration.

    Attributes:
        clips: by id.
        skipped: inputs that cannot be used, with the cause.
        classes: of the configuration, else those that the labels name; None where nothing does.
        named: the classes that the labels name, in the order met.
        notes: what was taken of files of labels and what was not, one sentence each.
        tags: clip id -> the conditions that hold in it (``data.conditions``).
    """

    clips: Mapping[str, SourceClip]
    skipped: tuple[SkippedClip, ...]
    classes: tuple[str, ...] | None
    named: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def opened(self, split: Split | None = None) -> dict[str, Clip]:
        """The clips of a split (None = all) by id, in order of id."""
        return {
            name: self.clips[name].clip
            for name in sorted(self.clips)
            if split is None or self.clips[name].split == split
        }

    def truth(self, split: Split | None = None) -> dict[str, Annotations]:
        """The labels of the clips of a split, of those that have some."""
        tables = {name: self.clips[name].truth for name in self.opened(split)}
        return {name: table for name, table in tables.items() if table is not None}

    def start(self) -> dict[str, Annotations]:
        """The labels that are there from the beginning, in a simulation too."""
        return {
            name: each.truth
            for name, each in sorted(self.clips.items())
            if each.start and each.truth is not None
        }


def open_source(
    config: CampaignConfig, *, engines: EngineMaker, store: Path, scenes: Path
) -> Source:
    """Find, open and split the clips that a configuration names, and read their labels.

    Same configuration, same files: same source, whatever the engine.

    Args:
        config: ``data`` and, for its classes, nothing else is read.
        engines: where clips are opened and scenes rendered.
        store: root of the evidence store; an unchanged clip is not opened twice.
        scenes: folder for clips that vidal renders itself; those that are there are kept.

    Raises:
        NoClips, InputError, FormatError, LabelsMismatch: as the data deserve.
        UsageError: a split that matches no clip, or leaves none for training.
    """
    data = config.data
    opener = _Opener(data, engines, store)
    if data.scenes is not None:
        opener.rendered(scenes)
    elif data.root is not None:
        opener.data_set(data.root)
    elif data.videos is not None:
        opener.folder(data.videos, data.labels, data.format, None)
    if data.test_videos is not None:
        opener.folder(data.test_videos, data.test_labels, None, "test")
    if data.start_videos is not None:
        opener.folder(data.start_videos, data.start_labels, None, "train", start=True)
    return opener.source(data.split)


class _Opener:
    """Collects clips part by part."""

    def __init__(self, data: DataConfig, engines: EngineMaker, store: Path) -> None:
        self._data = data
        self._engines = engines
        self._store = store
        self._rate = Fraction(data.image_rate)
        self._names: dict[str, str] = {}
        self._found: dict[str, tuple[Clip, Path, Split | None, Annotations | None]] = {}
        self._start: set[str] = set()
        self._skipped: list[SkippedClip] = []
        self._notes: list[str] = []

    def folder(
        self,
        videos: Path,
        labels: Path | None,
        name: str | None,
        split: Split | None,
        *,
        start: bool = False,
    ) -> None:
        """A folder of clips, with a file of labels perhaps; ``name`` of its format, or None."""
        clips, skipped = open_clips(
            videos, engines=self._engines, store=self._store, image_rate=self._rate
        )
        truth: Mapping[str, Annotations] = {}
        if labels is not None:
            beside = labels_beside(labels, clips, kind=name, classes=self._data.classes)
            truth = beside.match.annotations
            self._notes += beside.notes
        itself = not videos.is_dir() or clips[0].path.samefile(videos)
        root = videos.parent if itself else videos
        for clip in clips:
            if self._add(clip, root, split, truth.get(clip.id)) and start:
                self._start.add(clip.id)
            self._names[clip.id] = clip.path.relative_to(root.resolve()).with_suffix("").as_posix()
        self._skipped += skipped

    def data_set(self, root: Path) -> None:
        """A data set in its own layout."""
        data = self._data
        extra = {**data.options, **({} if data.listed is None else {"listed": data.listed})}
        read = reader(str(data.format))
        known = [n for n in signature(read).parameters if n not in ("path", "classes", "skipped")]
        for name in extra:
            if name not in known:
                raise UnknownName(f"option of the format {data.format}", name, known)
        lost = Skipped()
        entries = list(read(root, classes=data.classes, skipped=lost, **extra))
        self._notes += [left_out(root, lost)] if len(lost) else []
        without = [entry.name for entry in entries if entry.path is None]
        if without:
            raise InputError(
                root,
                f"{counted(len(without), 'clip has', 'clips have')} labels but no images,"
                f" {without[0]} for one",
            )
        paths = [(Path(entry.path or root), root) for entry in entries]
        opened = open_paths(paths, engines=self._engines, store=self._store, image_rate=self._rate)
        for entry, clip in zip(entries, opened, strict=True):
            if isinstance(clip, SkippedClip):
                self._skipped.append(clip)
                continue
            named = replace(entry, name=clip.id)
            truth = match_labels(root, [named], [clip]).annotations
            self._add(clip, root, None, truth[clip.id])
            self._names[clip.id] = entry.name
        if not self._found:
            raise NoClips(root, f"none of {counted(len(entries), 'clip')} can be read")

    def rendered(self, scenes: Path) -> None:
        """Clips that vidal renders, where they are not there yet."""
        from vidal.campaign.rendered import render

        splits: dict[str, Split | None] = {"train": None, "test": "test", "start": "train"}
        for part in render(self._data, scenes, self._engines):
            self.folder(
                part.videos,
                part.labels,
                "coco-video",
                splits[part.name],
                start=part.name == "start",
            )

    def _add(self, clip: Clip, root: Path, split: Split | None, truth: Annotations | None) -> bool:
        if clip.id in self._found:
            first = self._found[clip.id][0]
            self._skipped.append(SkippedClip(clip.path, f"the same clip as {first.path}"))
            return False
        self._found[clip.id] = (clip, root, split, truth)
        return True

    def source(self, split: SplitConfig) -> Source:
        """All of it, split."""
        free = [clip for clip, _, fixed, _ in self._found.values() if fixed is None]
        splits = split_clips(free, split, self._names)
        named = _classes_of(each[3] for each in self._found.values())
        classes = self._data.classes or named
        clips = {
            name: SourceClip(
                clip,
                root.resolve(),
                fixed or splits[name],
                _fitted(truth, classes or ()),
                name in self._start,
            )
            for name, (clip, root, fixed, truth) in self._found.items()
        }
        tags = tagged([each[0] for each in self._found.values()], self._data, self._names)
        return Source(clips, tuple(self._skipped), classes, named or (), tuple(self._notes), tags)


def _fitted(truth: Annotations | None, classes: tuple[str, ...]) -> Annotations | None:
    return None if truth is None else with_classes(truth, classes)


def _classes_of(tables: Iterable[Annotations | None]) -> tuple[str, ...] | None:
    """The names in the order met."""
    names = dict.fromkeys(name for table in tables if table is not None for name in table.classes)
    return tuple(names) or None


def split_clips(
    clips: Sequence[Clip], config: SplitConfig, places: Mapping[str, str] | None = None
) -> dict[str, Split]:
    """Clip id -> split. By whole clips: frames of one clip are too alike to be in two splits.

    Shares are rounded to whole clips, at least one where the share is above 0; test is drawn
    first. Patterns (``night-*``) match an id, an id without its digest, a file name, or the clip's
    place in its folder or data set (``test/*``).

    Args:
        clips: to split.
        config: how.
        places: clip id -> its place.

    Raises:
        UsageError: a pattern that matches nothing, or no clip left for training.
    """
    order = sorted(clip.id for clip in clips)
    names = _names(clips, places or {})
    drawn = list(np.random.default_rng(config.seed).permutation(len(order)))
    result: dict[str, Split] = {}
    parts: tuple[tuple[Split, Any], ...] = (
        ("test", config.test),
        ("validation", config.validation),
    )
    for split, wanted in parts:
        if isinstance(wanted, tuple):
            for pattern in wanted:
                hits = [c for c in order if any(fnmatchcase(n, pattern) for n in names[c])]
                if not hits:
                    raise UsageError(f"data.split.{split}: {pattern!r} matches no clip.")
                result.update({name: split for name in hits if name not in result})
        elif wanted:
            count = max(1, round(wanted * len(order)))
            free = [order[at] for at in drawn if order[at] not in result]
            result.update(dict.fromkeys(free[:count], split))
    result.update({name: "train" for name in order if name not in result})
    if clips and "train" not in result.values():
        raise UsageError(
            f"data.split leaves none of {counted(len(order), 'clip')} for training.",
            hint="Set fewer clips aside, or add clips.",
        )
    return result


def _names(clips: Iterable[Clip], places: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Clip id -> what a pattern may match."""
    return {clip.id: (*names_of(clip), places.get(clip.id, "")) for clip in clips}


def tagged(
    clips: Iterable[Clip], data: DataConfig, places: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Clip id -> the conditions of ``data.conditions`` that hold in it, in their order.

    Raises:
        UsageError: a pattern that matches no clip.
    """
    names = _names(clips, places)
    tags: dict[str, list[str]] = {name: [] for name in names}
    for tag, patterns in data.conditions.items():
        for pattern in patterns:
            hits = [c for c in names if any(fnmatchcase(n, pattern) for n in names[c])]
            if not hits:
                raise UsageError(f"data.conditions.{tag}: {pattern!r} matches no clip.")
            for name in hits:
                if tag not in tags[name]:
                    tags[name].append(tag)
    return {name: tuple(found) for name, found in tags.items()}


def entries_of(clips: Iterable[SourceClip], folder: Path) -> Iterator[ClipEntry]:
    """What the record keeps of the clips; paths inside the campaign's folder are relative to it."""
    for each in clips:
        yield ClipEntry(
            each.clip.id,
            place(each.clip.path, folder),
            each.clip.frames,
            each.split,
            place(each.root, folder),
        )
