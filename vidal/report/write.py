"""Everything one selection leaves on disk, written so that nothing is ever half there.

All files are made in ``OUT/.writing`` and then moved into place, ``query.json`` last: a folder
with a ``query.json`` is complete. Should a move fail, the earlier result is put back.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from vidal.errors import FormatError, OutputError
from vidal.report import html, preannotations, query_files
from vidal.report.evidence import Evidence, Progress, gather
from vidal.report.frames import FOLDER, write_frames
from vidal.selection.result import SelectionResult
from vidal.store import atomic
from vidal.types import FrameRef

QUERY = "query.json"
_FILES = (FOLDER, "query.csv", "preannotations.coco.json", "report.html", QUERY)
_WORK = ".writing"
_MOVING = "moving"  # exists while files are moved; lists the new ones


def check_writable(out: Path) -> None:
    """Make the output folder, and see that results may be written there.

    Raises:
        OutputError: it cannot be made or written; or it holds a ``frames`` folder with files that
            no earlier selection wrote there, which would be lost.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        _undo_interrupted(out)
        foreign = _foreign_files(out)
    except OSError as error:
        raise OutputError(out, _cause(error), hint="Choose another folder with --out.") from error
    if foreign:
        raise OutputError(
            out,
            f"{FOLDER}/{foreign[0]} was not written by an earlier selection and would be removed",
            hint="Choose another folder with --out, or move that file away.",
        )


def write_outputs(
    result: SelectionResult, out: Path, *, report: bool = True, progress: Progress | None = None
) -> dict[str, Path]:
    """Write query files, pictures, pre-annotations and the report of one selection.

    An earlier result in ``out`` stays as it is until the new one is complete; then it is replaced
    as a whole, its pictures included.

    Args:
        result: what was selected.
        out: the output folder.
        report: write ``report.html``.
        progress: called with a stage, how much of it is done, and how much there is.

    Returns:
        The path of each thing written, by its name in ``out``.

    Raises:
        OutputError: ``out`` cannot be written.
        UnreadableClip: a selected frame cannot be decoded any more.
    """
    check_writable(out)
    evidence = gather(result, progress)  # outside: a store that cannot be read is no OutputError
    work = out / _WORK
    try:
        shutil.rmtree(work, ignore_errors=True)
        (work / "new" / FOLDER).mkdir(parents=True)
        (work / "old").mkdir()
        (work / "thumbnails").mkdir()
        _build(result, evidence, work, out, report=report, progress=progress)
        _publish(work, out)
    except OSError as error:
        raise OutputError(error.filename or out, _cause(error)) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return {name: out / name for name in _FILES if (out / name).exists()}


def _build(
    result: SelectionResult,
    evidence: Evidence,
    work: Path,
    out: Path,
    *,
    report: bool,
    progress: Progress | None,
) -> None:
    new, thumbnails = work / "new", work / "thumbnails"
    shown: frozenset[FrameRef] = frozenset()
    if report:
        shown = frozenset(result.query.frames[: html.MOST_THUMBNAILS])
    names = write_frames(
        result.query.frames,
        result.clips,
        new / FOLDER,
        thumbnails=thumbnails,
        small=shown,
        prints=result.prints,
        progress=progress,
    )
    if names and not any(result.clips[ref.clip].pixels for ref in names):
        (new / FOLDER).rmdir()
    table = query_files.rows(result, names, out)
    query_files.write_csv(table, new / "query.csv")
    coco = new / "preannotations.coco.json"
    preannotations.write_coco(result, evidence.marks, names, coco, out)
    if report:
        html.write_report(result, evidence, names, thumbnails, new / "report.html")
    query_files.write_json(result, table, new / QUERY, out)


def _publish(work: Path, out: Path) -> None:
    """Swap the new files for the old ones; undo it all if a move fails."""
    new, old = work / "new", work / "old"
    moved: list[tuple[Path, Path]] = []
    came = [name for name in _FILES if (new / name).exists()]
    atomic.write_text(work / _MOVING, json.dumps(came))
    try:
        for name in reversed(_FILES):
            if (out / name).exists():
                moved.append(_move(out / name, old / name))
        for name in _FILES:
            if (new / name).exists():
                moved.append(_move(new / name, out / name))
    except OSError:
        for source, target in reversed(moved):
            target.rename(source)
        raise


def _undo_interrupted(out: Path) -> None:
    """Put back what a run that was killed while it moved its files had taken away."""
    work = out / _WORK
    try:
        came = json.loads((work / _MOVING).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    for name in came:
        if not (work / "new" / name).exists() and (out / name).exists():
            _move(out / name, work / "new" / name)
    for name in _FILES:
        if (work / "old" / name).exists():
            _move(work / "old" / name, out / name)
    shutil.rmtree(work)


def _move(source: Path, target: Path) -> tuple[Path, Path]:
    source.rename(target)
    return source, target


def _foreign_files(out: Path) -> list[str]:
    """Names in ``out/frames`` that the query file there does not list."""
    folder = out / FOLDER
    if not folder.exists():
        return []
    present = {path.name for path in folder.iterdir()}
    own: set[str] = set()
    if (out / QUERY).exists():
        try:
            own = {Path(frame.file).name for frame in query_files.read_query(out / QUERY).frames}
        except FormatError:
            own = set()
    return sorted(present - own)


def _cause(error: OSError) -> str:
    return error.strerror or str(error)
