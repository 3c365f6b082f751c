"""From a query's folder to the frames that go out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from pathlib import Path

from vidal.errors import FormatError, UnreadableClip
from vidal.evidence.places import EngineMaker
from vidal.exports.bundle import NAMELESS, Boxes, Bundle, ClipFacts, Shot
from vidal.exports.pictures import KnownPrints, prints_of
from vidal.exports.proposals import Chooser, Kept, Proposed
from vidal.exports.query import QueryFolder
from vidal.report.query_files import QueryFrame
from vidal.types import Annotations, Clip, FrameRef
from vidal.video import open_clip
from vidal.words import counted


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes bundles of a query.

    Attributes:
        found: the query's folder.
        classes: label -> name.
        clips: by id, those that are there.
        known: fingerprints of frames, where they are known.
        kept: which proposals go out.
        way_out: the command that writes the folder again.
        engines: where frames are decoded that nobody has scored; None = here.
    """

    found: QueryFolder
    classes: tuple[str, ...]
    clips: Mapping[str, Clip]
    known: KnownPrints
    kept: Kept
    way_out: str
    engines: EngineMaker | None = None

    def shots(self, frames: Iterable[QueryFrame]) -> list[Shot]:
        """The frames with their pictures, without boxes.

        Raises:
            InputError: a picture is not there, or not the one that was written; names it.
        """
        names = self.found.names()
        shots = [self.found.shot(frame, names[frame.ref], self.way_out) for frame in frames]
        refs = [shot.ref for shot in shots]
        prints = prints_of(list(self.clips.values()), refs, self.known, self.engines)
        return [replace(shot, print=prints.get(shot.ref, "")) for shot in shots]

    def proposing(
        self,
        title: str,
        shots: Sequence[Shot],
        proposed: Mapping[FrameRef, tuple[Proposed, ...]],
    ) -> Bundle:
        """With what is proposed on them."""
        chooser = Chooser(self.classes, self.kept)
        full = [replace(shot, boxes=chooser.boxes(proposed.get(shot.ref, ()))) for shot in shots]
        bundle = self._bundle(title, full, judged=True, unknown=NAMELESS)
        return bundle.saying(*chooser.told())

    def answered(
        self,
        title: str,
        shots: Sequence[Shot],
        tables: Mapping[str, Annotations],
        unknown: str | None,
    ) -> Bundle:
        """With what people said of them."""
        full = [
            replace(
                shot, boxes=Boxes.labelled(tables[shot.ref.clip], shot.ref.index), answered=True
            )
            for shot in shots
        ]
        return self._bundle(title, full, judged=False, unknown=unknown)

    def _bundle(
        self, title: str, shots: Sequence[Shot], *, judged: bool, unknown: str | None
    ) -> Bundle:
        ordered = tuple(sorted(shots, key=lambda shot: shot.ref))
        paths = {frame.ref.clip: frame.path for frame in self.found.query.frames}
        own = groupby(ordered, key=lambda shot: shot.ref.clip)
        bundle = Bundle(
            title,
            self.classes,
            {name: self._facts(name, list(mine), paths[name]) for name, mine in own},
            ordered,
            judged=judged,
            unknown=unknown,
        )
        blind = sum(not shot.print and shot.picture is not None for shot in ordered)
        why = f"{counted(blind, 'frame')} without a fingerprint: the clip could not be read."
        return bundle.saying(why if blind else "")

    def _facts(self, name: str, own: Sequence[Shot], path: Path) -> ClipFacts:
        """Of a clip, by its shots."""
        clip = self.clips.get(name)
        sizes = {self.found.proposals.sizes.get(shot.ref) for shot in own} - {None}
        size = clip.size if clip is not None else next(iter(sizes), None)
        if size is None or sizes - {size}:
            why = f"the size of {own[0].ref} is not that of its clip"
            raise FormatError(self.found.folder, "", why, hint=f"Write it again: {self.way_out}.")
        return ClipFacts(
            id=name,
            stem=own[0].name.rpartition("_")[0],
            written=self.found.written[name],
            path=path if clip is None else clip.path,
            frames=max(shot.ref.index for shot in own) + 1 if clip is None else clip.frames,
            size=size,
            rate=None if clip is None else clip.rate,
        )


def opened(found: QueryFolder) -> tuple[dict[str, Clip], list[str]]:
    """The clips of a query that are where it says, by id, and a sentence on each other one."""
    clips: dict[str, Clip] = {}
    lost: list[str] = []
    last: dict[str, QueryFrame] = {}
    for frame in found.query.frames:
        if frame.file and frame.ref.index >= last.get(frame.ref.clip, frame).ref.index:
            last[frame.ref.clip] = frame
    for name, frame in last.items():
        try:
            rate = 1 / frame.time_base if frame.path.is_dir() else Fraction(10)
            clip = open_clip(Path(frame.path), root=frame.path.parent, image_rate=rate)
        except UnreadableClip as error:
            lost.append(f"{frame.path.name}: {error.why}.")
            continue
        if clip.id.rpartition("-")[2] != name.rpartition("-")[2] or clip.frames <= frame.ref.index:
            lost.append(f"{frame.path.name} is another clip than the one that was asked about.")
            continue
        clips[name] = replace(clip, id=name)
    return clips, lost
