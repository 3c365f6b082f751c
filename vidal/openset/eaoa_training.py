"""How EAOA learns: a detector of known classes with an energy loss, and votes on its features."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from vidal.arrays import reverse_votes
from vidal.openset.detector import fit_detector, now_and_then, seen_of
from vidal.openset.eaoa import Eaoa
from vidal.openset.learning import Batch, objects, teachers, without_background
from vidal.openset.losses import energy_margin_loss
from vidal.openset.purity import energy
from vidal.protocols import Trunk
from vidal.types import Learned


def learn(options: Eaoa, trunk: Trunk, seed: int) -> Learned:
    """See ``Eaoa.learn``."""
    known, rows = trunk.known, objects(trunk)
    margins = [options.known_margin, options.unknown_margin]
    fixed = options.margins == "paper" or (options.margins == "auto" and trunk.pictures)

    due = now_and_then(trunk, teachers(trunk, unknown=True))

    def each_epoch(network: Any, epoch: int) -> None:
        if not fixed and len(rows) and due(epoch):
            logits = seen_of(trunk, network, rows)[1]
            margins[:] = np.percentile(-energy(logits[:, :known]), [5, 95]).tolist()

    def more(batch: Batch) -> Tensor:
        logits = batch.seen.outputs["logits"]
        loss = energy_margin_loss(logits, batch.targets, known, margins[0], margins[1])
        return options.energy_weight * loss

    network = fit_detector(trunk, seed, more=more, each_epoch=each_epoch)
    pool, labelled = trunk.look(network, "pool"), trunk.look(network, "labelled")
    if options.features == "frozen":
        points, voters = trunk.frozen("pool"), trunk.frozen("labelled")
    else:
        points, voters = pool.features, labelled.features
    most = max(1, min(options.votes, trunk.size // 10))
    votes = reverse_votes(points, voters[rows], trunk.answers[rows], known + 1, most)
    return Learned(
        {
            "eaoa.logits": without_background(pool.outputs["logits"], known + 1),
            "eaoa.votes": votes,
        }
    )
