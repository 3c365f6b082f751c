"""``vidal pull``: answers from the server of an annotation tool."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import click

from vidal.cli.groups import HEADINGS, Grouped
from vidal.cli.import_labels import command as import_command
from vidal.cli.push import target_options
from vidal.words import counted, printable

_OWN = ("folder", "source", "format_")
"""Parameters of ``vidal import`` that pull decides itself; it has all the others too."""


_HEADINGS = {
    "Which project": ("url", "project", "timeout"),
    **{
        heading: tuple(each for each in names if each not in _OWN)
        for heading, names in HEADINGS["import"].items()
    },
}


@click.group("pull")
def command() -> None:
    """Fetch the answers of annotators from an annotation server, and import them.

    The token is taken from the environment (LABEL_STUDIO_API_KEY) and nowhere written.
    """


@click.command("label-studio", cls=Grouped, headings=_HEADINGS)
@click.argument("folder", metavar="WORK", type=click.Path(path_type=Path))
@target_options
def label_studio(
    folder: Path, url: str, project: str, timeout: float, as_json: bool, **rest: Any
) -> None:
    """Fetch what was annotated in a project of Label Studio, and import it into campaign WORK.

    \b
    export LABEL_STUDIO_API_KEY=...
    vidal pull label-studio work --url http://localhost:8080 --project round-1

    Submitted annotations are answers, also empty ones; skipped tasks are skipped frames; drafts and
    untouched tasks go on waiting. The answers are kept in WORK/pulled and imported as by `vidal
    import`, whose options can be given. It may be run as often as you like.
    """
    from vidal.assemble.servers import Target, pull_answers

    done = pull_answers(folder, Target("label-studio", url, project, timeout))
    if as_json:
        with redirect_stdout(StringIO()) as said:
            _import(folder, done.file, as_json=True, **rest)
        pulled = {**asdict(done), "file": str(done.file)}
        click.echo(json.dumps({"pulled": pulled, **json.loads(said.getvalue())}, indent=2))
        return
    place = f"project {done.project} {printable(done.title)!r}"
    click.echo(
        f"{place}: {counted(done.tasks, 'task')}, {done.answered} annotated, {done.skipped} skipped"
    )
    if done.drafts:
        click.echo(f"  {counted(done.drafts, 'draft')} not submitted: not taken")
    if done.others:
        click.echo(f"  {counted(done.others, 'task')} of other queries: left out")
    _import(folder, done.file, as_json=False, **rest)


def _import(folder: Path, file: Path, **options: Any) -> None:
    assert import_command.callback is not None
    import_command.callback(folder=folder, source=file, format_="label-studio", **options)


label_studio.params += [each for each in import_command.params if each.name not in _OWN]
command.add_command(label_studio)
