"""The formats that annotation tools export: which a file has, and how it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from vidal.errors import FormatError, InputError, LabelsMismatch
from vidal.evidence.names import ClipNames, names_of
from vidal.formats import coco_video, cvat, cvat_images, label_studio, yolo
from vidal.formats._cvat import FILES as _CVAT
from vidal.formats._cvat import flavour
from vidal.formats._files import visible
from vidal.formats._relabel import Relabel
from vidal.formats._rows import load_json
from vidal.formats._tree import is_file, is_folder, is_zip, tree_of
from vidal.types import Clip, FrameRef, IntArray, LabelledClip, Skipped

Names = Callable[[str], FrameRef | None]
"""From the name of a picture to its frame."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a reader of answers is given.

    Attributes:
        path: the file or folder.
        classes: of the campaign.
        clips: by id: those that may be labelled.
        names: how pictures of the query are named.
        skipped: receives what is left out.
        relabel: gives labels the class that an attribute holds.
    """

    path: Path
    classes: tuple[str, ...]
    clips: Mapping[str, Clip]
    names: Names
    skipped: Skipped
    relabel: Relabel = field(default_factory=Relabel)

    @property
    def lengths(self) -> dict[str, int]:
        """Frames of each clip, under every name that means one clip only."""
        return {name: clip.frames for name, clip in self._named().items()}

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """(height, width) of each clip, under every name that means one clip only."""
        return {name: clip.size for name, clip in self._named().items()}

    @property
    def known(self) -> dict[str, Any]:
        """What most readers take: names of pictures, lengths and sizes of clips."""
        return {"names": self.names, "frames": self.lengths, "sizes": self.sizes}

    def _named(self) -> dict[str, Clip]:
        """Readers look clips up by id, or by the name of a file that they belong to."""
        return by_any_name(self.clips.values())


def by_any_name(clips: Iterable[Clip]) -> dict[str, Clip]:
    """Clips under every name that means one of them only."""
    known = list(clips)
    every = Counter(name for clip in known for name in set(names_of(clip)))
    named = {name: clip for clip in known for name in names_of(clip) if every[name] == 1}
    return {**named, **{clip.id: clip for clip in known}}


def _cvat(request: Request) -> Iterator[LabelledClip]:
    return cvat.read(request.path, skipped=request.skipped, relabel=request.relabel)


def _cvat_images(request: Request) -> Iterator[LabelledClip]:
    return cvat_images.read(
        request.path,
        skipped=request.skipped,
        names=request.names,
        frames=request.lengths,
        relabel=request.relabel,
    )


def _label_studio(request: Request) -> Iterator[LabelledClip]:
    return label_studio.read(
        request.path, skipped=request.skipped, relabel=request.relabel, **request.known
    )


def _yolo(request: Request) -> Iterator[LabelledClip]:
    # Without a list beside the labels their numbers mean nothing: the order of the campaign's own
    # classes is not that of the tool.
    for label, attribute in request.relabel.attributes.items():
        why = f"YOLO has no attributes, so {label!r:.40} has no {attribute!r:.40}"
        raise FormatError(request.path, "", why)
    return yolo.read(request.path, skipped=request.skipped, **request.known)


def _coco_video(request: Request) -> Iterator[LabelledClip]:
    return coco_video.read(
        request.path, skipped=request.skipped, relabel=request.relabel, **request.known
    )


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """How a format is read, and what it says.

    Attributes:
        read: the labelled clips of a request.
        states_empty: a frame that it gives without boxes was looked at by somebody. CVAT, YOLO and
            COCO list every picture of a task, done or not.
    """

    read: Callable[[Request], Iterator[LabelledClip]]
    states_empty: bool = False


READERS: Mapping[str, AnswerFormat] = {
    "cvat": AnswerFormat(_cvat),
    "cvat-images": AnswerFormat(_cvat_images),
    "label-studio": AnswerFormat(_label_studio, states_empty=True),
    "yolo": AnswerFormat(_yolo),
    "coco-video": AnswerFormat(_coco_video),
}
"""Formats that annotation tools export."""


def detect_format(path: Path) -> str:
    """The format of a file that an annotation tool has exported, by what it holds.

    Raises:
        InputError: it is not there, or cannot be read.
        FormatError: it is none of those in ``READERS``.
    """
    if is_folder(path):
        return _folder_format(path)
    if not is_file(path):
        raise InputError(path, "no such file or folder")
    name = path.name.lower()
    if name.endswith((".yaml", ".yml")):
        return "yolo"
    if is_zip(path):
        return _zip_format(path)
    if name.endswith((".json", ".json.gz")):
        return _json_format(path)
    if name.endswith((".csv", ".tsv", ".csv.gz", ".tsv.gz")):
        return "label-studio"
    if name.endswith((".xml", ".xml.gz")):
        return flavour(path)
    raise FormatError(path, "", "of no known format", hint=_choices())


def _folder_format(path: Path) -> str:
    """CVAT by its files, COCO by those that hold it; a data set of YOLO may hold other files."""
    if visible(path, *_CVAT):
        return flavour(path)
    if _has_yolo(visible(path, "*.txt", "*.yaml", "*.yml", deep=True)):
        return "yolo"
    if found := visible(path, "*.xml", "*.xml.gz", deep=True):
        _refuse_voc(path, found)
        return flavour(path)
    found = [file for file in visible(path, "*.json", deep=True) if file.name != "notes.json"]
    if found:
        value = load_json(found[0])
        if isinstance(value, dict) and {"images", "categories"} <= value.keys():
            return "coco-video"
    return "yolo"


def _refuse_voc(path: Path, files: Iterable[Path]) -> None:
    """Pascal VOC has a file a picture in a folder of its own name; CVAT's XML is one file a task.

    Raises:
        FormatError: it is that.
    """
    if any(file.parent.name == "Annotations" and file.suffix == ".xml" for file in files):
        why = "Pascal VOC, which states whole pixels only, is not read"
        raise FormatError(path, "", why, hint="Export it in another format: COCO, YOLO or JSON.")


def _has_yolo(files: Iterable[Path]) -> bool:
    """Whether there are texts that are not just the notes that services put into every export."""
    return any(not file.name.lower().startswith("readme") for file in files)


def _zip_format(path: Path) -> str:
    """By the kinds of files in it; a data set of YOLO may hold JSON beside its labels."""
    with tree_of(path) as tree:
        files = tree.files(path)
    kinds = {file.suffix.lower() for file in files}
    if ".xml" in kinds:
        _refuse_voc(path, files)
        return flavour(path)
    if _has_yolo(file for file in files if file.suffix.lower() in (".txt", ".yaml", ".yml")):
        return "yolo"
    if ".json" in kinds:
        return _json_format(path)
    raise FormatError(path, "", "a zip of no known format", hint=_choices())


def _json_format(path: Path) -> str:
    value: Any = load_json(path, "*.json")
    if isinstance(value, list):
        return "label-studio"
    if isinstance(value, dict) and ("videos" in value or {"images", "categories"} <= value.keys()):
        return "coco-video"
    raise FormatError(path, "", "of no known format", hint=_choices())


def _choices() -> str:
    return f"Formats that are read: {', '.join(READERS)}; some commands take --format to name it."


@dataclass(slots=True)
class LeftOut:
    """What was not taken of a file of labels.

    Attributes:
        skipped: what its reader left out.
        empty: name of a clip -> (n,) int64, listed frames without boxes that are not taken.
    """

    skipped: Skipped = field(default_factory=Skipped)
    empty: dict[str, IntArray] = field(default_factory=dict)


def read_labels(
    path: Path,
    name: str,
    *,
    classes: tuple[str, ...] | None,
    clips: Sequence[Clip],
    left: LeftOut | None = None,
) -> Iterator[LabelledClip]:
    """The entries of a file of labels beside clips, whatever its format.

    Formats of annotation tools (``READERS``) are told the lengths and sizes of the clips. Frames
    that CVAT lists without boxes are not labelled: it lists those that nobody looked at, too. Data
    sets in YOLO or COCO are taken at their word.

    Args:
        path: a file or folder.
        name: of its format, or ``auto``.
        classes: names to map to; None = the file's own.
        clips: that it may be about.
        left: receives what is not taken.

    Raises:
        InputError, FormatError: it cannot be read.
    """
    left = LeftOut() if left is None else left
    name = detect_format(path) if name == "auto" else name
    if name not in READERS:
        yield from reader(name)(path, classes=classes, skipped=left.skipped)
        return
    ids = {clip.id: clip for clip in clips}
    request = Request(path, classes or (), ids, pictures_of(clips), left.skipped)
    for entry in READERS[name].read(request):
        table = entry.annotations
        if name in ("cvat", "cvat-images"):
            boxed = np.zeros(table.frames, np.bool_)
            boxed[table.frame] = True
            if len(empty := np.flatnonzero(table.labelled & ~boxed)):
                left.empty[entry.name] = empty
            table = replace(table, labelled=table.labelled & boxed)
        yield replace(entry, annotations=table)


_LAYOUT = frozenset(
    (
        *("images", "image", "img", "imgs", "frames", "jpegimages", "labels", "annotations"),
        *("data", "default", "train", "training", "val", "valid", "validation", "test", "testing"),
        *("obj_train_data", "obj_valid_data", "obj_test_data"),
    )
)
"""Folders that exporters put pictures and labels into; they say nothing of clips."""


def pictures_of(clips: Iterable[Clip]) -> Names:
    """From the name of a picture beside clips (``night/cam_000012.jpg``) to its frame.

    The part before the number names the clip, as of ``ClipNames``: its folders tell clips of one
    name apart, and rule out a clip of another folder.
    """
    known = ClipNames(clips)
    found: dict[str, str | None] = {}

    def clip_of(name: str) -> str | None:
        *folders, last = PurePosixPath(name).parts
        folders = [] if "upload" in folders else folders
        bare = [each for each in folders if each.casefold() not in _LAYOUT]
        for parts in dict.fromkeys(((*folders, last), (*bare, last))):
            with suppress(LabelsMismatch):  # it could be several
                if fitting := known.find(Path(), ["/".join(parts)]):
                    return fitting[0].id
        return None

    def find(name: str) -> FrameRef | None:
        pure = PurePosixPath(name.replace("\\", "/"))
        clip, _, index = pure.stem.rpartition("_")
        if not clip or not (index.isdecimal() and index.isascii() and len(index) < 19):
            return None
        place = str(pure.parent / clip)
        if place not in found:
            found[place] = clip_of(place)
        named = found[place]
        return None if named is None else FrameRef(named, int(index))

    return find


def picture_of(ids: Mapping[str, str]) -> Names:
    """From the name of a picture (``<clip>_000012.jpg``) to its frame.

    Args:
        ids: from what stands for the clip in the name, to the clip's id.
    """

    def find(name: str) -> FrameRef | None:
        clip, _, index = PurePosixPath(name.replace("\\", "/")).stem.rpartition("_")
        given = clip in ids and index.isdecimal() and index.isascii() and len(index) < 19
        return FrameRef(ids[clip], int(index)) if given else None

    return find


def reader(name: str) -> Any:
    """The reader of a format of ``FORMATS``: ``read(path, classes=...)`` -> labelled clips."""
    read = import_module(f"vidal.formats.{name.replace('-', '_')}").read
    return read
