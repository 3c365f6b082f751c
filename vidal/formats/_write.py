"""Writing text files whole or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from vidal.errors import OutputError
from vidal.types import LabelledClip


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write UTF-8 text beside its place, then move it there: never half a file.

    Raises:
        OutputError: the place cannot be written.
    """
    part = path.with_name(f".{path.name[:40]}-{secrets.token_hex(6)}.vidal-tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(lines)
        part.replace(path)
    except OSError as error:
        raise OutputError(path, error.strerror or str(error)) from error
    finally:
        part.unlink(missing_ok=True)


def write_files(
    path: Path,
    clips: Iterable[LabelledClip],
    lines: Callable[[Path, LabelledClip], Iterable[str]],
    *,
    suffix: str = ".xml",
) -> list[Path]:
    """One file a clip: ``path`` itself if it has the suffix, else ``path/<clip name><suffix>``.

    Raises:
        OutputError: a place that cannot be written, a second clip for one file, or a name that
            leads out of the folder.
    """
    path = Path(path)
    written: list[Path] = []
    for clip in clips:
        file = path if path.suffix == suffix else path / f"{clip.name}{suffix}"
        if file in written:
            raise OutputError(file, "two clips for one file")
        if Path(clip.name).is_absolute() or ".." in Path(clip.name).parts:
            raise OutputError(file, "the clip's name leads out of the folder")
        write_lines(file, lines(file, clip))
        written.append(file)
    return written
