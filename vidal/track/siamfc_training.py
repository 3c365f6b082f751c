"""Training of SiamFC on clips with tracks (Bertinetto et al. 2016, Sections 2.2, 3.1 and 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn

from vidal.boxes import pairs_in_groups
from vidal.errors import UsageError
from vidal.track.siamfc import SEARCH, STRIDE, crop, crop_geometry
from vidal.track.siamfc_network import EXEMPLAR, SiamFCNetwork, response
from vidal.types import FloatArray, Frame, Image, IntArray

RADIUS = 16
"""Pixels of the search crop: nearer cells are positive."""
_LEAST_AREA = 64.0
"""Square pixels: smaller boxes teach nothing."""


@dataclass(frozen=True, slots=True)
class SiamFCTraining:
    """How the network is trained.

    Attributes:
        steps: updates of the weights.
        batch: pairs a step.
        rate: first learning rate, ...
        last_rate: ... and the last; it falls geometrically.
        reach: frames between the pictures of a pair, at most.
        shift: pixels of the search crop by which the target is off its centre, at most.
        weight_decay, momentum: of stochastic gradient descent.
    """

    steps: int = 2000
    batch: int = 8
    rate: float = 1e-2
    last_rate: float = 1e-4
    reach: int = 50
    shift: int = 32
    weight_decay: float = 5e-4
    momentum: float = 0.9

    def __post_init__(self) -> None:
        limits = {"steps": (1, 10**7), "batch": (1, 512), "reach": (1, 10**6), "shift": (0, 63)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{name} {value!r} is not between {low} and {high}.")
        if not 0 < self.last_rate <= self.rate:
            raise UsageError(f"rates {self.rate!r} to {self.last_rate!r} do not fall.")


@dataclass(frozen=True, slots=True, eq=False)
class Tracklets:
    """Pictures of objects: all that training needs of the clips.

    Attributes:
        crops: (N, S, S, 3) uint8 search crops, with room for shifts: S = 255 + 2 * room.
        object: (N,) int64, which object (clip and track).
        frame: (N,) int64.
        room: pixels at every side.
    """

    crops: Image
    object: IntArray
    frame: IntArray
    room: int

    @classmethod
    def of(
        cls,
        clips: Iterable[tuple[Iterable[Frame], IntArray, FloatArray, IntArray]],
        *,
        every: int = 5,
        room: int = 32,
    ) -> Tracklets:
        """Cut the pictures out while frames stream by.

        Args:
            clips: frames in order, and the boxes: frame (n,), boxes (n, 4), track (n,); rows
                with track -1 are left out.
            every: frames between pictures that are kept.
            room: pixels of the search crop around it.

        Raises:
            UsageError: there are none.
        """
        crops: list[Image] = []
        names: list[tuple[int, int]] = []
        frames: list[int] = []
        side = SEARCH + 2 * room
        for number, (images, frame, boxes, track) in enumerate(clips):
            size = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
            usable = (track >= 0) & (size >= _LEAST_AREA)
            for image in images:
                if image.ref.index % every:
                    continue
                for row in np.flatnonzero(usable & (frame == image.ref.index)):
                    centre, edge = (each[0] for each in crop_geometry(boxes[row][None]))
                    crops.append(crop(image.image, centre, float(edge) * side / EXEMPLAR, side))
                    names.append((number, int(track[row])))
                    frames.append(image.ref.index)
        where = {name: place for place, name in enumerate(sorted(set(names)))}
        objects = np.array([where[name] for name in names], dtype=np.int64)
        if not len(objects):
            raise UsageError("no object has a track.", hint="Labels with tracks are needed.")
        return cls(np.stack(crops), objects, np.array(frames, dtype=np.int64), room)

    def pairs(self, reach: int) -> IntArray:
        """(P, 2) rows of different pictures of one object, at most ``reach`` frames apart.

        Raises:
            UsageError: there are none.
        """
        order = np.argsort(self.object, kind="stable")
        first, second = pairs_in_groups(self.object[order], self.object[order])
        rows = np.column_stack([order[first], order[second]])
        apart = np.abs(self.frame[rows[:, 0]] - self.frame[rows[:, 1]])
        rows = rows[(rows[:, 0] != rows[:, 1]) & (apart <= reach)]
        if not len(rows):
            hint = "Labels with tracks are needed, or a longer reach."
            raise UsageError(f"no object is seen twice within {reach} frames.", hint=hint)
        return rows

    def cut(self, rows: IntArray, shift: int, rng: Generator) -> tuple[Image, Image, FloatArray]:
        """Exemplars (B, 127, 127, 3), search crops (B, 255, 255, 3), shifts (B, 2) in pixels."""
        first, second = rows.T
        count = len(rows)
        by = rng.integers(-min(shift, self.room), min(shift, self.room) + 1, size=(count, 2))
        middle = self.room + (SEARCH - EXEMPLAR) // 2
        small = self.crops[first, middle : middle + EXEMPLAR, middle : middle + EXEMPLAR]
        wide = np.stack(
            [
                self.crops[row, self.room - y : self.room - y + SEARCH,
                           self.room - x : self.room - x + SEARCH]
                for row, (x, y) in zip(second, by, strict=True)
            ]
        )  # fmt: skip
        return small, wide, by.astype(np.float32)


def train_siamfc(
    network: SiamFCNetwork,
    tracklets: Tracklets,
    options: SiamFCTraining,
    rng: Generator,
    progress: Callable[[Mapping[str, float]], None] | None = None,
) -> list[float]:
    """Train a network in place; losses of all steps.

    Logistic loss over the 17 x 17 response; positives (within ``RADIUS`` of the target) and
    negatives weigh the same in sum (Equation 5 and what follows it). Search crops are shifted at
    random, so that the centre alone is not the answer.
    """
    pairs = tracklets.pairs(options.reach)
    where = next(network.parameters()).device
    network.train()
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=options.rate,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
    )
    ratio = (options.last_rate / options.rate) ** (1 / max(1, options.steps - 1))
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, ratio)
    losses: list[float] = []
    for step in range(1, options.steps + 1):
        chosen = pairs[rng.integers(len(pairs), size=options.batch)]
        small, wide, by = tracklets.cut(chosen, options.shift, rng)
        loss = pair_loss(network, _tensor(small, where), _tensor(wide, where), by)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if progress is not None:
            progress({"step": step, "steps": options.steps, "loss": losses[-1]})
    network.eval()
    return losses


def pair_loss(
    network: SiamFCNetwork, exemplars: Tensor, searches: Tensor, shift: FloatArray
) -> Tensor:
    """Mean loss of pairs (B, 3, 127, 127), (B, 3, 255, 255), targets ``shift`` off the centre."""
    maps = response(network(exemplars), network(searches)[:, None])[:, 0]
    labels = positives(shift, maps.shape[-1]).to(maps.device)
    count = labels.sum(dim=(1, 2), keepdim=True)
    others = labels[0].numel() - count
    weight = torch.where(labels > 0, 0.5 / count.clamp(min=1), 0.5 / others.clamp(min=1))
    loss = nn.functional.binary_cross_entropy_with_logits(maps, labels, weight, reduction="sum")
    return loss / len(maps)


def positives(shift: FloatArray, side: int) -> Tensor:
    """(B, side, side) float, 1 where a cell lies within ``RADIUS`` pixels of the target."""
    cells = (np.arange(side) - (side - 1) / 2) * STRIDE
    x, y = (
        cells[None, None, :] - shift[:, 0, None, None],
        cells[None, :, None] - shift[:, 1, None, None],
    )
    return torch.from_numpy((np.hypot(x, y) <= RADIUS).astype(np.float32))


def _tensor(images: Image, where: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images)).to(where).permute(0, 3, 1, 2).float()
