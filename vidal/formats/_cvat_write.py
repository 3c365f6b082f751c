"""Writing CVAT for video 1.1; ``vidal.formats.cvat`` says what the numbers mean."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidal.formats._cvat import Grid, Numbering, box_lines, element, label_lines
from vidal.formats._notes import Notes, RowNote, note_of, values_of
from vidal.formats._tracks import key_positions, runs, tracks
from vidal.formats._write import write_files
from vidal.types import UNKNOWN, Annotations, IntArray, LabelledClip, Skipped


def write(
    path: Path,
    clips: Iterable[LabelledClip],
    *,
    tolerance: float = 1.0,
    unknown: str | None = "unknown",
    start: int = 0,
    step: int = 1,
    numbering: Numbering = "video",
    notes: Notes | None = None,
    fixed: Mapping[str, Collection[int]] | None = None,
    skipped: Skipped | None = None,
) -> list[Path]:
    """Write clips as CVAT-for-video 1.1 files that annotators can correct with few clicks.

    A track keeps the key frames that linear interpolation needs (``tolerance``), and gets an
    ``outside=1`` box at the first frame of each gap and after its end. Boxes without a track become
    tracks of one frame; reading gives those an identity. A track that changes class is written as
    one track a class. Corners are written to a hundredth of a pixel.

    Args:
        path: ``*.xml`` for one clip, else a folder that gets ``<clip name>.xml`` for each.
        clips: what to write.
        tolerance: largest error of interpolation in pixels; 0 = every box that is off the line.
        unknown: label for objects of class -1; None leaves them out.
        start, step: the frames that the task shows, as chosen when it is made in CVAT.
        numbering: what ``box@frame`` counts; CVAT expects ``"video"``.
        notes: what is said of each box; declared as attributes and written with the key frames.
        fixed: name of a clip -> frames on which every box is a key frame.
        skipped: receives what is left out (boxes on frames the task does not show).

    Returns:
        The files written.

    Raises:
        OutputError: a place that cannot be written, or two clips for one file.
        ValueError: a track twice in one frame.
    """
    skip = Skipped() if skipped is None else skipped

    def lines(file: Path, clip: LabelledClip) -> Iterator[str]:
        grid = Grid(start, step, len(range(start, clip.annotations.frames, step)), 0)
        keys = np.array(sorted((fixed or {}).get(clip.name, ())), np.int64)
        task = _Written(file, clip, grid, tolerance, unknown, numbering, notes, keys, skip)
        return task.lines()

    return write_files(path, clips, lines)


@dataclass(frozen=True, slots=True)
class _Written:
    """One clip on its way into a file."""

    path: Path
    clip: LabelledClip
    grid: Grid
    tolerance: float
    unknown: str | None
    numbering: Numbering
    notes: Notes | None
    fixed: IntArray
    skipped: Skipped

    def lines(self) -> Iterator[str]:
        shown = self._shown()
        table = self.clip.annotations.keep(shown)
        yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
        yield from self._meta(table)
        fresh = int(table.track.max(initial=-1)) + 1
        used: set[int] = set()
        for track, rows in tracks(table):
            if track < 0 or track in used:
                track, fresh = fresh, fresh + 1
            used.add(track)
            yield from self._track(track, table, rows, shown)
        yield "</annotations>\n"

    def _shown(self) -> IntArray:
        """Rows that the task can show; the others are listed."""
        table = self.clip.annotations
        place, off = np.divmod(table.frame - self.grid.start, self.grid.step)
        fine = (place >= 0) & (off == 0)
        if self.unknown is None:
            fine &= table.labels != UNKNOWN
        for row in np.flatnonzero(~fine):
            why = "not a frame of the task" if off[row] or place[row] < 0 else "unknown object"
            self.skipped.add(self.path, f"{self.clip.name}@{table.frame[row]:06d}", why)
        return np.flatnonzero(fine)

    def _meta(self, table: Annotations) -> Iterator[str]:
        grid, path, clip = self.grid, self.path, self.clip
        yield "<meta>\n<task>\n" + element(path, "name", clip.name)
        yield element(path, "size", str(grid.size)) + "<mode>interpolation</mode>\n"
        yield element(path, "start_frame", str(grid.start))
        yield element(path, "stop_frame", str(clip.annotations.frames - 1))
        yield element(path, "frame_filter", f"step={grid.step}" if grid.step > 1 else "")
        shown = clip.annotations.labelled[grid.start :: grid.step]
        if not shown.all():
            yield element(path, "deleted_frames", " ".join(map(str, np.flatnonzero(~shown))))
        values = () if self.notes is None else values_of(self.notes)
        ignore = bool(table.ignore.any())
        yield from label_lines(path, self._names(table), ignore=ignore, verdicts=values)
        if clip.size is not None:
            yield "<original_size>\n" + element(path, "width", str(clip.size[1]))
            yield element(path, "height", str(clip.size[0])) + "</original_size>\n"
        yield "</task>\n"
        if clip.path is not None:
            yield element(path, "source", clip.path.name)
        yield "</meta>\n"

    def _names(self, table: Annotations) -> list[str]:
        wanted = self.notes is not None or bool((table.labels < 0).any())
        extra = [self.unknown] if self.unknown is not None and wanted else []
        return [*table.classes, *(name for name in extra if name not in table.classes)]

    def _track(
        self, track: int, table: Annotations, rows: IntArray, shown: IntArray
    ) -> Iterator[str]:
        label = int(table.labels[rows[0]])
        name = table.classes[label] if label >= 0 else str(self.unknown)
        places = (table.frame[rows] - self.grid.start) // self.grid.step
        corners = np.round(table.boxes[rows].astype(np.float64), 2)
        ignore = bool(table.ignore[rows[0]])
        fixed = np.isin(table.frame[rows], self.fixed)
        said = [note_of(self.notes, self.clip.name, row) for row in shown[rows].tolist()]
        yield element(self.path, "track", end=False, id=str(track), label=name)
        for run in runs(places):
            keys = key_positions(
                places[run], corners[run], tolerance=self.tolerance, fixed=fixed[run]
            )
            for at in keys + run.start:
                where = corners[at].tolist()
                yield self._box(int(places[at]), where, ignore, said[at], outside="0")
            if places[run.stop - 1] + 1 < self.grid.size:
                last = corners[run.stop - 1].tolist()
                end, note = int(places[run.stop - 1]) + 1, said[run.stop - 1]
                yield self._box(end, last, ignore, note, outside="1")
        yield "</track>\n"

    def _box(
        self, place: int, corners: list[float], ignore: bool, note: RowNote | None, *, outside: str
    ) -> str:
        frame = place if self.numbering == "task" else self.grid.start + place * self.grid.step
        return box_lines(
            self.path,
            corners,
            ignore,
            note,
            frame=str(frame),
            outside=outside,
            occluded="0",
            keyframe="1",
        )
