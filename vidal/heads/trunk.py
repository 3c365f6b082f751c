"""The trunk of regions: a perceptron on the features of detections, see ``protocols.Trunk``.

What is lost against the papers: the features were made by a detector that learned nothing of
unknown objects, and no loss of a method reaches them; only the hidden layer learns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from vidal.errors import UsageError
from vidal.heads.classifier import fit_head, training_set
from vidal.heads.network import Scale, seeded
from vidal.heads.options import HeadOptions
from vidal.types import Course, FloatArray, HeadSpec, IntArray, Items, Looked, Seen, Side

_BLOCK = 16_384


class HeadsNetwork(nn.Module):
    """Hidden layer, maybe a projection, then linear heads."""

    def __init__(
        self,
        inputs: int,
        options: HeadOptions,
        heads: Mapping[str, HeadSpec],
        projection: int | None,
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(inputs, options.width), nn.ReLU())
        self.dropout = nn.Dropout(options.dropout)
        own = nn.Identity() if projection is None else nn.Linear(options.width, projection)
        self.projection: nn.Module = own
        width = options.width if projection is None else projection
        self.heads = nn.ModuleDict(
            {name: nn.Linear(width, each.outputs, bias=each.bias) for name, each in heads.items()}
        )

    def forward(self, inputs: Tensor) -> Seen:
        """(n, D) scaled features -> ``Seen``."""
        features = self.projection(self.body(inputs))
        kept = self.dropout(features)
        return Seen(features, {name: head(kept) for name, head in self.heads.items()})


class RegionTrunk:
    """Detections of a pool and of labelled frames.

    Args:
        items: the labelled side, with features, M >= 1.
        features: (N, D) of the pool's detections.
        probs: (N, K+1) of the detector, background last.
        options: of the hidden layer and its training.

    Raises:
        UsageError: features are NaN or infinite.
    """

    background = True
    pictures = False

    def __init__(
        self,
        items: Items,
        features: NDArray[Any],
        probs: NDArray[Any],
        options: HeadOptions | None = None,
    ) -> None:
        if not np.isfinite(features).all():
            why = "features of detections hold NaN or infinite values."
            raise UsageError(why, hint="Look at the detector that they are of.")
        self._items = items
        self._features: Mapping[Side, NDArray[Any]] = {"pool": features, "labelled": items.features}
        self._probs: Mapping[Side, NDArray[Any]] = {"pool": probs, "labelled": items.probs}
        self._options = HeadOptions() if options is None else options
        self._scale = Scale.of(items.features)
        self._closed: dict[int, Mapping[str, Tensor]] = {}

    @property
    def known(self) -> int:
        """K."""
        return self._items.unknown

    @property
    def answers(self) -> IntArray:
        """(M,)."""
        return self._items.answers

    @property
    def size(self) -> int:
        """N."""
        return len(self._features["pool"])

    def network(
        self,
        heads: Mapping[str, HeadSpec],
        seed: int,
        *,
        projection: int | None = None,
        start: str = "fresh",
    ) -> HeadsNetwork:
        """See ``Trunk``; the closed-set classifier is a head trained on classes and background."""
        width = self._features["labelled"].shape[1]
        with seeded(seed):
            made = HeadsNetwork(width, self._options, heads, projection)
        if start == "closed":
            made.body.load_state_dict(self._closed_body(seed))
        return made

    def _closed_body(self, seed: int) -> Mapping[str, Tensor]:
        if seed not in self._closed:
            base, targets = training_set(self._items)
            head, _ = fit_head(base, targets, self.known + 1, seed, self._options)
            # its inputs were scaled by what it learned from, without unknown objects
            first = head.network[0]  # type: ignore[index]
            self._closed[seed] = _rescaled(first, head.scale, self._scale)
        return self._closed[seed]

    def inputs(self, side: Side, rows: Any, rng: Generator | None = None) -> Tensor:
        """(n, D) scaled; features are not changed in training."""
        del rng
        return self._scale(self._features[side][np.asarray(rows)])

    def course(self, items: int) -> Course:
        """As of all heads: Adam, falling to 0 along a half cosine."""
        own = self._options
        epoch = math.ceil(items / own.batch)
        steps = max(own.epochs * epoch, own.least_steps)
        return Course(
            steps=steps,
            batch=own.batch,
            epoch=epoch,
            optimizer=lambda given: torch.optim.Adam(
                given, lr=own.lr, weight_decay=own.weight_decay
            ),
            rate=lambda step: own.lr * 0.5 * (1 + math.cos(math.pi * step / steps)),
        )

    def drawing(self, seed: int) -> Any:
        """See ``Trunk``."""
        return seeded(seed)

    def look(self, network: Any, side: Side) -> Looked:
        """Block by block."""
        features: list[NDArray[Any]] = []
        outputs: dict[str, list[NDArray[Any]]] = {}
        count = len(self._features[side])
        network.eval()
        with torch.inference_mode():
            for at in range(0, max(1, count), _BLOCK):
                rows = np.arange(at, min(count, at + _BLOCK))
                seen = network(self.inputs(side, rows))
                features.append(seen.features.numpy())
                for name, each in seen.outputs.items():
                    outputs.setdefault(name, []).append(each.numpy())
        joined = {name: np.concatenate(parts) for name, parts in outputs.items()}
        return Looked(np.concatenate(features), joined)

    def probs(self, side: Side) -> FloatArray:
        """(n, K) of the detector."""
        own = np.asarray(self._probs[side][:, :-1], np.float64)
        whole = own.sum(axis=1, keepdims=True)
        even = np.full_like(own, 1 / max(1, own.shape[1]))
        return np.divide(own, whole, out=even, where=whole > 0).astype(np.float32)

    def frozen(self, side: Side) -> FloatArray:
        """(n, D) of the detector's box head."""
        return self._features[side].astype(np.float32)


def _rescaled(layer: Any, before: Scale, after: Scale) -> Mapping[str, Tensor]:
    """Weights of a first layer for inputs of another scale: the same function of raw features."""
    factor = torch.from_numpy(after.spread / before.spread)
    shift = torch.from_numpy((after.mean - before.mean) / before.spread)
    weight, bias = layer.weight.detach(), layer.bias.detach()
    return {"0.weight": weight * factor, "0.bias": bias + weight @ shift}
