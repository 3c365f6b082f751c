"""Queries to annotation servers and back: from the options of a command to what is sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidal.assemble.export import query_folder, ready_query, ready_round
from vidal.campaign.folder import Campaign, open_campaign, recorded
from vidal.errors import CampaignError, UnknownName, UsageError
from vidal.evidence.watch import Watcher
from vidal.exports.order import Order
from vidal.report import read_query
from vidal.servers.pull import Pulled, pull
from vidal.servers.push import Pushed, Watch, push
from vidal.servers.tasks import query_key, tasks_of

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


def push_query(
    folder: Path,
    target: Target,
    *,
    number: int | None = None,
    boxes: str | None = None,
    watcher: Watcher,
    watch: Watch | None = None,
) -> Pushed:
    """Bring the frames of a query that wait to a project of a server.

    Args:
        folder: of a campaign, which is locked meanwhile, or of a query (`vidal select --out`).
        target: which project.
        number: round of a campaign; None = the newest query.
        boxes: proposals that go along; see ``Order``.
        watcher: told of evidence that is computed.
        watch: told how many tasks are there.

    Raises:
        CampaignError: no such query, or none of its frames waits.
        UsageError: a round of a lone query, or what cannot be meant.
        InputError, FormatError: the query, or a picture of it, cannot be used.
        ServerError: the server cannot be used; says how much is there.
    """
    order = Order.of("label-studio", boxes=boxes)
    server = target.connect()
    if not recorded(folder):
        if number is not None:
            raise UsageError(f"--round needs a campaign; {folder} is none.")
        ready = ready_query(query_folder(folder), order)
        return push(server, target.project, tasks_of(ready.bundle, ready.query), watch=watch)
    with open_campaign(folder) as campaign:
        ready = ready_round(campaign, order, number=number, watcher=watcher)
        if not ready.bundle.judged:
            raise CampaignError(
                f"round {ready.query.round} is answered: none of its frames waits.",
                hint="Choose the next ones: `vidal select --campaign`.",
            )
        return push(server, target.project, tasks_of(ready.bundle, ready.query), watch=watch)


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
