"""``vidal status``: where a campaign stands."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from vidal.words import counted

_LISTED = 5
_SELDOM = 5.0
"""Seconds after which a watched campaign is looked at whole again."""
KNOWN = f" {'known':>5}"
"""Head of the column of query precision: known objects among those that a round asked about."""


@click.command("status")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--watch",
    "watched",
    is_flag=True,
    help="Go on showing it: stage, clips done, frames a second, time left. Ctrl-C ends it.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(folder: Path, watched: bool, as_json: bool) -> None:
    """Say where campaign DIR stands, what runs there now, and what comes next. Waits for nobody.

    DIR may also be the folder of a simulation.
    """
    from vidal.cli.watching import watch

    if watched and as_json:
        raise click.UsageError("--watch and --json do not go together.")
    if watched:
        watch(_Look(folder))
        return
    state, costs = _state(folder)
    if as_json:
        click.echo(json.dumps(state, indent=2))
        return
    for line in _lines(state, costs):
        click.echo(line)


def _state(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """What is told of a folder, and lines on what it cost."""
    from vidal.campaign.costs import cost_lines, round_costs
    from vidal.campaign.status import describe
    from vidal.cli.opened import open_campaign
    from vidal.simulation.described import describe_simulation, is_simulation

    if is_simulation(folder):
        return describe_simulation(folder), []
    with open_campaign(folder, lock=False) as campaign:
        state = describe(campaign)
        return state, cost_lines(campaign.config.selection.cost, round_costs(campaign))


class _Look:
    """What is shown now. What changes seldom is looked at seldom."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = float("-inf")
        self._state: dict[str, Any] = {}

    def __call__(self) -> tuple[list[str], dict[str, Any] | None]:
        from vidal.campaign.heartbeat import running

        beat = running(self._folder)
        told = None if beat is None else beat.as_dict()
        ended = (self._state.get("running") is None) is not (told is None)
        if ended or time.monotonic() - self._seen > _SELDOM:
            self._state, _ = _state(self._folder)
            self._seen = time.monotonic()
        self._state["running"] = told
        return _short(self._state), told


def _short(state: dict[str, Any]) -> list[str]:
    """What is worth watching: it fits a small window."""
    from vidal.cli.watching import disk_line, running_lines

    now = running_lines(state["running"], time.time()) or ["nothing is running"]
    if "simulation" in state:
        return [_runs(state), *now, disk_line(state["disk"])]
    frames = state["frames"]
    lines = [
        f"campaign {state['name']!r}: {frames['labelled']:,} of {counted(frames['all'], 'frame')}"
        f" labelled, {frames['waiting']:,} waiting"
    ]
    if state["rounds"]:
        row = state["rounds"][-1]
        lines.append(f"round {row['round']} ({row['strategy']}): {row['state']}")
    return [*lines, *now, disk_line(state["disk"]), f"next: {state['next']['command']}"]


def _runs(state: dict[str, Any]) -> str:
    runs = f"{counted(state['runs'], 'run')} begun, {counted(state['rounds'], 'round')} done"
    return f"simulation {state['simulation']!r}: {runs}"


def _lines(state: dict[str, Any], costs: list[str]) -> list[str]:
    from vidal.cli.watching import disk_line, running_lines

    now = [*running_lines(state["running"], time.time()), disk_line(state["disk"])]
    if "simulation" in state:
        return [_runs(state), *now]
    clips, frames = state["clips"], state["frames"]
    knows = any(row["asked_about"]["unknown"] for row in state["rounds"])
    lines = [
        f"campaign {state['name']!r}: {', '.join(state['classes'])}",
        f"clips: {clips['train']} training, {clips['validation']} validation, {clips['test']} test",
        *_missing(state),
        *_detections(state),
        f"frames: {frames['all']:,}, of which {frames['labelled']:,} labelled,"
        f" {frames['waiting']:,} waiting, {frames['skipped']:,} skipped,"
        f" {frames['unlabelled']:,} unlabelled",
        "",
        f"{'round':>5}  {'strategy':<20} {'state':<10} {'asked':>6} {'labelled':>8}"
        f" {'waiting':>7} {'skipped':>7}{KNOWN if knows else ''}  model",
    ]
    for row in state["rounds"]:
        lines.append(
            f"{row['round']:>5}  {row['strategy']:<20} {row['state']:<10} {row['asked']:>6}"
            f" {row['labelled']:>8} {row['waiting']:>7} {row['skipped']:>7}"
            f"{_known(row['asked_about']) if knows else ''}  {row['model'] or '-'}"
            f"{' (stale)' if row['stale'] else ''}"
        )
    if costs:
        lines += ["", *costs]
    lines += ["", *now, "", f"next: {state['next']['command']}   ({state['next']['why']})"]
    return lines


def _detections(state: dict[str, Any]) -> list[str]:
    """Of a campaign about one's own detector: the detections that were given last."""
    given = state["detections"]
    return [] if given is None else [f"detections: {given['path']} ({given['digest'][:8]})"]


def _known(asked_about: dict[str, Any]) -> str:
    precision = asked_about["query_precision"]
    share = "-" if precision is None else f"{precision:.0%}"
    return f" {share:>5}"


def _missing(state: dict[str, Any]) -> list[str]:
    """Which clips are not where they were, and the way out."""
    missing = state["missing"]
    if not missing:
        return []
    some = ", ".join(missing[:_LISTED]) + (", ..." if len(missing) > _LISTED else "")
    are = "clip is not where it was" if len(missing) == 1 else "clips are not where they were"
    return [
        f"{len(missing):,} {are}: {some}",
        f"  tell where they are: vidal relink {state['folder']} --videos DIR",
    ]
