"""``vidal demo``: the main job on clips that vidal renders itself."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import click

from vidal.words import printable

CLIPS, FRAMES, SEED = 6, "90-120", "7"


@click.command("demo")
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option("--quiet", is_flag=True, help="No progress.")
def command(out: Path, quiet: bool) -> None:
    """Render a handful of clips, then select 2 % of their frames with the shipped detector.

    The two commands are printed: they are the ones you would type.
    """
    from vidal.cli import cli
    from vidal.store import atomic

    began = time.monotonic()
    with atomic.reporting(out):
        out.mkdir(parents=True, exist_ok=True)
    extra = ["--quiet"] if quiet else []
    for line in (
        ["scenes", "--out", ".", "--clips", str(CLIPS), "--frames", FRAMES, "--seed", SEED],
        ["select", "--videos", "clips/", "--budget", "2%", "--detector", "scenes-tiny"],
    ):
        click.echo(f"$ vidal {' '.join(line)}")
        with contextlib.chdir(out):
            cli.main(args=[*line, *extra], prog_name="vidal", standalone_mode=False)
    took = time.monotonic() - began
    click.echo(f"done in {took:.0f} s; open {printable(out / 'selection/report.html')}")
