"""ImageNet-VID (ILSVRC2015): ``{Data,Annotations}/VID/{train/<part>,val,test}/<snippet>/``.

Images ``000000.JPEG``, annotations ``000000.xml``, counted from 0. A frame without objects has an
XML file without ``object``. Class names are WordNet ids. Corners are read as edges, as they stand.
Boxes with ``generated`` = 1 were not drawn by hand; they become ignore regions of their class,
because the official evaluation leaves their frames out. Parsing refuses document types and
entities.

Lists (``ImageSets/VID/*.txt``) have 1, 2 or 4 columns; the first names a snippet or a frame of it.

- 1 column: what is annotated, frame by frame or the whole snippet.
- 2 columns: the second is a flag (1 = annotated, 0 = not) if it is 0 or 1 throughout; any other
  value makes it a running number or a class label, and it is passed over.
- 4 columns: snippet, -, frame, length. Frames count from 1, unless one of them is 0: then from 0.
  If all are 0, the lines name whole snippets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from vidal.errors import FormatError, InputError
from vidal.formats._columns import (
    identity,
    labeller,
    numbered_images,
    refuse_twins,
    size_of_images,
    text_lines,
)
from vidal.formats._files import visible
from vidal.formats._names import believable, believable_sum
from vidal.formats._rows import Row, build
from vidal.formats._sizes import Size, same_size
from vidal.formats._tree import is_folder
from vidal.formats._xml import events, pixels, real, shown, whole
from vidal.types import LabelledClip, Skipped

WORDNET = {
    "n02691156": "airplane",
    "n02419796": "antelope",
    "n02131653": "bear",
    "n02834778": "bicycle",
    "n01503061": "bird",
    "n02924116": "bus",
    "n02958343": "car",
    "n02402425": "cattle",
    "n02084071": "dog",
    "n02121808": "domestic cat",
    "n02503517": "elephant",
    "n02118333": "fox",
    "n02510455": "giant panda",
    "n02342885": "hamster",
    "n02374451": "horse",
    "n02129165": "lion",
    "n01674464": "lizard",
    "n02484322": "monkey",
    "n03790512": "motorcycle",
    "n02324045": "rabbit",
    "n02509815": "red panda",
    "n02411705": "sheep",
    "n01726692": "snake",
    "n02355227": "squirrel",
    "n02129604": "tiger",
    "n04468005": "train",
    "n01662784": "turtle",
    "n04530566": "watercraft",
    "n02062744": "whale",
    "n02391049": "zebra",
}
"""WordNet id -> class name, in the order of the data set's class numbers 1 to 30."""

CLASSES = tuple(WORDNET.values())
_SPLITS = ("train", "val", "test")


def read(
    path: Path,
    *,
    classes: Sequence[str] | None = None,
    skipped: Skipped | None = None,
    listed: Path | None = None,
    frames: Mapping[str, int] | None = None,
) -> Iterator[LabelledClip]:
    """The snippets of a data set; names are paths below ``Annotations/VID``.

    A snippet is as long as its folder of images, where there is one, else as ``frames`` says, else
    it ends with its last annotation. Frames without an XML file, or that the list leaves out, are
    not annotated.

    Args:
        path: the folder that holds ``Annotations`` (and ``Data``).
        classes: class names, in any case; None = all 30. Other classes get label -1.
        skipped: receives what is left out.
        listed: a list file; its snippets come in its order. None = all, in order of their paths.
        frames: lengths of snippets by name, where there are no images.

    Raises:
        InputError: no annotations there, or a file that cannot be read.
        FormatError: a broken list line, XML file or element, a class that is none of the 30, a
            frame past the snippet's end, an identity twice in a frame, or frames of different
            sizes.
    """
    root = Path(path)
    base = root / "Annotations" / "VID"
    if not is_folder(base):
        raise InputError(root, "no Annotations/VID in it")
    names = CLASSES if classes is None else tuple(classes)
    labels = labeller(names, known=CLASSES, aliases={})
    chosen = _all_snippets(base) if listed is None else _read_list(Path(listed), base)
    total = 0
    for choice in chosen:
        clip = _snippet(root, choice, (frames or {}).get(choice.name), names, labels, skipped)
        total = believable_sum(root, total + clip.annotations.frames)
        yield clip


@dataclass(slots=True)
class _Choice:
    """A snippet, and which of its frames are annotated: None = all that have an XML file."""

    name: str
    frames: dict[int, str] | None = None
    source: Path = Path()


def _all_snippets(base: Path) -> Iterator[_Choice]:
    found = sorted({file.parent for file in visible(base, "*.xml", deep=True)})
    if not found:
        raise InputError(base, "no .xml files below it")
    for folder in found:
        yield _Choice(folder.relative_to(base).as_posix())


def _read_list(listed: Path, base: Path) -> list[_Choice]:
    """The snippets that a list names, with their annotated frames."""
    lines = [(where, text.split()) for where, text in text_lines(listed)]
    if not lines:
        raise FormatError(listed, "", "an empty list")
    width = len(lines[0][1])
    for where, parts in lines:
        if len(parts) != width or width not in (1, 2, 4):
            why = f"{len(parts)} columns, expected {width if width in (1, 2, 4) else '1, 2 or 4'}"
            raise FormatError(listed, where, why)
    flags = width == 2 and all(parts[1] in ("0", "1") for _, parts in lines)
    given = [whole(listed, where, "frame", parts[2]) for where, parts in lines if width == 4]
    first = 0 if 0 in given else 1
    chosen: dict[str, _Choice] = {}
    for at, (where, parts) in enumerate(lines):
        name, frame = _place(listed, where, parts[0], base)
        if width == 4 and any(given):
            frame = given[at] - first
        choice = chosen.setdefault(name, _Choice(name, source=listed))
        wanted = not flags or parts[1] == "1"
        if frame is None:
            if not wanted:
                choice.frames = {}
        elif wanted:
            choice.frames = {} if choice.frames is None else choice.frames
            choice.frames[frame] = where
        elif choice.frames is None:
            choice.frames = {}
    return list(chosen.values())


