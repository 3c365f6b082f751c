"""Groups of frames through a forward pass: in turn, or with copies beside the work of a GPU.

Where they overlap, three threads pass work on: one lays frames into pinned memory and starts their
copy on a stream of its own, the caller's launches the network, one brings rows back and makes the
table. Each waits for events of the GPU, never for the whole of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidal.detect.forward import Batch
from vidal.detect.preprocess import stacked
from vidal.errors import UsageError
from vidal.types import Detections, Frame, Image, IntArray

Look = Callable[[Tensor], Batch]
"""Images (B, H, W, 3) uint8 on the device -> their rows."""
Part = tuple[IntArray, Batch]
"""Positions of some frames of a group, and their rows."""
Finish = Callable[[list[Part], int], Detections]
"""The rows of a group and its number of frames -> their table."""

AHEAD = 2
"""Groups that are laid ready before the one the network looks at, and that wait behind it."""


def in_turn(
    groups: Iterable[Sequence[Frame]],
    look: Look,
    finish: Finish,
    device: torch.device,
    together: int,
) -> Iterator[Detections]:
    """The table of each group; one after the other.

    Args:
        groups: of frames, which may differ in size.
        look: the forward pass.
        finish: makes a table of what it gave.
        device: of the forward pass.
        together: frames it is given at once, at most.

    Raises:
        UsageError: the GPU's memory is not enough.
    """
    for group in groups:
        parts = []
        for positions in _alike(group, together):
            images = stacked([group[at].image for at in positions], device)
            with _told_of_memory():
                parts.append((np.asarray(positions), look(images)))
        yield finish(parts, len(group))


def overlapped(
    groups: Iterable[Sequence[Frame]],
    look: Look,
    finish: Finish,
    device: torch.device,
    together: int,
) -> Iterator[Detections]:
    """As ``in_turn``, with copies to the device and back beside the work on it."""
    copies, stream = _Copies(device), iter(groups)
    laid: deque[Future[_Laid | None]] = deque()
    found: deque[Future[Detections]] = deque()
    with (
        ThreadPoolExecutor(1, thread_name_prefix="lay") as layer,
        ThreadPoolExecutor(1, thread_name_prefix="fetch") as fetcher,
    ):
        try:
            for _ in range(AHEAD):
                laid.append(layer.submit(_lay, stream, copies, together))
            while (group := laid.popleft().result()) is not None:
                laid.append(layer.submit(_lay, stream, copies, together))
                with _told_of_memory():
                    parts = [(where, look(copies.arrived(sent))) for where, sent in group.parts]
                done = copies.mark()
                found.append(fetcher.submit(_finished, copies, finish, parts, group.frames, done))
                if len(found) > AHEAD:
                    yield found.popleft().result()
            while found:
                yield found.popleft().result()
        finally:
            for task in laid:
                task.cancel()


def _finished(
    copies: _Copies, finish: Finish, parts: list[Part], count: int, done: Any
) -> Detections:
    """The table of a group, once the device has done its work."""
    return finish([(where, copies.fetch(batch, done)) for where, batch in parts], count)


class _Sent(NamedTuple):
    """Pixels on their way to the device."""

    pixels: Tensor
    event: Any  # a torch.cuda.Event; None on a processor


class _Laid(NamedTuple):
    """A group whose pixels are on their way."""

    parts: list[tuple[IntArray, _Sent]]
    frames: int


def _lay(groups: Iterator[Sequence[Frame]], copies: _Copies, together: int) -> _Laid | None:
    """The next group, on its way to the device; None after the last."""
    group = next(groups, None)
    if group is None:
        return None
    parts = []
    for positions in _alike(group, together):
        images = [group[at].image for at in positions]
        parts.append((np.asarray(positions), copies.send(images)))
    return _Laid(parts, len(group))


class _Copies:
    """Copies to and from a device, through a ring of pinned memory, on a stream of their own.

    On a processor the same is done without streams and pinning: the copies are copies there, too.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._gpu = device.type == "cuda"
        cuda: Any = torch.cuda
        self._out = cuda.Stream(device) if self._gpu else None
        self._back = cuda.Stream(device) if self._gpu else None
        self._ring: deque[tuple[Tensor, Any]] = deque()

    def send(self, images: Sequence[Image]) -> _Sent:
        """Start the copy of images of one size."""
        with self._here():
            buffer = self._buffer((len(images), *images[0].shape))
        into = buffer.numpy()
        for row, image in enumerate(images):
            into[row] = image
        if not self._gpu:
            self._ring.append((buffer, None))
            return _Sent(buffer.to(self._device, copy=True), None)
        with self._here(), torch.cuda.stream(self._out):
            pixels = buffer.to(self._device, non_blocking=True)
            event = _event(self._out)
        self._ring.append((buffer, event))
        return _Sent(pixels, event)

    def _here(self) -> Any:
        """This thread's device, within the block: every thread begins with the first one."""
        return torch.cuda.device(self._device) if self._gpu else nullcontext()

    def _buffer(self, shape: tuple[int, ...]) -> Tensor:
        """Pinned memory of this shape whose last copy is done; others are given up."""
        if len(self._ring) > AHEAD:
            buffer, event = self._ring.popleft()
            if event is not None:
                event.synchronize()
            if buffer.shape == shape:
                return buffer
        return torch.empty(shape, dtype=torch.uint8, pin_memory=self._gpu)

    def arrived(self, sent: _Sent) -> Tensor:
        """The pixels, which the work that is launched from now on waits for."""
        if sent.event is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(sent.event)
            sent.pixels.record_stream(current)
        return sent.pixels

    def mark(self) -> Any:
        """An event after all that was launched; None on a processor."""
        if not self._gpu:
            return None
        return _event(torch.cuda.current_stream(self._device))

    def fetch(self, batch: Batch, done: Any) -> Batch:
        """Rows in this process's memory; waits for ``done``, and not for what was launched after.

        They are copied on a stream of their own: the network's goes on with the next frames.
        """
        if done is None:
            return batch
        done.synchronize()
        with self._here(), torch.cuda.stream(self._back):
            return Batch(*(each.cpu() for each in batch))


