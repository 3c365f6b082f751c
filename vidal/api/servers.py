"""``vidal.push``: a query to the server of an annotation tool."""

from __future__ import annotations

from pathlib import Path

from vidal.api import given
from vidal.api.options import PathLike
from vidal.api.progress import Count
from vidal.api.watch import Console
from vidal.assemble.servers import Target, push_query
from vidal.campaign.folder import recorded
from vidal.errors import UsageError
from vidal.servers.push import Pushed


def push(
    query: PathLike,
    to: str,
    *,
    url: str,
    project: str,
    boxes: str | None = None,
    timeout: float = 60.0,
    progress: bool = True,
) -> Pushed:
    """Bring the frames of a `vidal.select` that was saved to a project of an annotation server.

    What is there already stays as it is. The token comes from ``LABEL_STUDIO_API_KEY``.

    Args:
        query: the folder of the selection, or its ``query.json``.
        to: ``"label-studio"``.
        url: address of the server: ``"http://localhost:8080"``.
        project: a title, or in digits an id; made where there is none of that title.
        boxes: proposals that go along: ``"kept"`` (without likely false alarms), ``"all"`` or
            ``"none"``. Default: all, each with its verdict.
        timeout: seconds to wait for any one answer.
        progress: show how far it is.

    Returns:
        ``project``, ``tasks``, ``added``, ``url`` of the project.

    Raises:
        UsageError: no token, no SDK (the extra ``label-studio``), or what cannot be meant.
        ServerError: the server cannot be used; says how much is there.
        InputError, FormatError: the query, or a picture of it, cannot be used.
    """
    folder = given.path_of("query", query)
    if recorded(folder):
        raise UsageError(f"{folder} is a campaign.", hint="Use vidal.Campaign(...).push(...).")
    target = target_of(to, url, project, timeout)
    return push_folder(folder, target, round_=None, boxes=boxes, quiet=not progress)


def target_of(to: str, url: str, project: str, timeout: float) -> Target:
    """From what a caller gave.

    Raises:
        UsageError: a value of another kind.
    """
    return Target(
        given.text("to", to),
        given.text("url", url),
        given.text("project", project),
        given.real("timeout", timeout),
    )


def push_folder(
    folder: Path, target: Target, *, round_: int | None, boxes: str | None, quiet: bool
) -> Pushed:
    """What `vidal push` does: a campaign's folder, or that of a query."""
    with Console(quiet=quiet) as console, Count("pushing", "task", quiet=quiet) as count:
        return push_query(folder, target, number=round_, boxes=boxes, watcher=console, watch=count)
