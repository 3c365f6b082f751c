"""Writing YOLO data sets; ``vidal.formats.yolo`` has the conventions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vidal.errors import OutputError
from vidal.formats._names import frame_name
from vidal.formats._write import write_lines
from vidal.types import UNKNOWN, Annotations, FrameRef, LabelledClip, Skipped

OWN = "vidal"
"""This writer's own key of ``data.yaml``."""

FACTS = ("frames", "height", "width")
"""What it says of each clip."""


def write(
    path: Path,
    clips: Iterable[LabelledClip],
    *,
    unknown: str | None = "unknown",
    names: Callable[[FrameRef], str] | None = None,
    parts: Mapping[str, str] | None = None,
    classes: tuple[str, ...] | None = None,
    skipped: Skipped | None = None,
) -> Path:
    """Write ``data.yaml`` and ``labels/<clip>_<index>.txt`` for every labelled frame of the clips.

    ``data.yaml`` has no ``path``: ultralytics then takes its folder, wherever it is called from.
    Images belong in ``images/<clip>_<index>.jpg``. Values have six decimals (0.002 pixels at 1920).
    Tracks are lost; ignore regions have no place and are listed.

    Args:
        path: the folder.
        clips: all with the same classes; each with its size; streamed.
        unknown: class of its own for objects of class -1; None leaves them out.
        names: from a frame to the name of its image.
        parts: name of a clip -> ``train``, ``val`` or ``test``: a folder of its own below
            ``images`` and ``labels``, named in ``data.yaml``. None = one folder for all. Where no
            clip is in ``val``, ultralytics' checks while training run on the training images.
        classes: names of the numbers, where there may be no clips; None = those of the clips.
        skipped: receives what is left out.

    Returns:
        The ``data.yaml``.

    Raises:
        OutputError: a place that cannot be written, or a clip's name that leads out of it.
        ValueError: a clip without size, or classes that differ.
    """
    path = Path(path)
    job = _Written(path, unknown, names, parts, Skipped() if skipped is None else skipped)
    facts: dict[str, dict[str, int]] = {}
    for clip in clips:
        if classes not in (None, clip.annotations.classes):
            raise ValueError("clips: classes differ")
        classes = clip.annotations.classes
        if names is None and Path(clip.name).name != clip.name:
            raise OutputError(path / clip.name, "the clip's name is not a file name")
        job.clip(clip)
        height, width = clip.size or (0, 0)
        values = (clip.annotations.frames, height, width)
        facts[clip.name] = dict(zip(FACTS, values, strict=True))
    labels = list(classes or ())
    own: dict[str, Any] = {"clips": facts}
    if unknown is not None and unknown not in labels:
        labels.append(unknown)
        own["unknown"] = unknown
    places = _places(parts)
    text = {**places, "names": dict(enumerate(labels)), OWN: own}
    described = path / "data.yaml"
    write_lines(described, [yaml.safe_dump(text, sort_keys=False, allow_unicode=True)])
    return described


def _places(parts: Mapping[str, str] | None) -> dict[str, str]:
    """The folders of images by their keys in ``data.yaml``; it has to have train and val."""
    if parts is None:
        return {"train": "images", "val": "images"}
    met = [part for part in ("train", "val", "test") if part in parts.values()]
    first = met[0] if met else "train"
    where = {"train": first, "val": first, **{part: part for part in met}}
    return {part: f"images/{folder}" for part, folder in where.items()}


@dataclass(frozen=True, slots=True)
class _Written:
    """A data set on its way to the disk."""

    path: Path
    unknown: str | None
    names: Callable[[FrameRef], str] | None
    parts: Mapping[str, str] | None
    skipped: Skipped

    def clip(self, clip: LabelledClip) -> None:
        """The label files of one clip."""
        if clip.size is None:
            raise ValueError(f"{clip.name}: size is not known")
        table: Annotations = clip.annotations
        last = len(table.classes)
        if self.unknown is not None and self.unknown in table.classes:
            last = table.classes.index(self.unknown)
        height, width = clip.size
        wide = table.boxes.astype(np.float64) / (width, height, width, height)
        values = np.hstack([(wide[:, :2] + wide[:, 2:]) / 2, wide[:, 2:] - wide[:, :2]])
        folder = self.path / "labels"
        folder = folder if self.parts is None else folder / self.parts[clip.name]
        for index in np.flatnonzero(table.labelled).tolist():
            ref = FrameRef(clip.name, index)
            lines = []
            for row in range(*table.on(index).indices(len(table))):
                label = int(table.labels[row])
                if table.ignore[row] or (label == UNKNOWN and self.unknown is None):
                    why = "ignore region" if table.ignore[row] else "unknown object"
                    self.skipped.add(self.path, str(ref), why)
                    continue
                numbers = " ".join(f"{value:.6f}" for value in values[row])
                lines.append(f"{last if label == UNKNOWN else label} {numbers}\n")
            write_lines(folder / self._name(ref), lines)

    def _name(self, ref: FrameRef) -> str:
        if self.names is None:
            return frame_name(ref, ".txt")
        return f"{self.names(ref).rpartition('.')[0]}.txt"
