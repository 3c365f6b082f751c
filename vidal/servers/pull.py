"""Answers come back from a server, as a file that `vidal import` reads.

Only what was submitted or skipped comes: a draft is not an answer. What changes from one download
to the next without anybody's doing is left out, so the same answers are the same file.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidal.errors import ServerError
from vidal.servers.connection import Connection
from vidal.servers.projects import find_project
from vidal.servers.tasks import KEY
from vidal.store import atomic
from vidal.words import printable

_KEPT = ("id", "result", "was_cancelled", "created_at", "updated_at")
"""Of an annotation."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What came from a server.

    Attributes:
        file: Label Studio's format "JSON".
        project: id of the project.
        title: its name.
        tasks: in the file.
        answered: those of them with a submitted annotation.
        skipped: those that annotators skipped and nobody answered.
        drafts: those that somebody has begun and nobody has submitted.
        others: tasks of the project that belong to other queries; not in the file.
    """

    file: Path
    project: int
    title: str
    tasks: int
    answered: int
    skipped: int
    drafts: int
    others: int


def pull(server: Connection, named: str, queries: Collection[str], folder: Path) -> Pulled:
    """Write the answers of a project to a file.

    Args:
        server: connected.
        named: title or id of the project.
        queries: keys of the queries whose tasks are wanted. Tasks without a key are taken, too:
            they were made by hand, from files.
        folder: where the file goes: ``label-studio-<project id>.json``.

    Raises:
        ServerError: no such project, or two answered tasks of one frame.
        OutputError: the file cannot be written.
    """
    project = find_project(server, named)
    if project is None:
        titles = [title for _, title in server.projects()][:8]
        some = f"It has: {', '.join(map(printable, titles))}." if titles else "It has none."
        raise ServerError(server.url, f"no project is called {printable(named)!r}", hint=some)
    every = [task for task in server.export(project.number) if isinstance(task, dict)]
    own = [task for task in every if _is_of(task, queries)]
    tasks = _one_a_frame(server, [_reduced(server, task) for task in own])
    file = folder / f"label-studio-{project.number}.json"
    text = json.dumps(tasks, ensure_ascii=False, allow_nan=False, indent=0)
    atomic.write_text(file, f"{text}\n")
    states = [_state(task) for task in tasks]
    begun = {task.get("id") for task in own if task.get("drafts")}
    return Pulled(
        file=file,
        project=project.number,
        title=project.title,
        tasks=len(tasks),
        answered=states.count("answered"),
        skipped=states.count("skipped"),
        drafts=sum(s == "open" and t["id"] in begun for s, t in zip(states, tasks, strict=True)),
        others=len(every) - len(own),
    )


def _is_of(task: Mapping[str, Any], queries: Collection[str]) -> bool:
    data = task.get("data")
    key = data.get(KEY) if isinstance(data, dict) else None
    return not isinstance(key, str) or key.partition("/")[0] in queries


def _reduced(server: Connection, task: Mapping[str, Any]) -> dict[str, Any]:
    """What says who answered what; Label Studio adds how long ago that was, and more.

    Raises:
        ServerError: it is no task.
    """
    number, data, given = task.get("id"), task.get("data"), task.get("annotations")
    if not (type(number) is int and isinstance(data, dict) and isinstance(given, list)):
        raise ServerError(server.url, "exports something else than tasks")
    if not all(isinstance(each, dict) for each in given):
        raise ServerError(server.url, f"task {number}: not annotations")
    kept = [{name: each.get(name) for name in _KEPT} for each in given]
    return {"id": number, "data": data, "annotations": kept}


def _state(task: Mapping[str, Any]) -> str:
    given = task["annotations"]
    if any(not each["was_cancelled"] for each in given):
        return "answered"
    return "skipped" if given else "open"


def _one_a_frame(server: Connection, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of tasks with one key (two pushes at once made them) the one that has an answer, by id.

    Raises:
        ServerError: two have.
    """
    found: dict[object, dict[str, Any]] = {}
    rank = {"answered": 0, "skipped": 1, "open": 2}
    for task in sorted(tasks, key=lambda each: int(each["id"])):
        key = task["data"].get(KEY)
        key = task["id"] if key is None else str(key)
        other = found.get(key)
        if other is None or rank[_state(task)] < rank[_state(other)]:
            found[key] = task
        elif _state(task) == _state(other) == "answered":
            why = f"tasks {other['id']} and {task['id']} are answers for one frame ({key})"
            raise ServerError(server.url, why, hint="Delete one of them there.")
    return list(found.values())
