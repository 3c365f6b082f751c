"""The detector of known classes: a head that tells K classes, unknown and background apart.

LfOSA and EAOA train it alone; EOAL trains one beside one-vs-all heads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidal.openset.learning import (
    Batch,
    class_outputs,
    class_targets,
    teachers,
    train,
    without_background,
)
from vidal.openset.losses import cross_entropy
from vidal.protocols import Trunk
from vidal.types import FloatArray, HeadSpec, IntArray, Side

_BLOCK = 256
_TIMES = 50


def now_and_then(trunk: Trunk, rows: IntArray) -> Callable[[int], bool]:
    """Number of an epoch -> whether to look again: every epoch, but some 50 times at most.

    With few labelled items an epoch is one step, and a training has hundreds.
    """
    course = trunk.course(len(rows))
    every = max(1, course.steps // (course.epoch * _TIMES))
    return lambda number: number % every == 0


def detector_head(trunk: Trunk) -> HeadSpec:
    """K known classes, unknown, and background where there is any."""
    return HeadSpec(class_outputs(trunk, trunk.known + 1))


def detector_loss(
    logits: Tensor,
    targets: Tensor,
    known: int,
    temperature: float = 1.0,
    unknown_temperature: float | None = None,
) -> Tensor:
    """Cross-entropy of logits divided by a temperature, unknown objects' by one of their own.

    Args:
        logits: (n, K+1), or (n, K+2) with background last.
        targets: (n,) of ``Batch``.
        known: K.
        temperature: > 0.
        unknown_temperature: > 0; None = the same.
    """
    own = temperature if unknown_temperature is None else unknown_temperature
    divided_by = torch.where(targets == known, own, temperature)
    return cross_entropy(logits / divided_by[:, None], class_targets(targets, known, known + 1))


def fit_detector(
    trunk: Trunk,
    seed: int,
    temperature: float = 1.0,
    unknown_temperature: float | None = None,
    *,
    projection: int | None = None,
    more: Callable[[Batch], Tensor] | None = None,
    each_epoch: Callable[[Any, int], None] | None = None,
) -> Any:
    """A trained network with the head ``logits``.

    Args:
        trunk: what it stands on.
        seed: of everything random.
        temperature, unknown_temperature: see ``detector_loss``.
        projection: see ``Trunk.network``.
        more: another loss, added.
        each_epoch: called before each epoch with the network and the number of the epoch.
    """
    known = trunk.known
    network = trunk.network({"logits": detector_head(trunk)}, seed, projection=projection)

    def loss(batch: Batch) -> Tensor:
        logits = batch.seen.outputs["logits"]
        value = detector_loss(logits, batch.targets, known, temperature, unknown_temperature)
        return value if more is None else value + more(batch)

    def before(number: int) -> None:
        if each_epoch is not None:
            each_epoch(network, number)

    rows = teachers(trunk, unknown=True)
    train(trunk, network, loss, rows=rows, seed=seed, each_epoch=before)
    return network


def logits_of(trunk: Trunk, network: Any, side: Side) -> NDArray[Any]:
    """(n, K+1) of the head ``logits``, background left out."""
    return without_background(trunk.look(network, side).outputs["logits"], trunk.known + 1)


def seen_of(trunk: Trunk, network: Any, rows: IntArray) -> tuple[FloatArray, FloatArray]:
    """Features and detector logits of some labelled items, by a network in evaluation mode."""
    features, logits = [], []
    with torch.inference_mode():
        for at in range(0, len(rows), _BLOCK):
            seen = network(trunk.inputs("labelled", rows[at : at + _BLOCK]))
            features.append(seen.features.cpu().numpy())
            logits.append(seen.outputs["logits"].cpu().numpy())
    if not features:
        return np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32)
    return np.concatenate(features), np.concatenate(logits)
