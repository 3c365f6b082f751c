"""The frames of a campaign that are labelled: the training set for a detector of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from vidal.assemble.campaign import engines_of
from vidal.assemble.export import answers, prints_known
from vidal.assemble.truth import set_aside
from vidal.campaign.entries import ClipEntry
from vidal.campaign.folder import Campaign
from vidal.campaign.oracle import by_clip, only
from vidal.campaign.record import Split
from vidal.campaign.round_frames import states_of
from vidal.errors import FormatError, UsageError
from vidal.exports import archive
from vidal.exports.bundle import Boxes, Bundle, ClipFacts, Shot
from vidal.exports.context import Progress
from vidal.exports.order import Order, decoded_beside, finish, title_of
from vidal.exports.pictures import Decoded, Picture, prints_of
from vidal.exports.write import Exported
from vidal.report.frames import FOLDER, frame_names
from vidal.report.place import PICTURES, QUERY
from vidal.report.query_files import QueryFrame, portable, read_content, read_query
from vidal.types import Annotations, Clip, FrameRef

PARTS: Mapping[Split, str] = {"train": "train", "validation": "val", "test": "test"}
"""A campaign's splits as trainings call them."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A picture that a query has written, and the row that it stands in."""

    frame: QueryFrame
    path: Path
    sha256: str


