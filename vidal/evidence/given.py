"""Detections that came as files: they stand where a detector stands, and nothing of it is needed.

``given_clips.take_in`` matches them to clips and puts them into the store before anything else
runs; from there on they are evidence like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vidal.detect.spec import DetectorSpec
from vidal.errors import EvidenceLost, InputError
from vidal.formats._files import check_regular
from vidal.formats.detections import Transform, find_files, root_of

VERSION = 1
"""Raise it when the same files give other detections than before."""

Frames = Literal["auto", "all", "listed"]


@dataclass(frozen=True, slots=True)
class GivenDetections(DetectorSpec):
    """Where detections lie, and how they are read.

    Attributes:
        path: a file, a folder with one file a clip, or a pattern.
        images: file with ``images`` and ``categories`` of COCO results.
        transform: ``sigmoid`` for scores that are logits.
        frames: which frames were looked at: ``all``, those that are ``listed``, or ``auto``: listed
            ones where the format lists frames, else all.
        size: (height, width) of clips without pixels, where the files do not state it.
        digest: of the content of all files.
    """

    path: Path = Path()
    images: Path | None = None
    transform: Transform = "none"
    frames: Frames = "auto"
    size: tuple[int, int] | None = None
    digest: str = ""

    def __post_init__(self) -> None:
        """There is no detector whose name could be wrong."""

    def settled(self) -> GivenDetections:
        """Nothing is left to a machine."""
        return self

    @classmethod
    def of(cls, path: Path, **options: Any) -> GivenDetections:
        """With the digest of what lies there.

        Raises:
            InputError: nothing lies there, or it cannot be read.
        """
        found = find_files(path)
        images = options.get("images")
        digest = hashlib.blake2b(digest_size=16)
        root = root_of(path)
        for file in [*found, *([images] if images is not None else [])]:
            check_regular(file)
            try:
                with file.open("rb") as stream:
                    part = hashlib.file_digest(stream, "blake2b").digest()
            except OSError as error:
                raise InputError(file, f"cannot be read ({error.strerror or error})") from error
            inside = file in found and file.is_relative_to(root)
            # Folders count where they may name the clip, but not where all of them lie.
            name = file.relative_to(root).as_posix() if inside else file.name
            digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + part)
        return cls(name="detections", path=path, digest=digest.hexdigest(), **options)

    @property
    def key(self) -> Mapping[str, Any]:
        """The content of the files and how they are read; JSON values."""
        return {
            "version": VERSION,
            "files": self.digest,
            "classes": None if self.classes is None else list(self.classes),
            "transform": self.transform,
            "frames": self.frames,
            "size": None if self.size is None else list(self.size),
        }

    @property
    def settings(self) -> dict[str, Any]:
        """For the record of a run."""
        return {
            "detections": self.path.name,
            "images": None if self.images is None else self.images.name,
            "classes": self.classes,
            "score_transform": self.transform,
            "frames": self.frames,
            "size": None if self.size is None else f"{self.size[1]}x{self.size[0]}",
            "digest": self.digest,
        }

    def check(self) -> None:
        """Nothing to check that ``of`` has not."""

    def verify(self) -> None:
        """Nothing to verify: the files are read before anything is computed."""

    @property
    def resolved_device(self) -> str:
        """Nothing is computed."""
        return "cpu"

    def fetch(self) -> None:
        """Nothing to fetch: the detections are in the store."""

    def load(self) -> Any:
        """There is no detector.

        Raises:
            EvidenceLost: detections that were in the store are gone.
        """
        raise EvidenceLost
