"""``--device`` and ``--precision``, the same in every command that has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from vidal.detect.options import PRECISIONS
from vidal.errors import UsageError
from vidal.types.devices import Devices

SEVERAL = "auto (every GPU, else the processor), cpu, cuda, cuda:1, or cuda:0,1 for several."
ONE = "auto (a GPU, else the processor), cpu, cuda or cuda:1."

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def device_option(*, several: bool, default: str | None = "auto", note: str = "") -> Decorator:
    """``--device``, for work that several GPUs can share, or that one process does."""

    def checked(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
        if text is not None and len(Devices.parse(text).numbers) > 1 and not several:
            raise UsageError(f"device {text!r}: this runs on one.", hint="Such as cuda:0.")
        return text

    return click.option(
        "--device",
        default=default,
        show_default=default is not None,
        metavar="DEVICE",
        callback=checked,
        help=(SEVERAL if several else ONE) + note,
    )


def precision_option() -> Decorator:
    """``--precision``."""
    return click.option(
        "--precision",
        default="auto",
        show_default=True,
        type=click.Choice(PRECISIONS),
        help="auto = bf16 where it is computed natively, else fp32; tf32 is for GPUs.",
    )
