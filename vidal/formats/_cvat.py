"""What CVAT's two XML formats share: the task's meta data, its frame grid, and writing both."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from vidal.errors import FormatError, InputError, OutputError
from vidal.formats._files import visible
from vidal.formats._names import believable
from vidal.formats._notes import CERTAINTY, VERDICT, RowNote
from vidal.formats._xml import Event, events, pixels, shown, whole
from vidal.types import UNKNOWN, BoolArray

Numbering = Literal["video", "task"]
"""What ``box@frame`` counts: frames of the video, or of the task."""

IGNORE = "ignore"
"""Name of the checkbox attribute that carries ``Annotations.ignore``."""


FILES = ("*.xml", "*.xml.gz", "*.zip")
"""Names of the files that CVAT exports."""


@dataclass(slots=True)
class Task:
    """What ``<meta>`` says about a task.

    Attributes:
        fields: texts of the simple elements of ``<task>``.
        labels: label names, in order.
        values: allowed values of each attribute, in order, over all labels.
        kind: ``task``, ``job`` or ``project``, whichever was exported.
        height, width: of ``<original_size>``; 0 where absent.
        source: name of the video, with the folders that it has on a share; empty where absent.
        tasks: of a project.
    """

    fields: dict[str, str] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    values: dict[str, dict[str, None]] = field(default_factory=dict)
    kind: str = "task"
    height: int = 0
    width: int = 0
    source: str = ""
    tasks: list[Task] = field(default_factory=list)

    def note(self, path: Path, parents: Sequence[str], event: Event, attribute: str) -> str:
        """Take in the end of one element below ``<meta>``; returns the attribute being defined."""
        inside = parents[-1] if parents else ""
        if event.tag == "task" and inside == "tasks":
            self._close_task()
            return attribute
        if event.tag in ("project", "job") and inside == "meta":
            self.kind = event.tag
        if event.tag == "name" and inside == "label":
            self.labels.append(event.text)
        elif event.tag == "name" and inside == "attribute":
            attribute = event.text
        elif event.tag == "values" and inside == "attribute":
            self.values.setdefault(attribute, {}).update(dict.fromkeys(event.text.split("\n")))
        elif event.tag in ("width", "height") and inside == "original_size":
            setattr(self, event.tag, pixels(path, event.where, event.tag, event.text))
        elif event.tag == "source":
            self.source = event.text.replace("\\", "/")
        elif inside in ("task", "job"):
            self.fields[event.tag] = event.text
        return attribute

    def _close_task(self) -> None:
        """One task of a project is told: the next begins with nothing but the labels."""
        told = Task(self.fields, self.labels, self.values, source=self.source)
        told.height, told.width = self.height, self.width
        self.tasks.append(told)
        self.fields, self.source, self.height, self.width = {}, "", 0, 0

    def classes(self, label_from: str | None) -> list[str]:
        """Class names: the labels, or the values of the attribute ``label_from``."""
        names = self.labels if label_from is None else self.values.get(label_from, {})
        return list(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class Grid:
    """Which frames of the video a task shows."""

    start: int
    step: int
    size: int
    frames: int

    @classmethod
    def of(cls, path: Path, task: Task, frames: int | None) -> Grid:
        """From the task's fields; ``frames`` is the length of the clip, where the caller knows.

        Raises:
            FormatError: the fields contradict each other, or the clip.
        """

        def number(name: str, default: int) -> int:
            text = task.fields.get(name, "")
            return whole(path, f"<{name}>", name, text) if text else default

        start, rule = number("start_frame", 0), task.fields.get("frame_filter", "")
        found = re.fullmatch(r"\s*(?:step\s*=\s*([0-9]{1,9}))?\s*", rule)
        if found is None or (found[1] and int(found[1]) == 0):
            raise FormatError(path, "<frame_filter>", f"expected step=N, got {shown(rule)}")
        step = int(found[1] or 1)
        size = believable(path, "<size>", number("size", 0))
        if not task.fields.get("size") and not task.fields.get("stop_frame"):
            raise FormatError(path, "<task>", "neither size nor stop_frame is stated")
        if start < 0:
            raise FormatError(path, "<start_frame>", f"start_frame: {start} is below 0")
        stop = number("stop_frame", start + (size - 1) * step)
        length = believable(path, "<stop_frame>", stop + 1)
        count = len(range(start, stop + 1, step))
        if "size" in task.fields and size != count:
            why = f"{size} frames, but {count} from {start} to {stop} in steps of {step}"
            raise FormatError(path, "<size>", why)
        if frames is not None and length > frames:
            why = f"frames {start}..{stop}, but the clip has {frames}"
            raise FormatError(path, "<stop_frame>", why)
        return cls(start, step, count, length if frames is None else frames)

    def labelled(self, path: Path, deleted: Iterable[int]) -> BoolArray:
        """(frames,) bool: shown and not among the ``deleted`` numbers of the task."""
        mask = np.zeros(self.frames, dtype=np.bool_)
        mask[self.start : self.start + self.size * self.step : self.step] = True
        for number in deleted:
            if not 0 <= number < self.size:
                raise FormatError(path, "deleted frames", f"{number}: the task has {self.size}")
            mask[self.start + number * self.step] = False
        return mask


def files_of(path: Path) -> list[Path]:
    """The file itself, or those of a folder: at its top, else in its folders (one a job, say).

    Raises:
        InputError: there is none in the folder.
    """
    if not path.is_dir():
        return [path]
    files = visible(path, *FILES) or visible(path, *FILES, deep=True)
    if not files:
        raise InputError(path, "no .xml, .xml.gz or .zip in this folder")
    return files


def flavour(path: Path) -> Literal["cvat", "cvat-images"]:
    """Whether an XML file (or the first of a folder) is CVAT for video or CVAT for images.

    Its first ``<track>`` or ``<image>`` decides, else the mode that the task states.

    Raises:
        InputError: it cannot be read; FormatError: it is not CVAT's.
    """
    path = Path(path)
    files = files_of(path)
    mode = ""
    for at, event in enumerate(events(files[0])):
        if at == 0 and event.tag != "annotations":
            raise FormatError(files[0], event.where, "expected <annotations>")
        if event.tag == "image":
            return "cvat-images"
        if event.tag == "track":
            return "cvat"
        mode = event.text if event.tag == "mode" else mode
    return "cvat" if mode == "interpolation" else "cvat-images"


def label_of(name: str, names: list[str], grow: bool) -> int:
    """Position of a class name; a new one is appended where ``grow``, else unknown (-1)."""
    if name in names:
        return names.index(name)
    if not grow:
        return UNKNOWN
    names.append(name)
    return len(names) - 1


_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def element(path: Path, tag: str, text: str = "", *, end: bool = True, **attributes: str) -> str:
    """One line of XML: ``<tag a="..">text</tag>``, or only the start tag where not ``end``.

    Raises:
        OutputError: a text holds characters that XML cannot carry.
    """
    for value in (text, *attributes.values()):
        if _ILLEGAL.search(value):
            raise OutputError(path, f"XML cannot hold the characters of {value!r}")
    start = "".join([tag, *(f" {name}={quoteattr(value)}" for name, value in attributes.items())])
    return f"<{start}>{escape(text)}</{tag}>\n" if end else f"<{start}>\n"


def attributes_of(*, ignore: bool, verdicts: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The attributes of every label, as CVAT's "Raw" editor of labels takes them.

    Args:
        ignore: a checkbox for ignore regions.
        verdicts: values of the choice ``vidal``, the default first; with it goes a number for its
            certainty. Both may change along a track. Empty = neither.
    """
    found: list[dict[str, Any]] = []
    if ignore:
        found.append(_attribute(IGNORE, "checkbox", ["false"], mutable=False))
    if verdicts:
        found.append(_attribute(VERDICT, "select", list(verdicts), mutable=True))
        found.append(_attribute(CERTAINTY, "number", ["0", "1", "0.01"], mutable=True))
    return found


