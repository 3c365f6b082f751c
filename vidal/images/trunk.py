"""The trunk of pictures: the network of the judged classifier, trained end to end.

See ``protocols.Trunk``. A method's network has the stages of the classifier, maybe a projection,
and its own linear heads behind the classifier's dropout; it is trained by the recipe of the
simulation, as the papers do, and shares nothing with the judged model but what it began with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from vidal.errors import UsageError
from vidal.images.looking import Looks, look
from vidal.images.networks import Classifier, build
from vidal.images.recipes import Recipe
from vidal.images.training import Body, Model, Stock, autocast, changed, drawing
from vidal.types import Course, FloatArray, HeadSpec, IntArray, Looked, Seen, Side


class PictureNetwork(nn.Module):
    """Stages of a classifier, maybe a projection, then dropout and linear heads.

    Args:
        body: gives the stages; its last layer is not used.
        heads: name -> linear layer.
        projection: width of a linear layer before the heads; None = none.
        bf16: arithmetic; what it returns is float32.
        still: the stages stay as they are, with their statistics.
    """

    def __init__(
        self,
        body: Classifier,
        heads: Mapping[str, HeadSpec],
        projection: int | None,
        *,
        bf16: bool,
        still: bool,
    ) -> None:
        super().__init__()
        width = body.last.in_features
        body.last = nn.Identity()  # type: ignore[assignment]
        self.body = body
        own = nn.Identity() if projection is None else nn.Linear(width, projection)
        self.projection: nn.Module = own
        width = width if projection is None else projection
        self.heads = nn.ModuleDict(
            {name: nn.Linear(width, each.outputs, bias=each.bias) for name, each in heads.items()}
        )
        self._bf16, self._still = bf16, still
        body.stages.requires_grad_(not still)

    def train(self, mode: bool = True) -> PictureNetwork:
        """Training mode; stages that stay as they are keep their statistics."""
        super().train(mode)
        if self._still:
            self.body.stages.eval()
        return self

    def forward(self, pixels: Tensor) -> Seen:
        """(n, C, H, W) normalised -> ``Seen``, float32."""
        with autocast(pixels.device, self._bf16):
            maps = pixels
            for stage in self.body.stages:
                maps = stage(maps)
            features = self.projection(self.body.pool(maps))
            kept = self.body.dropout(features)
            outputs = {name: head(kept).float() for name, head in self.heads.items()}
        return Seen(features.float(), outputs)


class PictureTrunk:
    """Pictures that may be asked for, and those that are answered.

    Args:
        pool, labelled: N and M >= 1 pictures.
        answers: (M,) 0..K-1 known, K unknown.
        model: the judged classifier of the round; its network has K outputs.
        recipe: of every training.
        body: what fresh networks begin with; None = random stages.
        looks: what the model makes of the pool, where that is known.
        frozen: side -> (n, D) features that no label has shaped; None = they were not made.
    """

    background = False
    pictures = True

    def __init__(
        self,
        pool: Stock,
        labelled: Stock,
        answers: IntArray,
        model: Model,
        recipe: Recipe,
        *,
        body: Body | None = None,
        looks: Looks | None = None,
        frozen: Mapping[Side, NDArray[Any]] | None = None,
    ) -> None:
        self._stocks: Mapping[Side, Stock] = {"pool": pool, "labelled": labelled}
        self._answers = answers
        self._model = model
        self._recipe = recipe
        self._body = body
        self._looks: dict[Side, Looks] = {} if looks is None else {"pool": looks}
        self._frozen = frozen

    @property
    def known(self) -> int:
        """K."""
        return int(self._model.network.last.out_features)

    @property
    def answers(self) -> IntArray:
        """(M,)."""
        return self._answers

    @property
    def size(self) -> int:
        """N."""
        return len(self._stocks["pool"])

    def network(
        self,
        heads: Mapping[str, HeadSpec],
        seed: int,
        *,
        projection: int | None = None,
        start: str = "fresh",
    ) -> PictureNetwork:
        """See ``Trunk``; ``fresh`` begins where the judged model began if it was pre-trained."""
        device, body = self._stocks["pool"].device, self._body
        spec = replace(self._model.network.spec, outputs=self.known)
        still = body is not None and body.frozen
        with drawing(seed, device):
            made = PictureNetwork(
                build(spec, seed), heads, projection, bf16=self._model.bf16, still=still
            )
        if start == "closed":
            made.body.stages.load_state_dict(self._model.network.stages.state_dict())
        elif body is not None:
            made.body.stages.load_state_dict(body.state)
        return made.to(device)

    def inputs(self, side: Side, rows: Any, rng: Generator | None = None) -> Tensor:
        """(n, C, H, W) normalised; with ``rng`` mirrored and shifted as the recipe says."""
        pixels = self._stocks[side].batch(torch.from_numpy(np.asarray(rows, np.int64)))
        return pixels if rng is None else changed(pixels, self._recipe, rng)

    def course(self, items: int) -> Course:
        """As of the judged classifier: stochastic gradient descent by the recipe."""
        own = self._recipe
        steps = own.length(items)
        return Course(
            steps=steps,
            batch=own.batch,
            epoch=math.ceil(items / own.batch),
            optimizer=_descent(own),
            rate=lambda step: own.rate(step, steps),
        )

    def drawing(self, seed: int) -> Any:
        """See ``Trunk``."""
        return drawing(seed, self._stocks["pool"].device)

    def look(self, network: Any, side: Side) -> Looked:
        """Batch by batch, pictures as they are (R6)."""
        return look_with(network, self._stocks[side])

    def probs(self, side: Side) -> FloatArray:
        """(n, K) of the judged classifier."""
        if side not in self._looks:
            self._looks[side] = look(self._model, self._stocks[side])
        return self._looks[side].probs

    def frozen(self, side: Side) -> FloatArray:
        """(n, D), self-supervised.

        Raises:
            UsageError: the strategy did not state ``frozen`` in its needs.
        """
        if self._frozen is None:
            raise UsageError("frozen features of pictures are made where needs name frozen.")
        return np.asarray(self._frozen[side], np.float32)


def _descent(recipe: Recipe) -> Callable[[Any], torch.optim.Optimizer]:
    def made(given: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            given,
            lr=recipe.lr,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov and recipe.momentum > 0,
            weight_decay=recipe.weight_decay,
        )

    return made


def look_with(network: Any, stock: Stock) -> Looked:
    """What a network of a trunk makes of pictures, in evaluation mode."""
    features: list[NDArray[Any]] = []
    outputs: dict[str, list[NDArray[Any]]] = {}
    network.eval()
    with torch.inference_mode():
        empty = torch.zeros(0, dtype=torch.int64)
        for batch in stock.batches() if len(stock) else [stock.batch(empty)]:
            seen = network(batch)
            features.append(seen.features.cpu().numpy())
            for name, each in seen.outputs.items():
                outputs.setdefault(name, []).append(each.cpu().numpy())
    joined = {name: np.concatenate(parts) for name, parts in outputs.items()}
    return Looked(np.concatenate(features), joined)
