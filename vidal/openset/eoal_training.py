"""How EOAL learns: a K+1 head, one-vs-all heads, and centres of unknown objects of every epoch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vidal.openset.detector import detector_head, detector_loss, now_and_then, seen_of
from vidal.openset.eoal import Eoal, distance_entropy
from vidal.openset.finch import clusters_of_number, means_of
from vidal.openset.learning import Batch, teachers, train, without_background
from vidal.openset.losses import entropic_ova_loss, tuplet_loss
from vidal.openset.one_vs_all import ova_probs, pairs
from vidal.protocols import Trunk
from vidal.types import FloatArray, HeadSpec, IntArray, Learned, ScoreArray


def learn(options: Eoal, trunk: Trunk, seed: int) -> Learned:
    """See ``Eoal.learn``. The centres are those of the network as it is at the end: the released
    code asks by those from before its last epoch."""
    known = trunk.known
    heads = {"logits": detector_head(trunk), "ova": HeadSpec(2 * known, bias=False)}
    network = trunk.network(heads, seed, projection=options.width)
    unknown = np.flatnonzero(trunk.answers == known)
    number = options.centres or known
    place = np.full(len(trunk.answers), -1, np.int64)
    centres: list[ScoreArray] = []

    rows = teachers(trunk, unknown=True)
    due = now_and_then(trunk, rows)

    def each_epoch(epoch: int) -> None:
        if len(unknown) and due(epoch):
            clusters, means = _centres(seen_of(trunk, network, unknown)[0], number)
            place[unknown] = clusters
            centres[:] = [means]

    def loss(batch: Batch) -> Tensor:
        seen, targets = batch.seen, batch.targets
        value = detector_loss(seen.outputs["logits"], targets, known, options.temperature)
        objects, own = targets <= known, targets == known
        value = value + entropic_ova_loss(
            seen.outputs["ova"][objects], targets[objects], options.alpha, not len(unknown)
        )
        if centres:
            features = seen.features[own]
            where = torch.from_numpy(centres[0]).to(features)
            belongs = torch.from_numpy(place[batch.rows]).to(targets.device)[own]
            value = value + options.tuplet * tuplet_loss(features, where, belongs, options.beta)
        return value

    train(trunk, network, loss, rows=rows, seed=seed, each_epoch=each_epoch)
    each_epoch(0)
    found = trunk.look(network, "pool")
    last = centres[0] if centres else np.zeros((0, options.width))
    return Learned(
        {
            "eoal.logits": without_background(found.outputs["logits"], known + 1),
            "eoal.positive": ova_probs(pairs(found.outputs["ova"])),
            "eoal.features": found.features,
            "eoal.distance": distance_entropy(found.features, last, options.distance_temperature),
        }
    )


def _centres(features: FloatArray, number: int) -> tuple[IntArray, ScoreArray]:
    """(n,) cluster of each unknown object, and (C, D) their means."""
    clusters = clusters_of_number(features, number)
    return clusters, means_of(features, clusters, int(clusters.max()) + 1)
