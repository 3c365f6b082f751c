"""For Label Studio: image tasks with predictions, their labelling configuration, and the pictures.

Every region has a choice ``vidal`` and a number ``vidal_certainty`` beside its label
(``perRegion``), so that what was said of a proposal is still there in what the tool exports.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vidal.exports.bundle import Bundle, Shot, tables
from vidal.exports.plain import context_place
from vidal.formats import label_studio
from vidal.formats._label_studio_write import config
from vidal.formats._notes import values_of
from vidal.types import FrameRef

TASKS, CONFIG = "tasks.json", "label_config.xml"


def label_config(bundle: Bundle) -> str:
    """The labelling configuration: the labels and, where boxes are proposals, their verdicts."""
    _, notes = tables(bundle)
    verdicts = () if notes is None else values_of(notes)
    text = config(bundle.labels, verdicts=verdicts, shown=("reason",) if bundle.judged else ())
    if bundle.context:
        context = '<Image name="context" valueList="$context"/></View>'
        text = f"{text.removesuffix('</View>')}{context}"
    return text


def write_tasks(bundle: Bundle, path: Path, url: Callable[[str], str]) -> None:
    """The tasks with their predictions.

    Args:
        bundle: what goes out.
        path: the JSON file.
        url: from a picture's path in the archive to what Label Studio loads it by.
    """
    clips, notes = tables(bundle)
    context: dict[FrameRef, list[str]] = {}
    for shown in bundle.context:
        if shown.of is not None:
            context.setdefault(shown.of, []).append(url(context_place(bundle, shown)))
    label_studio.write(
        path,
        clips,
        url=lambda name: url(f"images/{name}"),
        names=bundle.name,
        notes=notes,
        unknown=bundle.unknown,
        extra={shot.ref: _data(bundle, shot, context) for shot in bundle.shots},
    )


def _data(bundle: Bundle, shot: Shot, context: dict[FrameRef, list[str]]) -> dict[str, Any]:
    """What a task says of its frame."""
    return {
        "rank": shot.rank or None,
        "score": shot.score if math.isfinite(shot.score) else None,
        "reason": shot.reason,
        "seconds": shot.seconds,
        **({"context": context.get(shot.ref, [])} if bundle.context else {}),
    }


def write(bundle: Bundle, folder: Path) -> None:
    """``tasks.json`` and ``label_config.xml``; pictures are served as local files."""
    local = f"/data/local-files/?d={quote(bundle.title)}/"
    write_tasks(bundle, folder / TASKS, lambda name: local + quote(name))
    (folder / CONFIG).write_text(label_config(bundle) + "\n", encoding="utf-8")
