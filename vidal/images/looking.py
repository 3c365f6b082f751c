"""What a model makes of many images: class distributions and features, by one pass or several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vidal.images.training import Model, Stock, drawing
from vidal.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Looks:
    """Of N images.

    Attributes:
        probs: (N, K) float32.
        features: (N, D) float32, the input of the last layer.
    """

    probs: FloatArray
    features: FloatArray


def look(model: Model, stock: Stock) -> Looks:
    """Class distributions and features of a stock."""
    probs, features = [], []
    with torch.inference_mode():
        for batch in stock.batches():
            seen = model.seen(batch)
            probs.append(seen.logits.softmax(dim=1).cpu().numpy())
            features.append(seen.features.cpu().numpy())
    if not probs:
        outputs, width = model.network.last.out_features, model.network.last.in_features
        return Looks(np.zeros((0, outputs), np.float32), np.zeros((0, width), np.float32))
    return Looks(np.concatenate(probs), np.concatenate(features))


def predicted(model: Model, stock: Stock) -> IntArray:
    """(N,) the most likely class of each image."""
    found = [np.zeros(0, np.int64)]
    with torch.inference_mode():
        found += [model.seen(b).logits.argmax(dim=1).cpu().numpy() for b in stock.batches()]
    return np.concatenate(found)


def dropout_passes(model: Model, features: FloatArray, passes: int, seed: int) -> FloatArray:
    """(N, T, K) float32 class distributions with the dropout before the last layer at work.

    Nothing else is stochastic, and everything before that layer is the same in all passes, so it
    is not computed again; batch norm stays as it was fitted. Gal and Ghahramani, "Dropout as a
    Bayesian approximation", ICML 2016.

    Args:
        model: its network has dropout.
        features: (N, D), see ``Looks``.
        passes: T >= 1.
        seed: of what is left out.
    """
    network = model.network
    given = torch.from_numpy(features).to(network.last.weight.device)
    found = np.empty((len(features), passes, network.last.out_features), np.float32)
    with drawing(seed, given.device), torch.inference_mode():
        for at in range(passes):
            kept = nn.functional.dropout(given, network.dropout.p, training=True)
            found[:, at] = network.last(kept).softmax(dim=1).cpu().numpy()
    return found


def accuracy(found: IntArray, truth: IntArray, classes: int) -> tuple[float, NDArray[np.float64]]:
    """Share of right answers, and that of each class (NaN for one without images)."""
    right = found == truth
    counts = np.bincount(truth, minlength=classes)
    hits = np.bincount(truth[right], minlength=classes)
    with np.errstate(invalid="ignore"):
        return float(right.mean()), hits / np.where(counts, counts, np.nan)
