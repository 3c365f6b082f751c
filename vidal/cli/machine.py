"""Options that say where the work is done and where evidence is kept: they shape no result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vidal.cli.once import Once

PLACE = ("workers", "engine", "ray_address", "ray_gpus")
"""Names of the options that say where the work is done."""

_Command = TypeVar("_Command", bound=Callable[..., Any])
_OPTIONS = (
    click.option(
        "--cache",
        "--store",
        "cache",
        cls=Once,
        type=click.Path(path_type=Path),
        default=None,
        help="Where evidence is kept between runs. [default: OUT/.vidal]",
    ),
    click.option(
        "--workers",
        default=0,
        type=click.IntRange(min=0),
        help="Processes. [default: one a core; one to three a GPU, by the cores each has]",
    ),
    click.option(
        "--engine",
        default=None,
        type=click.Choice(["local", "process", "ray"]),
        help="Where the work is done: this process, worker processes, or Ray actors (pip install"
        " vidal-al[ray]). [default: process where there is more than one worker]",
    ),
    click.option(
        "--ray-address",
        cls=Once,
        default=None,
        metavar="auto|HOST:PORT",
        help="Of a Ray cluster. [default: RAY_ADDRESS, else a local Ray that ends with the run]",
    ),
    click.option(
        "--ray-gpus",
        default=None,
        type=click.FloatRange(min=0),
        help="GPUs of each Ray actor, such as 0.25. [default: 1 where the detector is on a GPU]",
    ),
)


def machine_options(command: _Command) -> _Command:
    """A command with these options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