def _place(listed: Path, where: str, text: str, base: Path) -> tuple[str, int | None]:
    """Snippet below ``base``, and frame if the text names one."""
    parts = list(PurePosixPath(text.replace("\\", "/")).parts)
    for head in ("Data", "Annotations"):
        if head in parts[:-1] and parts[parts.index(head) + 1] == "VID":
            parts = parts[parts.index(head) + 2 :]
    frame = None
    stem = PurePosixPath(parts[-1]).stem if parts else ""
    if stem.isascii() and stem.isdecimal() and len(stem) <= 12:
        frame, parts = int(stem), parts[:-1]
    if not parts or ".." in parts or PurePosixPath(*parts).is_absolute():
        raise FormatError(listed, where, f"{shown(text)} names no snippet")
    name = PurePosixPath(*parts)
    for place in (name, *(PurePosixPath(split) / name for split in _SPLITS)):
        if is_folder(base / place):
            return place.as_posix(), frame
    why = f"no annotations of {shown(name.as_posix())}"
    raise FormatError(listed, where, why, hint=f"Looked below {base}.")


def _snippet(
    root: Path,
    choice: _Choice,
    stated: int | None,
    names: tuple[str, ...],
    labels: Callable[[Path, str, str], int],
    skipped: Skipped | None,
) -> LabelledClip:
    folder = root / "Annotations" / "VID" / choice.name
    data = PurePosixPath("Data", "VID", choice.name)
    files, images = _numbered_xml(folder), numbered_images(root / data)
    length = len(images) or (max(files, default=-1) + 1 if stated is None else stated)
    # Without images the number is the place: no table of millions of them.
    place = {number: at for at, number in enumerate(images)} if images else range(length)
    labelled = np.zeros(believable(folder, "frames", length), dtype=np.bool_)
    for number, where in (choice.frames or {}).items():
        if number not in place:
            raise FormatError(choice.source, where, f"{choice.name} has no frame {number}")
    rows: list[Row] = []
    sizes: list[tuple[str, Size | None]] = []
    for number, file in files.items():
        if number not in place:
            if skipped is not None:
                skipped.add(file, "", f"frame {number} has no image")
        elif choice.frames is None or number in choice.frames:
            labelled[place[number]] = True
            mine, size = _objects(file, place[number], labels)
            sizes.append((file.name, size))
            refuse_twins(file, mine)
            rows += [(*row[:5], f"{file.name}, {row[5]}") for row in mine]
    size = size_of_images(root / data, images.values(), same_size(folder, sizes))
    return LabelledClip(
        name=choice.name,
        annotations=build(names, labelled, rows, path=folder, skipped=skipped, size=size),
        files=tuple((data / image).as_posix() for image in images.values()),
        path=root / data if images else None,
        size=size,
    )


def _numbered_xml(folder: Path) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for file in visible(folder, "*.xml"):
        if not (file.stem.isascii() and file.stem.isdecimal() and len(file.stem) <= 12):
            raise FormatError(file, "", "its name is not a frame number")
        number = believable(file, "name", int(file.stem) + 1) - 1
        if number in found:
            raise FormatError(file, "", f"the same number as {found[number].name}")
        found[number] = file
    return dict(sorted(found.items()))


def _objects(
    file: Path, index: int, labels: Callable[[Path, str, str], int]
) -> tuple[list[Row], tuple[int, int] | None]:
    """Rows of one frame, and the image's (height, width) if stated."""
    rows: list[Row] = []
    facts: dict[str, str] = {}
    thing: dict[str, str] | None = None
    outermost = ""
    for event in events(file):
        outermost = outermost or event.tag
        if outermost != "annotation":
            raise FormatError(file, event.where, "expected <annotation>")
        if event.tag == "object":
            if event.start:
                thing = {}
            else:
                where = f"object {len(rows) + 1} (line {event.line})"
                rows.append(_row(file, where, index, thing or {}, labels))
                thing = None
        elif event.tag == "bndbox" and thing is None:
            raise FormatError(file, event.where, "a box outside of an <object>")
        elif not event.start:
            (facts if thing is None else thing)[event.tag] = event.text
    size = None
    stated = {key: facts.get(key, "0") for key in ("height", "width")}
    if "0" not in stated.values():
        height, width = (pixels(file, f"<{key}>", key, text) for key, text in stated.items())
        size = (height, width)
    return rows, size


def _row(
    file: Path,
    where: str,
    index: int,
    thing: dict[str, str],
    labels: Callable[[Path, str, str], int],
) -> Row:
    def need(key: str) -> str:
        if key not in thing:
            raise FormatError(file, where, f"<{key}> is missing")
        return thing[key]

    x1, y1, x2, y2 = (real(file, where, k, need(k)) for k in ("xmin", "ymin", "xmax", "ymax"))
    generated = thing.get("generated", "0")
    if generated not in ("0", "1"):
        raise FormatError(file, where, f"generated: expected 0 or 1, got {shown(generated)}")
    track = identity(file, where, thing["trackid"]) if "trackid" in thing else -1
    name = need("name")
    label = labels(file, where, WORDNET.get(name, name))
    return index, (x1, y1, x2, y2), label, track, generated == "1", where
