"""The training of ``vidal.openset.known``: a plain head of K+1 classes and background."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax
from torch import Tensor, nn

from vidal.openset.learning import Batch, class_outputs, class_targets, train
from vidal.protocols import Trunk
from vidal.types import HeadSpec, ScoreArray

_HEAD = "classes"


def head_unknown(trunk: Trunk, seed: int) -> tuple[ScoreArray, ScoreArray]:
    """(N,) P(unknown object) and P(object) of the pool by a head trained on all that is labelled.

    Without background P(object) is 1.
    """
    classes = trunk.known + 1
    network = trunk.network({_HEAD: HeadSpec(class_outputs(trunk, classes))}, seed)

    def loss(batch: Batch) -> Tensor:
        targets = class_targets(batch.targets, trunk.known, classes)
        return nn.functional.cross_entropy(batch.seen.outputs[_HEAD], targets)

    train(trunk, network, loss, rows=np.arange(len(trunk.answers)), seed=seed)
    logits = trunk.look(network, "pool").outputs[_HEAD].astype(np.float64)
    probs = softmax(logits, axis=1)
    return probs[:, trunk.known], probs[:, :classes].sum(axis=1)
