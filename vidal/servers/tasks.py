"""A query as tasks of Label Studio: pictures, pre-annotations, rank and reason."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidal.errors import InputError
from vidal.formats import coco_video, label_studio
from vidal.report import QueryFile, read_query
from vidal.types import FrameRef

KEY = "vidal_key"
"""What a task is recognised by, in its data: ``<query>/<clip>@000123``."""

_LONGEST = 80
"""Bytes of an upload's name; the server cuts what is much longer, from the end."""


@dataclass(frozen=True, slots=True)
class Task:
    """One frame of a query.

    Attributes:
        key: of the frame in this query; see ``KEY``.
        picture: the file.
        name: what the picture is uploaded as.
        content: the task without the place of its picture, as Label Studio imports it.
    """

    key: str
    picture: Path
    name: str
    content: Mapping[str, Any]

    def at(self, place: str) -> dict[str, Any]:
        """The task to import, with its picture at a place of the server."""
        return {**self.content, "data": {**self.content["data"], "image": place}}


@dataclass(frozen=True, slots=True)
class TaskSet:
    """The tasks of one query.

    Attributes:
        query: by which the query is recognised; of its round and frames.
        round: its number.
        tasks: the most wanted first.
        config: the labelling configuration that they need.
    """

    query: str
    round: int
    tasks: tuple[Task, ...]
    config: str


def query_key(query: QueryFile) -> str:
    """By which a query is recognised: a digest of its round and of its frames in their order.

    The same campaign has the same key wherever it lies, and a report that is written again too.
    """
    frames = [[frame.ref.clip, frame.ref.index] for frame in query.frames]
    text = json.dumps([query.round, frames], allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def tasks_of(folder: Path, classes: Sequence[str]) -> TaskSet:
    """The tasks of the query in a folder (``query.json``, ``frames/``, pre-annotations).

    Args:
        folder: of a round, or of `vidal select --out`.
        classes: labels that annotators may give, besides ``unknown``.

    Raises:
        InputError: a file is missing, or a clip has no pictures.
        FormatError: not what vidal wrote.
    """
    path = folder / "query.json"
    if not path.is_file():
        raise InputError(path, "no such file", hint="Give a campaign, or the folder of a query.")
    query = read_query(path)
    key = query_key(query)
    extra = {
        f.ref: {
            KEY: f"{key}/{f.ref}",
            "rank": f.rank,
            "score": None if f.score != f.score else round(f.score, 6),
            "reason": f.reason,
            "round": query.round,
            "seconds": round(f.seconds, 3),
        }
        for f in query.frames
    }
    written = _written(folder / "preannotations.coco.json", extra)
    tasks = []
    for frame in query.frames:
        if not frame.file:
            raise InputError(frame.path, "the query has no picture of it", hint=_PICTURES)
        picture = folder / frame.file
        if not picture.is_file():
            raise InputError(picture, "no such file", hint="`vidal report` writes it again.")
        content = written[frame.ref]
        tasks.append(Task(content["data"][KEY], picture, upload_name(picture.name), content))
    config = label_studio.config([*classes, *(["unknown"] if "unknown" not in classes else [])])
    return TaskSet(key, query.round, tuple(tasks), config)


_PICTURES = "Only clips with pictures can be labelled there."


def _written(path: Path, extra: Mapping[FrameRef, Mapping[str, Any]]) -> dict[FrameRef, Any]:
    """Frame -> its task, with the pre-annotations as a prediction."""
    with tempfile.TemporaryDirectory() as place:
        file = label_studio.write(Path(place) / "tasks.json", coco_video.read(path), extra=extra)
        tasks: Iterable[dict[str, Any]] = json.loads(file.read_text("utf-8"))
    return {FrameRef(t["data"]["clip"], t["data"]["index"]): t for t in tasks}


def upload_name(name: str) -> str:
    """The name under which a picture is uploaded: its own, or its end behind a digest of it all."""
    if len(name.encode()) <= _LONGEST:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
    end = name.encode()[-(_LONGEST - 17) :].decode(errors="ignore")
    return f"{digest}_{end}"
