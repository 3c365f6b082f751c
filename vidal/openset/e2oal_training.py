"""How E2OAL learns: one network with a primary and an auxiliary evidential head."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from vidal.openset.e2oal import E2oal
from vidal.openset.e2oal_classes import Structure, estimate
from vidal.openset.evidential import edl_probs
from vidal.openset.learning import (
    Batch,
    class_outputs,
    class_targets,
    objects,
    targets_of,
    teachers,
    train,
    without_background,
)
from vidal.openset.losses import cross_entropy, edl_loss
from vidal.protocols import Trunk
from vidal.types import FloatArray, HeadSpec, IntArray, Learned


def learn(options: E2oal, trunk: Trunk, seed: int) -> Learned:
    """See ``E2oal.learn``."""
    known = trunk.known
    extra, goals = _auxiliary_targets(options, trunk, seed)
    heads = {
        "primary": HeadSpec(class_outputs(trunk, known)),
        "auxiliary": HeadSpec(class_outputs(trunk, known + extra)),
    }
    network = trunk.network(heads, seed)

    def loss(batch: Batch) -> Tensor:
        outputs, targets = batch.seen.outputs, batch.targets
        taught = targets != known
        value = cross_entropy(
            outputs["primary"][taught], class_targets(targets, known, known)[taught]
        )
        own = torch.from_numpy(goals[batch.rows]).to(targets.device)
        weight = min(1.0, batch.share / options.ramp) if options.ramp else 1.0
        evidential = edl_loss(outputs["auxiliary"], own, weight, options.gamma, options.clamp)
        return value + evidential

    train(trunk, network, loss, rows=teachers(trunk, unknown=True), seed=seed)
    pool, labelled = trunk.look(network, "pool"), trunk.look(network, "labelled")
    width = known + extra
    return Learned(
        pool={
            "e2oal.primary": without_background(pool.outputs["primary"], known),
            "e2oal.auxiliary": without_background(pool.outputs["auxiliary"], width),
        },
        labelled={"e2oal.auxiliary": without_background(labelled.outputs["auxiliary"], width)},
        network=network,
        known_probs=partial(known_probs, known=known, gamma=options.gamma, clamp=options.clamp),
    )


def known_probs(
    outputs: Mapping[str, FloatArray], known: int, gamma: float, clamp: float
) -> FloatArray:
    """(n, K) float32: the first K columns of the auxiliary head after the evidential map."""
    return edl_probs(outputs["auxiliary"][:, :known], gamma, clamp).astype(np.float32)


def _auxiliary_targets(options: E2oal, trunk: Trunk, seed: int) -> tuple[int, IntArray]:
    """Classes of the unknown objects, and (M,) targets of the auxiliary head."""
    known, rows = trunk.known, objects(trunk)
    found = _structure(options, trunk, rows, seed)
    goals = targets_of(trunk)
    goals[goals == known + 1] = known + found.extra
    unknown = found.place >= 0
    goals[rows[unknown]] = known + found.place[unknown]
    return found.extra, goals


def _structure(options: E2oal, trunk: Trunk, rows: IntArray, seed: int) -> Structure:
    labels = trunk.answers[rows]
    features = trunk.frozen("labelled")[rows]
    if not options.classes:
        most = min(options.most_classes, max(trunk.known + 1, len(rows) // 3))
        return estimate(features, labels, trunk.known, seed, most)
    return split(features, labels, trunk.known, seed, options.classes)


def split(features: FloatArray, labels: IntArray, known: int, seed: int, classes: int) -> Structure:
    """The unknown objects in so many classes, or as many as there are distinct ones."""
    from sklearn.cluster import KMeans

    unknown = labels == known
    place = np.full(len(labels), -1, np.int64)
    count = min(classes, len(np.unique(features[unknown], axis=0)))
    if count:
        fitted = KMeans(count, n_init=1, random_state=seed % 2**32).fit(features[unknown])
        place[unknown] = fitted.labels_
    return Structure(count, place)
