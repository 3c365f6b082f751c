"""A query goes to a server: what is there already stays, what is missing is added.

A task is recognised by its key, a picture that no task uses yet by its name and size. So a push
that was interrupted goes on where it was, and a second push changes nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

from vidal.errors import InputError, ServerError
from vidal.servers.connection import Connection
from vidal.servers.projects import Project, open_project
from vidal.servers.tasks import KEY, Task, TaskSet
from vidal.words import counted

Watch = Callable[[int, int], None]
"""Is told (tasks that are there, tasks of the query)."""

_PICTURES = 20
_BYTES = 16 << 20
"""Of one request: servers and the proxies before them limit both."""

_TRIES = 3
_PAUSE = 1.0
"""Seconds before the second try; each further one waits twice as long."""

_PREFIX = re.compile(r"^[0-9a-f]{8}-")


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did.

    Attributes:
        project: where the tasks are.
        query: the key of the query.
        round: its number.
        tasks: of the query, all of them there now.
        added: those that were not there before.
        url: of the project, for a browser.
    """

    project: Project
    query: str
    round: int
    tasks: int
    added: int
    url: str


def push(server: Connection, named: str, query: TaskSet, *, watch: Watch | None = None) -> Pushed:
    """Bring the tasks of a query to a project of a server.

    Args:
        server: connected.
        named: title or id of the project; made where there is none of that title.
        query: its tasks.
        watch: is told how far it is.

    Raises:
        ServerError: the server refuses, or is lost; says how much is there.
        InputError: a picture cannot be read.
    """
    told = f"Frames chosen by vidal for annotation; query {query.query}."
    work = _Push(server, open_project(server, named, query.config, told), query, watch)
    tries, there = 0, 0
    while True:
        try:
            work.go_on()
            break
        except ServerError as error:
            tries = 1 if work.there > there else tries + 1
            there = work.there
            if not error.passing or tries >= _TRIES:
                raise work.halfway(error) from None
            time.sleep(_PAUSE * 2 ** (tries - 1))
    return Pushed(
        work.project,
        query.query,
        query.round,
        len(query.tasks),
        len(query.tasks) - work.before,
        f"{server.url}/projects/{work.project.number}",
    )


@dataclass(slots=True)
class _Push:
    """One push.

    Attributes:
        there: tasks of the query that the project holds; -1 = not known yet.
        before: those that it held at first.
    """

    server: Connection
    project: Project
    query: TaskSet
    watch: Watch | None
    there: int = -1
    before: int = -1

    def go_on(self) -> None:
        """Add what is missing, batch by batch."""
        number = self.project.number
        data = [each for _, each in self.server.tasks(number)]
        keys, used = {each.get(KEY) for each in data}, {each.get("image") for each in data}
        missing = [task for task in self.query.tasks if task.key not in keys]
        self._reached(len(self.query.tasks) - len(missing))
        for batch in _batches(missing):
            places = _uploaded(self.server, number, batch, used)
            tasks = [task.at(place) for task, place in zip(batch, places, strict=True)]
            self.server.add(number, tasks)
            used |= set(places)
            self._reached(self.there + len(batch))

    def _reached(self, there: int) -> None:
        self.there = there
        self.before = there if self.before < 0 else self.before
        if self.watch is not None:
            self.watch(there, len(self.query.tasks))

    def halfway(self, error: ServerError) -> ServerError:
        """The same error, which also says what the project holds by now."""
        wanted = counted(len(self.query.tasks), "task")
        count = f"{self.there} of {wanted}" if self.there >= 0 else f"an unknown number of {wanted}"
        so_far = f"Project {self.project.number} holds {count}; run it again to go on."
        hint = f"{error.hint} {so_far}".strip()
        return ServerError(error.url, error.why, hint=hint, passing=error.passing)


def _uploaded(
    server: Connection, number: int, batch: Sequence[Task], used: set[object]
) -> list[str]:
    """Where the pictures of a batch are on the server; those that are not there are uploaded."""
    content = {task.key: _read(task) for task in batch}
    places = _unused(server, number, used)
    absent = [t for t in batch if (t.name, len(content[t.key])) not in places]
    if absent:
        server.upload(number, [(task.name, content[task.key]) for task in absent])
        places = _unused(server, number, used)
    found = [places.get((task.name, len(content[task.key]))) for task in batch]
    if None in found:
        lost = batch[found.index(None)].name
        raise ServerError(server.url, f"{lost} was uploaded, but is not there", passing=True)
    return [place for place in found if place is not None]


def _unused(server: Connection, number: int, used: set[object]) -> dict[tuple[str, int], str]:
    """(name, bytes) -> place of the uploads that no task uses."""
    found = {}
    for file, size in server.uploads(number):
        place = server.place(file)
        if place not in used:
            found[_PREFIX.sub("", PurePosixPath(file).name, count=1), size] = place
    return found


def _read(task: Task) -> bytes:
    with _reading(task):
        return task.picture.read_bytes()


def _size(task: Task) -> int:
    with _reading(task):
        return task.picture.stat().st_size


@contextmanager
def _reading(task: Task) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InputError(task.picture, why, hint="`vidal report` writes it again.") from error


def _batches(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """Tasks together that make one request."""
    batch: list[Task] = []
    size = 0
    for task in tasks:
        more = _size(task)
        if batch and (len(batch) == _PICTURES or size + more > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(task)
        size += more
    if batch:
        yield batch
