"""What self-supervised encoders make of the pictures of a seed: no label is read, made once.

RUNS/initial-0/semantic.npy       (N, D) SimCLR; ``frozen`` is the same
RUNS/initial-0/distinctive.npy    (N, 4, D) rotations apart, in each rotation (CSI)
RUNS/initial-0/contrastive.npy    (N, D) of the same encoder, pictures as they are
RUNS/initial-0/encoding-NAME.json what they were made with, written last
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from vidal.errors import InputError
from vidal.images.networks import Classifier, NetworkSpec, build
from vidal.images.recipes import EncoderOptions, Recipe
from vidal.images.training import Stock
from vidal.openset.contrastive import ContrastiveOptions, embeddings, fit_contrastive
from vidal.openset.views import ViewOptions, fixed_crops, random_views
from vidal.store import atomic
from vidal.types import IntArray

GROUPS: Mapping[str, tuple[str, ...]] = {
    "semantic": ("semantic",),
    "turned": ("distinctive", "contrastive"),
}
"""Encoder -> the columns that it gives."""

ENCODED = frozenset({"frozen", "semantic", "distinctive", "contrastive"})
"""Columns that a strategy may ask for."""

_WEIGHTS, _LOOKS = 51, 52
"""Purposes of random numbers."""


@dataclass(frozen=True, eq=False)
class Encodings:
    """Of all N pictures of a task.

    Attributes:
        arrays: column -> (N, ...) float32.
    """

    arrays: Mapping[str, NDArray[np.float32]]

    def columns(self, names: Iterable[str], where: IntArray) -> dict[str, NDArray[Any]]:
        """Rows of some columns."""
        return {name: np.asarray(self.arrays[_stored(name)][where]) for name in names}

    @staticmethod
    def load(folder: Path, names: Collection[str]) -> Encodings:
        """What ``keep_encodings`` has kept.

        Raises:
            InputError: it is not there, or damaged.
        """
        found = {}
        for name in sorted({_stored(each) for each in names}):
            path = folder / f"{name}.npy"
            try:
                found[name] = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise InputError(path, f"no features that can be read ({error})") from error
        return Encodings(found)


def groups_of(names: Collection[str]) -> tuple[str, ...]:
    """The encoders that some columns take."""
    stored = {_stored(name) for name in names if name in ENCODED}
    return tuple(group for group, given in GROUPS.items() if stored & set(given))


def _stored(name: str) -> str:
    return "semantic" if name == "frozen" else name


class PlaceEncoder(nn.Module):
    """Stages of a classifier and its features before the last layer."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network
        self.width = network.last.in_features
        network.last = nn.Identity()  # type: ignore[assignment]

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, features)."""
        for stage in self.network.stages:
            pixels = stage(pixels)
        return self.network.pool(pixels)


def encoded(
    stock: Stock,
    spec: NetworkSpec,
    recipe: Recipe,
    options: EncoderOptions,
    group: str,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Train one encoder on all pictures of a stock, and look at them.

    Args:
        stock: N >= 2 pictures.
        spec: of the network.
        recipe: mirrored views where it mirrors.
        options: how.
        group: of ``GROUPS``.
        seed: of everything random.
        progress: is told steps done and steps in all.
    """
    turned = group == "turned"
    start, looks = np.random.SeedSequence([seed, _WEIGHTS, turned]).generate_state(2)
    encoder = PlaceEncoder(build(spec, int(start))).to(stock.device)
    changes = ViewOptions(flip=recipe.flip)

    def views(rows: IntArray, rng: Generator) -> Tensor:
        return random_views(stock.batch(torch.from_numpy(rows)), changes, rng)

    def crops(rows: IntArray, rng: Generator) -> Tensor:
        return fixed_crops(stock.batch(torch.from_numpy(rows)), rng)

    def whole(rows: IntArray, rng: Generator) -> Tensor:
        del rng
        return stock.batch(torch.from_numpy(rows))

    own = asdict(options)
    count, parts = len(stock), own.pop("crops")
    training = ContrastiveOptions(**own, turned=turned)
    network = fit_contrastive(encoder, encoder.width, views, count, training, int(start), progress)
    seen, often = (crops, parts) if parts else (whole, 1)
    if not turned:
        found = embeddings(network, seen, count, int(looks), turns=1, looks=often)
        return {"semantic": found[:, 0]}
    return {
        "distinctive": embeddings(network, seen, count, int(looks), looks=often),
        "contrastive": embeddings(network, whole, count, int(looks), turns=1)[:, 0],
    }


def keep_encodings(
    folder: Path,
    group: str,
    arrays: Mapping[str, NDArray[Any]],
    options: EncoderOptions,
    seconds: float,
) -> None:
    """Keep what an encoder gave; it counts when all of it is there.

    Raises:
        OutputError: it cannot be written.
    """
    for name, each in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(each), allow_pickle=False)
        atomic.write_bytes(folder / f"{name}.npy", buffer.getvalue())
    told = {"options": asdict(options), "seconds": seconds}
    text = json.dumps(told, indent=1, allow_nan=False) + "\n"
    atomic.write_text(encoding_file(folder, group), text)


def encoding_file(folder: Path, group: str) -> Path:
    """What is there when an encoder is done."""
    return folder / f"encoding-{group}.json"
