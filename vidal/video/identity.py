"""Clip ids: name + content digest, the same on every machine and after a move."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

WHOLE = 64 * 2**20
"""Content up to this many bytes is digested whole, larger content in blocks."""

BLOCKS = 64
BLOCK = 2**20


def clip_id(path: Path, files: Sequence[Path], root: Path | None) -> str:
    """The id of a clip.

    Args:
        path: the file, or the folder of images.
        files: the file itself, or the images in order.
        root: the folder that was searched; the name is then the path below it, so that two clips
            of the same name and content in different folders differ.

    Returns:
        ``<name>-<8 hexadecimal digits>``; the name in ``[A-Za-z0-9._-]``. Byte-identical copies in
        one folder that differ in the suffix only (``a.mp4``, ``a.m4v``) share an id.

    Raises:
        OSError: a file cannot be read.
    """
    parts = _name_parts(path, root)
    cleaned = [re.sub(r"[^A-Za-z0-9._-]", "_", part) for part in parts]
    digest = _digest(path, files)
    if cleaned != parts or any("__" in part for part in parts):
        digest.update("/".join(parts).encode("utf-8", "surrogateescape"))  # the name lost something
    return f"{'__'.join(cleaned)}-{digest.hexdigest()}"


def _name_parts(path: Path, root: Path | None) -> list[str]:
    full = path.resolve() if path.name in ("", "..") else path
    last = full.name if path.is_dir() else full.stem
    if root is None:
        return [last]
    base, placed = root.absolute(), path.absolute()
    if placed == base or not placed.is_relative_to(base):
        return [last]
    below = placed.relative_to(base)
    return [*below.parts[:-1], below.name if path.is_dir() else below.stem]


def _digest(path: Path, files: Sequence[Path]) -> blake2b:
    digest = blake2b(digest_size=4)
    sizes = [file.stat().st_size for file in files]
    if path.is_dir():
        for file, size in zip(files, sizes, strict=True):
            digest.update(f"{file.name}\0{size}\n".encode("utf-8", "surrogateescape"))
    digest.update(f"{sum(sizes)}\n".encode())
    if sum(sizes) <= WHOLE:
        for file in files:
            digest.update(file.read_bytes())
    elif path.is_dir():
        for file in _spread(files):
            with file.open("rb") as stream:
                digest.update(stream.read(BLOCK))
    else:
        with path.open("rb") as stream:
            for n in range(BLOCKS):
                stream.seek((sizes[0] - BLOCK) * n // (BLOCKS - 1))
                digest.update(stream.read(BLOCK))
    return digest


def _spread(files: Sequence[Path]) -> list[Path]:
    count = min(BLOCKS, len(files))
    last = len(files) - 1
    return [files[last * n // max(count - 1, 1)] for n in range(count)]