def _attribute(name: str, kind: str, values: list[str], *, mutable: bool) -> dict[str, Any]:
    return {
        "name": name,
        "mutable": mutable,
        "input_type": kind,
        "default_value": values[0],
        "values": values,
    }


def label_lines(
    path: Path, names: Sequence[str], *, ignore: bool, verdicts: Sequence[str] = ()
) -> Iterable[str]:
    """The ``<labels>`` of a task with their attributes; see ``attributes_of``."""
    declared = attributes_of(ignore=ignore, verdicts=verdicts)
    yield "<labels>\n"
    for name in names:
        yield "<label>\n" + element(path, "name", name) + "<attributes>"
        for each in declared:
            yield "\n<attribute>\n" + element(path, "name", each["name"])
            yield element(path, "mutable", str(each["mutable"]))
            yield element(path, "input_type", each["input_type"])
            yield element(path, "default_value", each["default_value"])
            yield element(path, "values", "\n".join(each["values"])) + "</attribute>"
        yield ("\n" if declared else "") + "</attributes>\n</label>\n"
    yield "</labels>\n"


def box_lines(
    path: Path,
    corners: Sequence[float],
    ignore: bool,
    note: RowNote | None = None,
    **attributes: str,
) -> str:
    """One ``<box>`` with corners to a hundredth of a pixel, CVAT's own precision."""
    names = ("xtl", "ytl", "xbr", "ybr")
    where = {name: f"{value:.2f}" for name, value in zip(names, corners, strict=True)}
    line = element(path, "box", end=False, **attributes, **where)
    if ignore:
        line += element(path, "attribute", "true", name=IGNORE)
    if note is not None:
        line += element(path, "attribute", note.value, name=VERDICT)
        sure = 0.0 if math.isnan(note.certainty) else note.certainty
        line += element(path, "attribute", f"{sure:.2f}", name=CERTAINTY)
    return line + "</box>\n"
