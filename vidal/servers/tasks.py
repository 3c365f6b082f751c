"""A query as tasks of Label Studio: pictures, pre-annotations, rank and reason."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidal.errors import UsageError
from vidal.exports import label_studio
from vidal.exports.bundle import Bundle, Shot
from vidal.report import QueryFile
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


def tasks_of(bundle: Bundle, query: QueryFile) -> TaskSet:
    """The tasks of the frames of a query that go out, with what is proposed for them.

    Args:
        bundle: what goes out.
        query: all of it.

    Raises:
        UsageError: no classes, or a clip without pictures.
    """
    if not bundle.classes:
        raise UsageError(
            "the query names no classes, so annotators would have none.", hint=_CLASSES
        )
    if bare := [shot for shot in bundle.shots if shot.picture is None]:
        raise UsageError(f"there is no picture of {bare[0].ref}: its clip has no pixels.")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "tasks.json"
        label_studio.write_tasks(bundle, path, str)
        written: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    contents = {FrameRef(t["data"]["clip"], t["data"]["index"]): t for t in written}
    key = query_key(query)
    tasks = [
        _task(key, query.round, shot, contents[shot.ref])
        for shot in sorted(bundle.shots, key=lambda shot: shot.rank)
    ]
    return TaskSet(key, query.round, tuple(tasks), label_studio.label_config(bundle))


_CLASSES = "Choose with a detector (`vidal select --detector`), or begin a campaign: --classes."


def _task(query: str, number: int, shot: Shot, content: dict[str, Any]) -> Task:
    assert shot.picture is not None
    key = f"{query}/{shot.ref}"
    data = {**content["data"], "round": number, KEY: key}
    return Task(key, shot.picture, upload_name(shot.name), {**content, "data": data})


def upload_name(name: str) -> str:
    """The name under which a picture is uploaded: its own, or its end behind a digest of it all."""
    if len(name.encode()) <= _LONGEST:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
    end = name.encode()[-(_LONGEST - 17) :].decode(errors="ignore")
    return f"{digest}_{end}"
