"""The project of an annotation server that a query goes to: found, made, and fit for it."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

from vidal.errors import ServerError, UsageError
from vidal.servers.connection import Connection
from vidal.words import printable

Control = tuple[str, str, str]
"""Tag, name and what it is about (an object of the task, or a value of its data)."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project of a server.

    Attributes:
        number: its id.
        title: its name.
        made: it was not there before.
    """

    number: int
    title: str
    made: bool = False


def find_project(server: Connection, named: str) -> Project | None:
    """The project of an id (digits) or of exactly this title; None where no title is so.

    Raises:
        ServerError: no project of that id, or several of that title.
    """
    if named.isascii() and named.isdecimal():
        return Project(int(named), server.project(int(named))[0])
    found = [(number, title) for number, title in server.projects() if title == named]
    if len(found) > 1:
        ids = ", ".join(str(number) for number, _ in found)
        why = f"{len(found)} projects are called {printable(named)!r}: {ids}"
        raise ServerError(server.url, why, hint="Give --project the id of one.")
    return Project(*found[0]) if found else None


def open_project(server: Connection, named: str, config: str, told: str) -> Project:
    """The project of that name, made where there is none, able to hold what ``config`` declares.

    A project that is there already is used as it is if its own configuration declares all of that;
    one without any configuration is given it.

    Raises:
        ServerError: its configuration is another one; says what it lacks.
        UsageError: no name.
    """
    if not named.strip():
        raise UsageError("--project is empty.", hint="It takes a title, or the id of a project.")
    found = find_project(server, named)
    if found is None:
        return Project(server.make(named, config, told), named, made=True)
    theirs = server.project(found.number)[1]
    if not _controls(theirs):
        server.configure(found.number, config)
        return found
    if missing := lacking(theirs, config):
        some = ", ".join(missing[:6]) + (", ..." if len(missing) > 6 else "")
        why = f"project {found.number} {printable(found.title)!r} is set up otherwise: no {some}"
        hint = "Name another --project, or add that to its labelling interface."
        raise ServerError(server.url, why, hint=hint)
    return found


def lacking(theirs: str, ours: str) -> list[str]:
    """What ``ours`` declares and ``theirs`` does not, in words; both are labelling XML."""
    have, want = _controls(theirs), _controls(ours)
    missing = []
    for control, values in want.items():
        if control not in have:
            missing.append(f"<{control[0]} name={control[1]!r}> of {control[2]!r}")
        else:
            missing += [f"{control[0]} {value!r}" for value in sorted(values - have[control])]
    return missing


def _controls(config: str) -> dict[Control, set[str]]:
    """The named elements of a labelling configuration, each with the values it offers.

    None of a text that is no plain XML: a document type is not looked into.
    """
    if "<!" in config:
        return {("View", "another configuration", ""): set()}
    try:
        root = ElementTree.fromstring(config)  # no document type, so no entities
    except (ElementTree.ParseError, ValueError):
        return {}
    found: dict[Control, set[str]] = {}
    for element in root.iter():
        name = element.get("name")
        if name is not None:
            about = element.get("toName") or element.get("value") or ""
            values = {each.get("value") or "" for each in element if each.get("value")}
            found[(element.tag, name, about)] = values
    return found
