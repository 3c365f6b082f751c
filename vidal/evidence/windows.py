"""Windows of frames: the unit of work, so that memory does not depend on the length of a clip."""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = 1024
"""Frames of a window, where nothing else is asked for: some 185 MB while it is worked on."""
_QUARTER = 4
"""A rest of up to a quarter of a window belongs to the window before it."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Frames ``start`` to ``stop`` of a clip, ``stop`` left out."""

    start: int
    stop: int

    @property
    def frames(self) -> int:
        """How many."""
        return self.stop - self.start

    def grown(self, by: int, frames: int) -> Window:
        """With ``by`` more frames on both sides, within a clip of that length."""
        return Window(max(0, self.start - by), min(frames, self.stop + by))


def cut_windows(frames: int, window: int, batch: int = 1) -> tuple[Window, ...]:
    """The windows of a clip, in order; at least one.

    They begin at multiples of ``batch``, so that a detector sees the same batches as when a clip is
    looked at in one go. A clip of one window and a quarter is one window.

    Args:
        frames: length of the clip.
        window: frames of a window, rounded down to whole batches.
        batch: frames that a detector sees at once.
    """
    size = max(1, window // batch) * batch
    starts = list(range(0, max(frames, 1), size))
    if len(starts) > 1 and _QUARTER * (frames - starts[-1]) <= size:
        starts.pop()
    return tuple(
        Window(start, stop) for start, stop in zip(starts, [*starts[1:], frames], strict=True)
    )
