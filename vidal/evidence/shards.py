"""Clips dealt to shards: runs on several machines that fill one store, and need not talk."""

from __future__ import annotations

import heapq
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vidal.errors import UsageError

_TEXT = re.compile(r"(\d{1,6})/(\d{1,6})")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several runs.

    Attributes:
        number: which, counted from 1.
        of: how many there are.
    """

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise UsageError(
                f"shard {self.number}/{self.of}: there is none of that number.",
                hint=f"They are counted from 1: 1/{max(self.of, 1)} to {max(self.of, 1)} of them.",
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``2/8``.

        Raises:
            UsageError: something else, or a number that is not between 1 and how many there are.
        """
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise UsageError(f"--shard {text!r} is not NUMBER/HOW MANY.", hint="Such as 2/8.")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def deal(self, weights: Mapping[str, int]) -> Deal:
        """The names that this shard is dealt.

        What is more than a shard's fair share is divided: all shards have it. Of the rest the
        heaviest is dealt first, each to the shard that has the least so far (of equal ones the
        first), so that no shard has more than another one by more than the weight of one item.
        Equal weights are dealt in the order of their names: the order of the mapping does not
        matter.

        Args:
            weights: name -> how much work it is, at least 0.
        """
        whole = sum(weights.values())
        divided = {name for name, weight in weights.items() if self.of * weight > whole}
        if self.of == 1:
            divided = set()
        loads = [(0, number) for number in range(1, self.of + 1)]
        mine = set()
        for name in sorted(weights, key=lambda each: (-weights[each], each)):
            if name in divided:
                continue
            load, number = loads[0]
            heapq.heapreplace(loads, (load + max(weights[name], 1), number))
            if number == self.number:
                mine.add(name)
        return Deal(frozenset(mine), frozenset(divided))

    def part(self, count: int) -> range:
        """The part of ``count`` units in a row that this shard has: those that follow each other,
        as many as the others have, or one more."""
        return range(count * (self.number - 1) // self.of, count * self.number // self.of)


@dataclass(frozen=True, slots=True)
class Deal:
    """What a shard is dealt: names that it has alone, and names that all shards have."""

    own: frozenset[str]
    divided: frozenset[str]


WHOLE = Shard()
"""The one shard of a run that is not divided."""


def size_of(clip: Path) -> int:
    """Bytes of a clip that is not opened: of its file, or of the files in its folder."""
    try:
        if clip.is_dir():
            return sum(file.stat().st_size for file in clip.iterdir() if file.is_file())
        return clip.stat().st_size
    except OSError:  # opening it says what is wrong
        return 0
