"""Where the files of a campaign lie: paths that stay right when the project moves.

A path is written down relative to the campaign's folder where both lie in one project, else
absolute. A relative path counts from where the campaign lies now; what is not there may still lie
where it was when the path was written (the campaign alone was moved): ``home`` names that folder.
"""

from __future__ import annotations

import os
from pathlib import Path


def place(path: Path, folder: Path) -> str:
    """A path as a campaign writes it down.

    Relative (POSIX, perhaps with ``..``) inside the campaign and beside it, that is below a folder
    that both share, the outermost folder of a disk left aside; else absolute.
    """
    base = folder.resolve()
    given = Path(os.path.abspath(path))  # noqa: PTH100 (a clip may be a link: it keeps its name)
    for whole, start in ((given, Path(os.path.abspath(folder))), (path.resolve(), base)):  # noqa: PTH100
        way = os.path.relpath(whole, start)
        there = os.path.normpath(base / way)
        if whole.parts[:2] == start.parts[:2] and os.path.lexists(there) == os.path.lexists(whole):
            return Path(way).as_posix()
    return str(given)


def located(written: Path | str, folder: Path, home: Path | None) -> Path:
    """A path as it was written down, found again; absolute, whether or not it exists.

    Args:
        written: as ``place`` gave it.
        folder: of the campaign, now.
        home: of the campaign, when the path was written; None = unknown.
    """
    base = folder.resolve()
    here = Path(os.path.normpath(base / written))
    if home is None or home == base or _there(here):
        return here
    there = Path(os.path.normpath(home / written))
    return there if _there(there) else here


def _there(path: Path) -> bool:
    """Whether something lies there; of a pattern, whether anything fits it."""
    if os.path.lexists(path):
        return True
    wild = [at for at, part in enumerate(path.parts) if set(part) & set("*?[")]
    if not wild:
        return False
    start, pattern = Path(*path.parts[: wild[0]]), "/".join(path.parts[wild[0] :])
    return next(start.glob(pattern), None) is not None
