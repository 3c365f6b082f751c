"""``vidal.read_labels``: annotation files of any format vidal reads."""

from __future__ import annotations

from collections.abc import Sequence

from vidal.api import given
from vidal.api.options import PathLike
from vidal.errors import UnknownName
from vidal.evidence.label_files import READERS, Request, detect_format
from vidal.types import LabelledClip, Skipped


def read_labels(
    path: PathLike,
    *,
    format: str = "auto",  # noqa: A002 (the option's name)
    classes: Sequence[str] = (),
    skipped: Skipped | None = None,
) -> list[LabelledClip]:
    """What an annotation file says, one table a clip.

    >>> entries = vidal.read_labels("labels.coco.json")
    >>> len(entries), entries[0].annotations.classes
    (3, ('car', 'pedestrian', 'cyclist', 'wheelchair'))

    Args:
        path: a file or folder.
        format: ``"auto"``, or as of ``vidal import --format``.
        classes: names in the order of the labels, for formats that may leave them out (YOLO).
        skipped: receives what is left out: (path, where, why).

    Returns:
        ``name`` of the clip and its ``annotations``: boxes (N, 4) float32 xyxy in pixels, labels
        (N,) int64 (-1 = of no class), frame (N,) int64 ordinals, ``labelled`` (F,) bool.

    Raises:
        InputError: it is not there.
        FormatError: it is broken; says where.
    """
    file = given.path_of("path", path)
    kind = detect_format(file) if format == "auto" else given.text("format", format)
    if kind not in READERS:
        raise UnknownName("format", kind, sorted(READERS))
    left = Skipped() if skipped is None else skipped
    return list(
        READERS[kind].read(
            Request(file, tuple(given.texts("classes", classes)), {}, _no_frame, left)
        )
    )


def _no_frame(name: str) -> None:
    """No picture has a frame: without a campaign or clips, names say which clip they belong to."""
    del name
