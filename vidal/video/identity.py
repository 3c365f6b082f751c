"""Clip ids: name + content digest, the same on every machine and after a move."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG

WHOLE = 64 * 2**20
"""A file up to this many bytes is digested whole, a larger one in blocks. Folders of images are
always digested whole: images are rewritten one by one, and decoding them takes far longer."""

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
    return _named(path, root, _digest(path, files))


def _named(path: Path, root: Path | None, digest: blake2b) -> str:
    parts = _name_parts(path, root)
    cleaned = [re.sub(r"[^A-Za-z0-9._-]", "_", part) for part in parts]
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


def former_id(path: Path, files: Sequence[Path], root: Path | None) -> str:
    """The id that an image folder over ``WHOLE`` bytes had in campaigns of earlier versions.

    It told the content by 64 of the images: when others were rewritten, it stayed the same.

    Raises:
        OSError: a file cannot be read.
    """
    return _named(path, root, _digest(path, files, sampled=True))


def _digest(path: Path, files: Sequence[Path], *, sampled: bool = False) -> blake2b:
    folder = path.is_dir()
    digest = blake2b(digest_size=4)
    sizes = [_size(file) if folder else file.stat().st_size for file in files]
    if folder:
        for file, size in zip(files, sizes, strict=True):
            digest.update(f"{file.name}\0{size}\n".encode("utf-8", "surrogateescape"))
    digest.update(f"{sum(sizes)}\n".encode())
    if folder and (sum(sizes) <= WHOLE or not sampled):
        for file in files:
            _add(digest, file)
    elif sum(sizes) <= WHOLE:
        digest.update(path.read_bytes())
    elif folder:
        for file in _spread(files):
            with file.open("rb") as stream:
                digest.update(stream.read(BLOCK))
    else:
        with path.open("rb") as stream:
            for n in range(BLOCKS):
                stream.seek((sizes[0] - BLOCK) * n // (BLOCKS - 1))
                digest.update(stream.read(BLOCK))
    return digest


def _size(file: Path) -> int:
    """Bytes of an image; 0 where there is no file that can be read."""
    try:
        status = file.stat()
    except OSError:
        return 0
    return status.st_size if S_ISREG(status.st_mode) else 0


def _add(digest: blake2b, file: Path) -> None:
    """An image that cannot be read adds nothing: one of them does not cost the others."""
    try:
        if not S_ISREG(file.stat().st_mode):
            return
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
    except OSError:
        return


def _spread(files: Sequence[Path]) -> list[Path]:
    count = min(BLOCKS, len(files))
    last = len(files) - 1
    return [files[last * n // max(count - 1, 1)] for n in range(count)]
