"""An archive or a folder that appears whole, and never in the place of somebody else's file.

The same content gives the same bytes: entries in the order of their names, no times, nothing
compressed (pictures are, and what a compressor makes of the rest depends on its version).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from vidal.errors import InputError, OutputError
from vidal.store import atomic
from vidal.store.own import OwnFiles

MANIFEST = ".vidal-export.json"
"""In an exported folder: what vidal wrote there."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_CHUNK = 1 << 20


@contextmanager
def workplace(out: Path) -> Iterator[Path]:
    """A hidden folder beside ``out`` for texts that are being written; removed at the end.

    What a run that was killed has left there more than a day ago is removed, too.

    Raises:
        OutputError: it cannot be made.
    """
    with atomic.reporting(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        _clear_up(out)
        folder = atomic.beside(out)
        folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear_up(out: Path) -> None:
    """Remove what killed runs have left; younger things may belong to one that is running."""
    start = f".{out.name[:40]}-"
    for old in out.parent.iterdir():
        if old.name.startswith(start) and old.name.endswith(atomic.SUFFIX):
            atomic.remove_old(old)


def check(out: Path) -> None:
    """Refuse a place where something would be replaced that vidal did not write as it is now.

    Raises:
        OutputError: names it.
    """
    with atomic.reporting(out):
        if not is_archive(out):
            _check_folder(out)
        elif out.parent.is_dir():
            OwnFiles(out.parent, [out.name]).check()


def is_archive(out: Path) -> bool:
    """Whether a place means an archive; else it is a folder."""
    return out.suffix.lower() == ".zip"


def write(out: Path, texts: Path, pictures: Mapping[str, tuple[Path, str]]) -> None:
    """Put everything into its place.

    Args:
        out: ``*.zip``, or a folder.
        texts: a folder with all other files.
        pictures: name -> (file, its SHA-256): a file that has changed since is refused.

    Raises:
        OutputError: the place cannot be written, or holds what vidal did not write.
        InputError: a picture that changed meanwhile.
    """
    files = {
        path.relative_to(texts).as_posix(): path for path in texts.rglob("*") if path.is_file()
    }
    entries: dict[str, tuple[Path, str]] = {name: (path, "") for name, path in files.items()}
    entries |= dict(pictures)
    if is_archive(out):
        own = OwnFiles(out.parent, [out.name])
        own.check()
        with own.replacing(out.name) as fresh, atomic.reporting(out):
            _zip(fresh, entries)
            atomic.sync_folder(fresh)
        return
    _check_folder(out)
    with atomic.new_folder(out, replace=True) as fresh:
        _fill(fresh, entries)


def _zip(path: Path, entries: Mapping[str, tuple[Path, str]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3  # Unix, wherever it is written
            info.external_attr = 0o644 << 16
            info.file_size = entries[name][0].stat().st_size
            with archive.open(info, "w") as target:
                _copy(entries[name], target.write)


def _fill(folder: Path, entries: Mapping[str, tuple[Path, str]]) -> None:
    digests = {}
    for name in sorted(entries):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as target:
            digests[name] = _copy(entries[name], target.write)
    text = json.dumps({"format": "vidal-export", "files": digests}, indent=1, allow_nan=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _copy(entry: tuple[Path, str], write: Callable[[bytes], object]) -> str:
    """The bytes of a file; its SHA-256."""
    source, expected = entry
    digest = hashlib.sha256()
    try:
        stream = source.open("rb")
    except OSError as error:
        raise InputError(source, (error.strerror or str(error)).lower()) from error
    with stream:
        while data := stream.read(_CHUNK):
            digest.update(data)
            write(data)
    if expected and digest.hexdigest() != expected:
        raise InputError(source, "changed while it was exported", hint="Run the export again.")
    return digest.hexdigest()


def _check_folder(out: Path) -> None:
    """Refuse a folder that holds anything but what an export has put there."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise OutputError(out, "it is not a folder", hint="Name another place with --out.")
    if not out.exists() or not any(out.iterdir()):
        return
    hint = "Name another place with --out, or move that away."
    known = _manifest(out)
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if name == MANIFEST or (path.is_dir() and not path.is_symlink()):
            continue
        plain = path.is_file() and not path.is_symlink()  # a pipe would wait for ever
        if not plain or known.get(name) != sha256(path):
            why = "vidal did not write it as it is now, and it would be replaced"
            raise OutputError(path, why, hint=hint)


def _manifest(out: Path) -> dict[str, str]:
    try:
        content = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        return {str(name): str(digest) for name, digest in content["files"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def sha256(path: Path) -> str:
    """Of a file, hex.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