def export_labelled(
    campaign: Campaign,
    order: Order,
    *,
    split: Split | None = None,
    number: int | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Export labelled frames with their labels, whole clips to a part of the training set.

    Negatives (annotated and empty) are part of it. Pictures that queries have written are taken as
    they are; others are decoded, and an export that was interrupted goes on where it was.

    Args:
        campaign: open.
        order: how.
        split: of these clips only; None = all that are labelled.
        number: of this round's frames only (training clips); None = all.
        progress: told how far it is.

    Raises:
        UsageError: nothing is labelled, or options that do not go together.
        InputError, UnreadableClip: a clip that is needed is not there, or has changed.
        OutputError: the place cannot be written, or holds what vidal did not write.
    """
    if order.context is not None:
        raise UsageError("--context does not go with --labelled.")
    if number is not None and split not in (None, "train"):
        raise UsageError(
            f"--round does not go with --split {split}: rounds ask for training clips."
        )
    tables, parts = _labels(campaign, split, number)
    engines = engines_of(campaign.config)
    clips = campaign.clips(engines, None, only=list(tables))
    known = prints_known(campaign)
    suffix = f"-round-{number:03d}" if number is not None else ""
    suffix += f"-{split}" if split else ""
    out = order.place(campaign.folder, f"{campaign.folder.absolute().name}-labelled{suffix}")
    archive.check(out)
    job = _Job(campaign, tables, parts, _written(campaign), clips)
    decoded = decoded_beside(out, known, engines)
    files = _decode(job.to_decode(), clips, decoded, progress)
    bundle = job.bundle(title_of(out), order.label("drop"), files, decoded)
    if order.to == "yolo" and "validation" not in parts.values():
        bundle = bundle.saying(
            "data.yaml has to name pictures for val, and no validation clip is labelled: it names"
            f" {'train' if 'train' in parts.values() else 'test'} there, too."
        )
    return finish(bundle, order, out, clips, decoded, progress)


def _labels(
    campaign: Campaign, split: Split | None, number: int | None
) -> tuple[dict[str, Annotations], dict[str, Split]]:
    """Clip id -> its labels, and its split; of clips with labelled frames."""
    tables: dict[str, Annotations] = {}
    parts: dict[str, Split] = {}
    if split in (None, "train"):
        own = answers(campaign, campaign.record.labelled_clips())
        if number is not None:
            own = _of_round(campaign, own, number)
        tables |= {name: table for name, table in own.items() if table.labelled.any()}
        parts |= dict.fromkeys(tables, "train")
    others: tuple[Split, ...] = ("validation", "test")
    for each in others if number is None else ():
        if split not in (None, each) or not campaign.record.clips(each):
            continue
        try:
            _, found, _ = set_aside(campaign, each, engines_of(campaign.config))
        except UsageError:
            if split == each:
                raise
            continue  # not one of its clips is labelled
        labelled = {name: table for name, table in found.items() if table.labelled.any()}
        tables |= labelled
        parts |= dict.fromkeys(labelled, each)
    if not tables:
        what = f"the split {split}" if split else "the campaign"
        what = f"round {number}" if number is not None else what
        raise UsageError(f"no frame of {what} is labelled.", hint="Label some: `vidal import`.")
    return dict(sorted(tables.items())), parts


def _of_round(
    campaign: Campaign, tables: Mapping[str, Annotations], number: int
) -> dict[str, Annotations]:
    """The labels of the frames of one round."""
    refs = [ref for ref, state in states_of(campaign.record, number).items() if state == "labelled"]
    return {name: only(tables[name], indices) for name, indices in by_clip(refs).items()}


def _written(campaign: Campaign) -> dict[FrameRef, _Written]:
    """The pictures that queries have written and that are what they were."""
    found: dict[FrameRef, _Written] = {}
    for entry in campaign.record.rounds():
        path = campaign.query(entry.number) / QUERY
        try:
            digests = read_content(path)["files"][PICTURES]
            rows = read_query(path).frames
        except (OSError, FormatError, LookupError, TypeError):
            continue  # its frames are decoded again
        for frame in rows:
            picture = path.parent / FOLDER / PurePosixPath(frame.file).name
            expected = digests.get(picture.name) if frame.file else None
            plain = expected and picture.is_file() and not picture.is_symlink()
            if plain and archive.sha256(picture) == expected:
                found[frame.ref] = _Written(frame, picture, expected)
    return found


def _decode(
    refs: Sequence[FrameRef],
    clips: Mapping[str, Clip],
    decoded: Decoded,
    progress: Progress | None,
) -> dict[FrameRef, Picture]:
    wanted: dict[str, set[int]] = {}
    for ref in refs:
        wanted.setdefault(ref.clip, set()).add(ref.index)
    made = 0

    def done(number: int) -> None:
        nonlocal made
        made += number
        if progress is not None:
            progress("pictures", made, len(refs))

    return decoded.pictures([(clips[name], indices) for name, indices in wanted.items()], done)


@dataclass(frozen=True, slots=True)
class _Job:
    """Labelled frames on their way out."""

    campaign: Campaign
    tables: Mapping[str, Annotations]
    parts: Mapping[str, Split]
    written: Mapping[FrameRef, _Written]
    clips: Mapping[str, Clip]

    @property
    def refs(self) -> list[FrameRef]:
        """Every labelled frame."""
        return [
            FrameRef(name, index)
            for name, table in self.tables.items()
            for index in np.flatnonzero(table.labelled).tolist()
        ]

    def to_decode(self) -> list[FrameRef]:
        """The frames whose pictures no query has written, of clips with pixels."""
        return [ref for ref in self.refs if ref not in self.written and self.clips[ref.clip].pixels]

    def bundle(
        self,
        title: str,
        unknown: str | None,
        files: Mapping[FrameRef, Picture],
        decoded: Decoded,
    ) -> Bundle:
        """All of it."""
        refs, stems = self.refs, self._stems()
        old = [ref for ref in refs if ref not in files or not files[ref].print]
        prints = prints_of(list(self.clips.values()), old, decoded.known, decoded.engines)
        prints |= {ref: file.print for ref, file in files.items() if file.print}
        shots = []
        for ref in refs:
            clip, given = self.clips[ref.clip], self.written.get(ref)
            picture = files.get(ref) if given is None else given
            shot = Shot(
                ref=ref,
                name=f"{stems[ref.clip]}_{ref.index:06d}.jpg",
                picture=None if picture is None else picture.path,
                sha256="" if picture is None else picture.sha256,
                print=prints.get(ref, ""),
                pts=int(clip.pts[ref.index]),
                time_base=clip.time_base,
                seconds=round(clip.seconds(ref.index), 6),
                boxes=Boxes.labelled(self.tables[ref.clip], ref.index),
                answered=True,
            )
            shots.append(shot if given is None else _picked(shot, given.frame))
        entries = {entry.id: entry for entry in self.campaign.record.clips()}
        facts = {name: self._facts(entries[name], stems[name]) for name in self.tables}
        return Bundle(
            title, self.campaign.record.classes, facts, tuple(shots), judged=False, unknown=unknown
        )

    def _stems(self) -> dict[str, str]:
        """What stands for each clip in the names of pictures: as queries have it, else alike."""
        stems = {ref.clip: w.path.stem.rpartition("_")[0] for ref, w in self.written.items()}
        plain = frame_names([FrameRef(name, 0) for name in self.tables])
        taken = {stem.casefold() for stem in stems.values()}
        for ref, name in plain.items():
            if ref.clip not in stems:
                stem = base = name.rpartition("_")[0]
                number = 1
                while stem.casefold() in taken:
                    number += 1
                    stem = f"{base}-{number}"
                taken.add(stem.casefold())
                stems[ref.clip] = stem
        return stems

    def _facts(self, entry: ClipEntry, stem: str) -> ClipFacts:
        name = entry.id
        path, clip = self.campaign.place_of(entry.path), self.clips[name]
        return ClipFacts(
            id=name,
            stem=stem,
            written=portable(path, self.campaign.folder),
            path=path,
            frames=entry.frames,
            size=clip.size,
            rate=clip.rate,
            part=PARTS[self.parts[name]],
        )


def _picked(shot: Shot, row: QueryFrame) -> Shot:
    """With the reason for which it was asked about."""
    return replace(shot, rank=row.rank, score=row.score, reason=row.reason)
