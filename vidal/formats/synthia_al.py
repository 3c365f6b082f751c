"""SYNTHIA-AL: ``<split>/<scene>/<time stamp>/{RGB,labels_kitti}/NNNNNN.{png,txt}``.

One text file an image, 15 columns a line as in KITTI's object set: type, truncated, occluded,
alpha, left, top, right, bottom, height, width, length, x, y, z, rotation. There are no track
identities. Class names come in any case. Other folders (``calib_kitti`` ...) are not read. An
image without a label file is not annotated; an empty label file is a frame without objects.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vidal.errors import FormatError, InputError, OutputError
from vidal.formats._columns import (
    labeller,
    numbered_images,
    numbers,
    size_of_images,
    text_lines,
)
from vidal.formats._files import hidden, visible
from vidal.formats._rows import Row, build
from vidal.formats._tree import is_folder
from vidal.types import Annotations, Image, LabelledClip, Skipped

CLASSES = ("car", "pedestrian", "cyclist", "wheelchair")
KNOWN = (*CLASSES, "van", "truck", "bicycle", "trafficLight", "trafficSign", "misc")
"""All types that occur."""
SPLITS = ("train", "test")
_COLUMNS = 15
_OTHER = "misc"
_SCENE = re.compile(
    r"test\d+_(?P<seconds>\d+)segs_weather_(?P<weather>\d)_spawn_(?P<spawn>\d)"
    r"_roadTexture_(?P<texture>\d)_P_(?P<pedestrian>\d+|None)_C_(?P<car>\d+|None)"
    r"_B_(?P<bicycle>\d+|None)_WC_(?P<wheelchair>\d+|None)"
)


@dataclass(frozen=True, slots=True)
class SceneName:
    """What the name of a scene's folder says.

    Attributes:
        seconds: length.
        weather: index 0-4; which is which is not documented.
        spawn: index 0-2 of the spawn positions; not documented.
        texture: index 0-2 of the road.
        pedestrian, car, bicycle, wheelchair: probabilities in percent, None = the default.
    """

    seconds: int
    weather: int = 0
    spawn: int = 0
    texture: int = 0
    pedestrian: int | None = None
    car: int | None = None
    bicycle: int | None = None
    wheelchair: int | None = None

    @property
    def wheelchairs(self) -> bool:
        """Is it of the subset with wheelchairs?"""
        return bool(self.wheelchair)

    def __str__(self) -> str:
        return (
            f"test5_{self.seconds}segs_weather_{self.weather}_spawn_{self.spawn}"
            f"_roadTexture_{self.texture}_P_{self.pedestrian}_C_{self.car}"
            f"_B_{self.bicycle}_WC_{self.wheelchair}"
        )

    @staticmethod
    def parse(name: str) -> SceneName | None:
        """The parts of a folder's or a clip's name; None where it is not of this form."""
        for part in name.split("/"):
            found = _SCENE.fullmatch(part)
            if found is not None:
                fixed = [int(text) for text in found.groups()[:4]]
                shares = [None if text == "None" else int(text) for text in found.groups()[4:]]
                return SceneName(*fixed, *shares)
        return None


def read(
    path: Path,
    *,
    classes: Sequence[str] | None = None,
    skipped: Skipped | None = None,
    labels: str = "labels_kitti",
    aliases: Mapping[str, str] | None = None,
    corrupt: Collection[str] = (),
) -> Iterator[LabelledClip]:
    """The clips of a data set, or of one split of it, in order of their names.

    A clip is one time-stamp folder; its name is ``<split>/<scene>/<stamp>`` and its frames are the
    images in order of their numbers.

    Args:
        path: the root, the folder of a split, of a scene, or of a time stamp.
        classes: class names in any case; None = ``CLASSES``. Other known types get label -1.
        skipped: receives what is left out.
        labels: name of the folder of labels (the authors trained on a folder of their own).
        aliases: types to read as others, e.g. ``{"bicycle": "cyclist"}``.
        corrupt: names of scenes or clips to leave out (some of the published ones are damaged).

    Raises:
        InputError: no clips there, or a file that cannot be read.
        FormatError: a broken line, a type that does not occur in this data set, two files of one
            number, or images of different sizes in one clip.
    """
    names = CLASSES if classes is None else tuple(classes)
    lower = {key.casefold(): value.casefold() for key, value in (aliases or {}).items()}
    label = labeller(names, known=KNOWN if classes is None else None, aliases=lower)
    root, folders = _clips(Path(path))
    for folder in folders:
        name = folder.relative_to(root).as_posix()
        if name in corrupt or folder.name in corrupt or folder.parent.name in corrupt:
            if skipped is not None:
                skipped.add(folder, "", "listed as corrupt")
            continue
        images = numbered_images(folder / "RGB")
        texts = _label_files(folder / labels)
        for number in sorted(texts.keys() - images.keys()):
            if skipped is not None:
                skipped.add(texts[number], "", "labels without an image")
        rows: list[Row] = []
        for at, number in enumerate(images):
            if number in texts:
                rows.extend(_rows(texts[number], at, label))
        seen = np.array([number in texts for number in images], dtype=np.bool_)
        size = size_of_images(folder / "RGB", images.values())
        yield LabelledClip(
            name=name,
            annotations=build(names, seen, rows, path=folder / labels, skipped=skipped, size=size),
            files=tuple(f"{name}/RGB/{image}" for image in images.values()),
            path=folder / "RGB",
            size=size,
        )


def write_clip(
    root: Path, name: str, frames: Iterable[tuple[Image, Annotations]], *, replace: bool = False
) -> Path:
    """Write one clip, image by image; its folder appears when it is complete.

    Args:
        root: of the data set.
        name: ``<split>/<scene>/<time stamp>``.
        frames: images (RGB uint8 (H, W, 3)) with the table of that one frame.
        replace: an existing folder gives way; else it is an error.

    Returns:
        The clip's folder.

    Raises:
        OutputError: the place cannot be written or is taken, or the name leads out of the root.
    """
    folder = Path(root) / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise OutputError(folder, "the clip's name leads out of the folder")
    if folder.exists() and not replace:
        raise OutputError(folder, "it is there already")
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        (part / "RGB").mkdir(parents=True)
        (part / "labels_kitti").mkdir()
        for index, (image, table) in enumerate(frames):
            done, data = cv2.imencode(".png", np.ascontiguousarray(image[:, :, ::-1]))
            if not done:
                raise OutputError(part, f"frame {index} cannot be encoded")
            (part / "RGB" / f"{index:06d}.png").write_bytes(data.tobytes())
            text = "".join(_lines(folder, table))
            (part / "labels_kitti" / f"{index:06d}.txt").write_text(text, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        part.replace(folder)
    except OSError as error:
        raise OutputError(folder, error.strerror or str(error)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _clips(path: Path) -> tuple[Path, list[Path]]:
    """Root of the data set and the time-stamp folders below ``path``."""
    if not is_folder(path):
        raise InputError(path, "no such folder")
    path = path.resolve()
    found = sorted(
        folder.parent
        for depth in ("", "*/", "*/*/", "*/*/*/")
        for folder in path.glob(f"{depth}RGB")
        if folder.is_dir() and not hidden(folder.relative_to(path))
    )
    if not found:
        raise InputError(
            path, "no SYNTHIA-AL clips", hint="Expected train/<scene>/<time stamp>/RGB/000000.png."
        )
    first = found[0]
    splits = [parent for parent in first.parents if parent.name in SPLITS]
    return (splits[0].parent if splits else path), found


def _label_files(folder: Path) -> dict[int, Path]:
    """Number -> label file."""
    if not is_folder(folder):
        return {}
    files = visible(folder, "*.txt")
    found: dict[int, Path] = {}
    for file in files:
        if not re.fullmatch(r"[0-9]{1,12}", file.stem):
            continue
        if (twin := found.setdefault(int(file.stem), file)) != file:
            raise FormatError(file, "", f"the same number as {twin.name}")
    return found


def _rows(file: Path, index: int, label: Callable[[Path, str, str], int]) -> Iterator[Row]:
    for where, line in text_lines(file):
        parts = line.split()
        if len(parts) != _COLUMNS:
            raise FormatError(file, where, f"{len(parts)} columns, expected {_COLUMNS}")
        left, top, right, bottom = numbers(file, where, parts[1:], first=2)[3:7]
        box = (left, top, right, bottom)
        yield index, box, label(file, where, parts[0]), -1, False, where


def _lines(folder: Path, table: Annotations) -> Iterator[str]:
    for row in range(len(table)):
        if table.ignore[row]:
            raise OutputError(folder, "the format has no ignore regions")
        at = int(table.labels[row])
        name = _OTHER if at < 0 else table.classes[at]
        if len(name.split()) != 1:
            raise OutputError(folder, f"class {name!r}: the format allows no spaces in names")
        corners = " ".join(f"{float(value):.9g}" for value in table.boxes[row])
        yield f"{name} -1 -1 -10 {corners} -1 -1 -1 -1000 -1000 -1000 -10\n"
