"""``vidal push``: a query to the server of an annotation tool."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from vidal.words import counted, printable

F = TypeVar("F", bound=Callable[..., Any])


def target_options(function: F) -> F:
    """The options that say which project of which server."""
    for option in (
        click.option(
            "--timeout",
            default=60.0,
            show_default=True,
            type=float,
            metavar="SECONDS",
            help="How long to wait for any one answer.",
        ),
        click.option(
            "--project", required=True, metavar="NAME|ID", help="A title, or in digits an id."
        ),
        click.option(
            "--url",
            required=True,
            metavar="URL",
            help="Address of the server: http://localhost:8080.",
        ),
    ):
        function = option(function)
    return function


@click.group("push")
def command() -> None:
    """Send the frames of a query to an annotation server.

    The token is taken from the environment (LABEL_STUDIO_API_KEY) and nowhere written. CVAT takes
    files: `vidal export --to cvat`.
    """


@command.command("label-studio")
@click.argument("folder", metavar="WORK|QUERY", type=click.Path(path_type=Path))
@target_options
@click.option(
    "--round",
    "number",
    default=None,
    type=click.IntRange(min=0),
    help="Of a campaign. [default: the newest]",
)
@click.option(
    "--boxes",
    type=click.Choice(["kept", "all", "none"]),
    help="Proposals that go along, each with its verdict. kept: without likely false alarms."
    " [default: all]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No progress.")
def label_studio(
    folder: Path,
    url: str,
    project: str,
    timeout: float,
    number: int | None,
    boxes: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Send a query to a project of Label Studio: pictures, pre-annotations, rank and reason.

    \b
    export LABEL_STUDIO_API_KEY=...
    vidal push label-studio work --url http://localhost:8080 --project round-1

    A project of that title is made where there is none; one that is there is used if its labelling
    interface has the labels of the campaign. What is there already stays as it is, so the command
    can be interrupted and run again.
    """
    from vidal.api.servers import push_folder
    from vidal.assemble.servers import Target

    target = Target("label-studio", url, project, timeout)
    done = push_folder(folder, target, round_=number, boxes=boxes, quiet=quiet)
    if as_json:
        click.echo(json.dumps(asdict(done), indent=2))
        return
    title = f"project {done.project.number} {printable(done.project.title)!r}"
    made = "new " if done.project.made else ""
    kept = done.tasks - done.added
    click.echo(f"{made}{title}: {counted(done.added, 'task')} added, {kept} there already")
    click.echo(f"annotate: {done.url}")
    click.echo(f"next: vidal pull label-studio {folder} --url {url} --project {project}")
