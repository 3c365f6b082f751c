"""Everything one selection leaves on disk, written so that nothing is ever half there."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from vidal.errors import OutputError
from vidal.evidence.places import EngineMaker
from vidal.report import place, preannotations, query_files
from vidal.report.clip_files import write_clips
from vidal.report.evidence import Evidence, Progress, gather
from vidal.report.frames import FOLDER, write_frames
from vidal.report.place import Place, claimed
from vidal.report.round import Pictures, cards_that_fit, other_bytes, write_report
from vidal.report.round.pictures import MOST_SHARP
from vidal.selection.result import SelectionResult


def write_outputs(
    result: SelectionResult,
    out: Path | Place,
    *,
    report: bool = True,
    engines: EngineMaker | None = None,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Write query files, pictures, pre-annotations and the report of one selection.

    An earlier result in ``out`` stays as it is until the new one is complete; then it is replaced
    as a whole, its pictures included. Files that vidal did not write are never touched.

    Args:
        result: what was selected.
        out: the output folder; a ``Place`` where the caller has claimed it already.
        report: write ``report.html``.
        engines: where pictures are made; None = here.
        progress: called with a stage, how much of it is done, and how much there is.

    Returns:
        The path of each thing written, by its name in ``out``.

    Raises:
        OutputBusy, OutputError: ``out`` cannot be written, or holds files of other people.
        UnreadableClip: a selected frame cannot be decoded any more.
    """
    with nullcontext(out) if isinstance(out, Place) else claimed(out) as here:
        beside = MOST_SHARP if report else 0
        evidence = gather(
            result, progress, beside=beside
        )  # a store that cannot be read is no OutputError
        try:
            with place.working(here) as work:
                told = _Told(report, engines, progress)
                _build(result, evidence, work, here.out, told)
                place.publish(work, here.out)
        except OSError as error:
            raise OutputError(here.out, place.cause(error)) from error
        except OutputError as error:
            raise OutputError(here.out, error.why) from error
    return {name: here.out / name for name in place.ALL if (here.out / name).exists()}


@dataclass(frozen=True, slots=True)
class _Told:
    """How outputs are written; see ``write_outputs``."""

    report: bool
    engines: EngineMaker | None
    progress: Progress | None


def _build(result: SelectionResult, evidence: Evidence, work: Path, out: Path, told: _Told) -> None:
    new, pictures = work / "new", None
    if told.report:
        cards = cards_that_fit(result, evidence)
        other = other_bytes(result, evidence, cards)
        pictures = Pictures(work / "thumbnails", result, cards, other)
    written = write_frames(
        result.query.frames,
        result.clips,
        new / FOLDER,
        beside=None if pictures is None else pictures.beside,
        more=pictures,
        prints=result.prints,
        engines=told.engines,
        progress=told.progress,
    )
    names = written.names
    if names and not any(result.clips[ref.clip].pixels for ref in names):
        (new / FOLDER).rmdir()
    table = query_files.rows(result, names, out)
    query_files.write_csv(table, new / "query.csv")
    coco = new / "preannotations.coco.json"
    preannotations.write_coco(result, evidence.marks, names, coco, out)
    if pictures is not None:
        write_report(result, evidence, names, pictures, new / "report.html")
        if len(evidence.clips) < len(result.clips):
            write_clips(result, evidence, new, out)
    files = place.manifest(new, written)
    query_files.write_json(result, table, new / place.QUERY, out, files=files)
