"""Devices as a user writes them: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``cuda:0,1``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, Self

from vidal.errors import UsageError

BOUND = "VIDAL_DEVICE"
"""Environment variable: the one device of this process, such as ``cuda:1``. An engine that starts
several processes on a machine sets it in each; it only says which of the devices of one kind."""

_HINT = "Write auto, cpu, cuda, cuda:1, or cuda:0,1 for several."


@dataclass(frozen=True, slots=True)
class Devices:
    """What was asked for.

    Attributes:
        kind: ``auto`` = all GPUs there are, else the processor.
        numbers: which GPUs, each once; empty = the first one, or all for ``auto``.
    """

    kind: Literal["auto", "cpu", "cuda"]
    numbers: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From what a user wrote.

        Raises:
            UsageError: no such kind of device, or one GPU twice.
        """
        kind, colon, listed = text.partition(":")
        if kind not in ("auto", "cpu", "cuda") or (colon and kind != "cuda"):
            raise UsageError(f"unknown device {text!r}.", hint=_HINT)
        parts = listed.split(",") if colon else []
        if not all(part.isascii() and part.isdecimal() and len(part) < 5 for part in parts):
            raise UsageError(f"unknown device {text!r}.", hint=_HINT)
        numbers = tuple(map(int, parts))
        if len(set(numbers)) != len(numbers):
            raise UsageError(f"device {text!r}: one GPU twice.", hint=_HINT)
        return cls(kind, numbers)  # type: ignore[arg-type]

    @property
    def names(self) -> tuple[str, ...]:
        """One name a device, as torch writes it."""
        return tuple(f"{self.kind}:{number}" for number in self.numbers) or (self.kind,)


def checked(text: str) -> str:
    """The text, if devices can be written so.

    Raises:
        UsageError: as ``Devices.parse``.
    """
    Devices.parse(text)
    return text


def one_of(names: tuple[str, ...]) -> str:
    """Which of some devices of one kind this process has: the bound one, else the first."""
    bound = os.environ.get(BOUND, "")
    return bound if bound.partition(":")[0] == names[0].partition(":")[0] else names[0]
