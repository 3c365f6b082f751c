"""Whether frames decode that no detector has looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from vidal.evidence.pictures import Wanted, make_pictures
from vidal.evidence.places import EngineMaker
from vidal.types import Clip, IntArray, Pool


@dataclass(slots=True)
class Looked:
    """Decodes frames, each once, however often it is asked for them.

    Attributes:
        clips: by id.
        engines: where they are decoded; None = here.
    """

    clips: Mapping[str, Clip]
    engines: EngineMaker | None = None
    _good: set[tuple[str, int]] = field(default_factory=set)

    def unreadable(self, pool: Pool, positions: IntArray) -> dict[str, frozenset[int]]:
        """Clip id -> chosen frames that do not decode; clips without pixels have none.

        Args:
            pool: that they are of.
            positions: (n,) of the frames in the pool.

        Raises:
            UnreadableClip: a clip cannot be opened any more.
        """
        lost: dict[str, frozenset[int]] = {}
        for made in make_pictures(self._wanted(pool, positions), engines=self.engines):
            if made.error is not None:
                raise made.error
            self._good.update((made.clip, index) for index in made.prints)
            if made.lost:
                lost[made.clip] = lost.get(made.clip, frozenset()) | frozenset(made.lost)
        return lost

    def _wanted(self, pool: Pool, positions: IntArray) -> list[Wanted]:
        """By clip and time, those that nobody has asked for before."""
        clip, index = pool.frames.clip[positions], pool.frames.index[positions]
        order = np.lexsort((index, clip))
        chosen: dict[str, list[int]] = {}
        for number, at in zip(clip[order].tolist(), index[order].tolist(), strict=True):
            name = pool.frames.clips[number]
            if self.clips[name].pixels and (name, at) not in self._good:
                chosen.setdefault(name, []).append(at)
        return [Wanted(self.clips[name], dict.fromkeys(at, ())) for name, at in chosen.items()]