def _event(stream: Any) -> Any:
    """After all that a stream was given; who waits for it leaves its core to others."""
    cuda: Any = torch.cuda
    event = cuda.Event(blocking=True)
    event.record(stream)
    return event


def table_of(parts: Sequence[Part], count: int, classes: tuple[str, ...]) -> Detections:
    """One table from batches that hold the frames at the given positions."""

    def column(name: str) -> Any:
        return torch.cat([getattr(batch, name) for _, batch in parts]).cpu().numpy()

    frame = np.concatenate([where[batch.frame.cpu().numpy()] for where, batch in parts])
    order = np.argsort(frame, kind="stable")
    positions = np.concatenate([where for where, _ in parts])
    embedding = np.empty((count, parts[0][1].embedding.shape[1]), dtype=np.float32)
    embedding[positions] = column("embedding")
    return Detections(
        classes=classes,
        scanned=np.ones(count, dtype=np.bool_),
        frame=frame[order],
        boxes=column("boxes")[order],
        scores=np.minimum(column("scores")[order], 1),
        labels=column("labels")[order],
        probs=column("probs")[order],
        features=column("features")[order],
        embedding=embedding,
        suppressed=column("suppressed")[order],
    )


def _alike(frames: Sequence[Frame], together: int) -> Iterator[list[int]]:
    """Positions of frames of one size, so many at a time."""
    sizes: dict[tuple[int, ...], list[int]] = {}
    for position, frame in enumerate(frames):
        sizes.setdefault(frame.image.shape, []).append(position)
    for positions in sizes.values():
        for first in range(0, len(positions), together):
            yield positions[first : first + together]


@contextmanager
def _told_of_memory() -> Iterator[None]:
    """A GPU whose memory is not enough is named, with the ways out."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UsageError(
            "the GPU's memory is not enough for the detector.",
            hint="Look at fewer frames at once (--batch 4), or run fewer processes (--workers 1).",
        ) from error
