"""Queries to annotation servers and back: from the options of a command to what is sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidal.campaign.folder import Campaign, open_campaign, recorded
from vidal.errors import CampaignError, FormatError, UnknownName, UsageError
from vidal.report import read_query
from vidal.report.query_files import read_content
from vidal.servers.pull import Pulled, pull
from vidal.servers.tasks import TaskSet, query_key, tasks_of

SERVERS = ("label-studio",)
"""Annotation tools whose servers are spoken to."""

PULLED = "pulled"
"""Folder of a campaign that holds what came from servers."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: a server and one of its projects.

    Attributes:
        tool: of ``SERVERS``.
        url: of the server.
        project: title or id.
        timeout: seconds to wait for any one answer.
    """

    tool: str
    url: str
    project: str
    timeout: float = 60.0

    def connect(self) -> Any:
        """A connection to the server.

        Raises:
            UnknownName: of no such tool.
            UsageError: no token, no SDK, no address.
            ServerError: it cannot be used.
        """
        if self.tool not in SERVERS:
            raise UnknownName("annotation server", self.tool, SERVERS)
        if not self.timeout > 0:
            raise UsageError(f"--timeout {self.timeout:g} is not above 0.")
        from vidal.servers.connection import Connection

        return Connection(self.url, timeout=self.timeout)


@contextmanager
def query_tasks(folder: Path, number: int | None) -> Iterator[TaskSet]:
    """The tasks of a campaign's round, or of a lone query; the campaign is locked meanwhile.

    Args:
        folder: of a campaign, or of a query (`vidal select --out`).
        number: which round; None = the one that waits for its answer, else the newest.

    Raises:
        CampaignError: the campaign has no such query.
        UsageError: a round of a lone query.
        InputError, FormatError: the query cannot be read.
    """
    if not recorded(folder):
        if number is not None:
            raise UsageError(f"--round is for campaigns; {folder} is none.")
        yield tasks_of(folder, _classes(folder))
        return
    with open_campaign(folder) as campaign:
        place = campaign.query(_round(campaign, number))
        yield tasks_of(place, campaign.record.classes)


def query_keys(campaign: Campaign) -> frozenset[str]:
    """By which tasks of a campaign's queries are recognised on a server."""
    places = (campaign.query(each.number) / "query.json" for each in campaign.record.rounds())
    return frozenset(query_key(read_query(path)) for path in places if path.is_file())


def pull_answers(folder: Path, target: Target) -> Pulled:
    """Fetch the answers to a campaign's queries, into a file of the campaign's folder.

    Args:
        folder: of the campaign.
        target: which project.

    Raises:
        InputError: no campaign there.
        UsageError, ServerError, OutputError: see ``Target.connect`` and ``pull``.
    """
    with open_campaign(folder, lock=False) as campaign:
        queries = query_keys(campaign)
    return pull(target.connect(), target.project, queries, folder / PULLED)


def _round(campaign: Campaign, number: int | None) -> int:
    entry = campaign.record.open_round()
    written = [e.number for e in campaign.record.rounds() if campaign.query(e.number).is_dir()]
    if number is None:
        number = entry.number if entry is not None else max(written, default=None)
    if number not in written:
        what = "no query" if number is None else f"no query of round {number}"
        raise CampaignError(
            f"{campaign.folder}: {what}.", hint="Make one with `vidal select --campaign`."
        )
    return number


def _classes(folder: Path) -> tuple[str, ...]:
    """The classes of a lone query."""
    path = folder / "query.json"
    if not path.is_file():
        return ()  # whoever makes the tasks says so
    classes = read_content(path).get("classes")
    if not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise FormatError(path, "classes", "not a list of names")
    return tuple(classes)
