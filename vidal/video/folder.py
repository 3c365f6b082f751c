"""A folder of numbered images as one clip."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidal.errors import UnreadableClip
from vidal.types import Clip, Image, IntArray
from vidal.video.discover import numbered_images
from vidal.video.identity import clip_id
from vidal.video.images import read_image, why_unreadable
from vidal.words import counted


def open_folder(path: Path, root: Path | None, rate: Fraction, name: str | None = None) -> Clip:
    """The clip; its times are the numbers in the names, its size that of the first good image.

    Args:
        path: the folder.
        root: the folder that was searched.
        rate: images a second.
        name: the clip's id where it is known.

    Raises:
        UnreadableClip: no numbered images, two share a number, or none decodes.
        OSError: the folder cannot be read.
    """
    files, numbers = images_of(path)
    image = next((found for found in map(read_image, files) if found is not None), None)
    if image is None:
        why = why_unreadable(files[0])
        raise UnreadableClip(
            path,
            f"none of its {counted(len(files), 'image')} decodes; the first, {files[0].name}:"
            f" {why}",
        )
    return Clip(
        id=clip_id(path, files, root) if name is None else name,
        path=path,
        pts=np.array(numbers, np.int64),
        time_base=1 / Fraction(rate),
        rate=Fraction(rate),
        size=(image.shape[0], image.shape[1]),
        keyframes=np.arange(len(files)),
        reader="images",
    )


def images_of(path: Path) -> tuple[list[Path], list[int]]:
    """The numbered images of a folder, at least one, and their numbers.

    Raises:
        UnreadableClip: there are none, or two share a number.
        OSError: the folder cannot be read.
    """
    files, numbers = numbered_images(path)
    if not files:
        raise UnreadableClip(path, "holds no numbered images")
    return files, numbers


def read(clip: Clip, wanted: IntArray) -> Iterator[tuple[int, Image]]:
    """(index, image) of the wanted frames that decode. An image is found by its number.

    Raises:
        UnreadableClip: two images share a number by now.
        OSError: the folder cannot be read any more.
    """
    files, numbers = numbered_images(clip.path)
    found = dict(zip(numbers, files, strict=True))
    for index in wanted.tolist():
        file = found.get(int(clip.pts[index]))
        image = read_image(file) if file is not None else None
        if image is not None:
            yield index, image
