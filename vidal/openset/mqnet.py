"""MQ-Net: how much purity and how much informativeness, learned from the last query.

Park et al., "Meta-query-net: resolving purity-informativeness dilemma in open-set active learning",
NeurIPS 2022. Both scores of an item become exp(z); a small network maps them to one number and is
trained to order the items of the last query by their masked loss: the cross-entropy of the model of
then for known classes, 0 for unknown objects. Its weights pass through a ReLU, so it rises in both
(the paper's "skyline").

Decisions of open_set.md (B2) and its errata: the loss is the standard ranking loss (the printed one
puts the margin inside the sign), equal targets make no pair (the code: sign -1), statistics of the
pool of then scale the items of the last query (the code mixes two kinds), purity comes first in the
input. Rate, weight decay, batch and margin are the paper's (0.01, 5e-4, 64, 0.1), epochs and steps
the code's (100 of at least 100 steps). The network begins anew every round, as in the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

from vidal.arrays import nearest, z_score
from vidal.errors import UsageError
from vidal.openset.checks import finite, known_probs, numbers
from vidal.openset.items import frame_scores, reasons
from vidal.openset.purity import distance_or_energy, energy, rectified
from vidal.query.pools import items_of, layer_of, regions_of
from vidal.query.regions import Fold
from vidal.query.uncertainty import certainty, entropy, least_confidence
from vidal.types import Explanation, IntArray, Items, Pool, ScoreArray

Purity = Literal["energy", "csi", "msp", "mahalanobis", "react"]
Informativeness = Literal["ll", "confidence", "entropy"]
Rule = Literal["meta", "sum", "product", "free"]

HIDDEN = 64
"""Hidden units."""
RATE, DECAY, BATCH, MARGIN = 1e-2, 5e-4, 64, 0.1
EPOCHS, LEAST_STEPS = 100, 100

_PURITY_INPUT, _INFORMATIVENESS_INPUT = "mqnet.purity_input", "mqnet.informativeness_input"


class MetaNet(NamedTuple):
    """A network 2 -> H -> 1 of sigmoid units.

    Attributes:
        w1: (2, H), as trained; through a ReLU where it is used.
        b1: (H,).
        w2: (H,), as ``w1``.
        b2: a number.
    """

    w1: ScoreArray
    b1: ScoreArray
    w2: ScoreArray
    b2: float


def meta_input(
    purity: NDArray[Any],
    informativeness: NDArray[Any],
    purity_reference: NDArray[Any] | None = None,
    informativeness_reference: NDArray[Any] | None = None,
    clip: float = 10.0,
) -> ScoreArray:
    """(N, 2) exp(z) of purity and informativeness (N,), in this order.

    Args:
        purity: higher = likely known.
        informativeness: higher = teaches more.
        purity_reference: (M,) whose mean and deviation count; None = the values themselves.
        informativeness_reference: as well.
        clip: z is cut off at this, on both sides.
    """
    pairs = ((purity, purity_reference), (informativeness, informativeness_reference))
    scaled = [np.clip(z_score(values, of), -clip, clip) for values, of in pairs]
    return np.exp(np.stack(scaled, axis=1))


def meta_score(
    inputs: NDArray[Any], w1: NDArray[Any], b1: NDArray[Any], w2: NDArray[Any], b2: float
) -> ScoreArray:
    """sigmoid(x relu(w1) + b1) relu(w2) + b2; higher = ask, rising in both inputs.

    Args:
        inputs: (N, 2) of `meta_input`.
        w1: (2, H).
        b1: (H,).
        w2: (H,) or (H, 1).
        b2: a number.
    """
    net = (np.maximum(np.asarray(each, np.float64), 0) for each in (w1, w2))
    first, second = net
    return _forward(numbers(inputs)[0], first, b1, second.reshape(-1), b2)[1]


def _forward(
    x: ScoreArray, w1: ScoreArray, b1: NDArray[Any], w2: ScoreArray, b2: Any
) -> tuple[ScoreArray, ScoreArray]:
    """Hidden units (N, H) and outputs (N,)."""
    hidden = expit(x @ w1 + np.asarray(b1, np.float64).reshape(-1))
    return hidden, hidden @ w2 + float(np.asarray(b2).reshape(-1)[0])


def masked_cross_entropy(logits: NDArray[Any], labels: NDArray[Any]) -> ScoreArray:
    """(N,) -ln p of the label for known classes, 0 for others (Eq. 2).

    Args:
        logits: (N, K) of the model before the query was answered.
        labels: (N,) 0..K-1 known; K unknown, and anything else, counts 0.

    Raises:
        ValueError: another number of labels, or logits that are not finite.
    """
    (o,) = numbers(logits)
    place = np.asarray(labels).astype(np.int64).reshape(-1)
    if o.ndim != 2 or len(o) != len(place):
        raise ValueError(f"{len(place)} labels for logits {o.shape}")
    known = np.flatnonzero((place >= 0) & (place < o.shape[1]))
    loss = np.zeros(len(o))
    own = o[known]
    loss[known] = logsumexp(own, axis=1) - own[np.arange(len(known)), place[known]]
    return np.maximum(loss, 0.0)


def fit_meta(
    inputs: NDArray[Any], targets: NDArray[Any], rng: Generator, *, skyline: bool = True
) -> MetaNet:
    """A network that orders items as their targets do, by pairs of a batch and its mirror.

    Stochastic gradient descent on the ranking loss from weights drawn evenly from [0, 1); a batch
    without two different targets leaves it as it is.

    Args:
        inputs: (n, 2) of `meta_input`.
        targets: (n,) of `masked_cross_entropy`.
        rng: draws weights and batches.
        skyline: weights pass through a ReLU; false = a free network, the paper's control.

    Raises:
        ValueError: other shapes, or values that are not finite.
    """
    x, t = np.asarray(inputs, np.float64), np.asarray(targets, np.float64).reshape(-1)
    if x.shape != (len(t), 2) or not (np.isfinite(x).all() and np.isfinite(t).all()):
        raise ValueError(f"inputs {x.shape} with {len(t)} targets, or not finite")
    net = MetaNet(
        rng.random((2, HIDDEN)), rng.random(HIDDEN), rng.random(HIDDEN), float(rng.random())
    )
    size = min(BATCH, len(t)) // 2 * 2
    if not size or t.min() == t.max():
        return net
    steps = max(LEAST_STEPS, -(-len(t) // BATCH))
    for epoch in range(EPOCHS):
        rate = RATE if epoch < EPOCHS // 2 else RATE / 10
        for rows in _batches(len(t), size, steps, rng):
            net = _step(net, x[rows], t[rows], rate, skyline)
    return net


def _batches(count: int, size: int, steps: int, rng: Generator) -> list[IntArray]:
    """Passes in new orders; what is left over at the end of a pass is dropped."""
    found: list[IntArray] = []
    while len(found) < steps:
        order = rng.permutation(count)
        found += [order[at : at + size] for at in range(0, count - size + 1, size)]
    return found[:steps]


def _step(net: MetaNet, x: ScoreArray, t: ScoreArray, rate: float, skyline: bool) -> MetaNet:
    half = len(t) // 2
    sign = np.sign(t[:half] - t[: half - 1 : -1])
    if not sign.any():
        return net
    w1, w2 = (np.maximum(each, 0) if skyline else each for each in (net.w1, net.w2))
    hidden, out = _forward(x, w1, net.b1, w2, net.b2)
    active = (sign != 0) & (sign * (out[:half] - out[: half - 1 : -1]) < MARGIN)
    push = -np.where(active, sign, 0.0) / half
    slope = np.concatenate([push, -push[::-1]])  # of the loss by each output
    inner = slope[:, None] * w2 * hidden * (1 - hidden)
    grad1, grad2 = x.T @ inner, hidden.T @ slope
    if skyline:
        grad1, grad2 = grad1 * (net.w1 > 0), grad2 * (net.w2 > 0)
    return MetaNet(
        net.w1 - rate * (grad1 + DECAY * net.w1),
        net.b1 - rate * (inner.sum(axis=0) + DECAY * net.b1),
        net.w2 - rate * (grad2 + DECAY * net.w2),
        net.b2 - rate * (float(slope.sum()) + DECAY * net.b2),
    )


class Told(NamedTuple):
    """What a rule makes of inputs (N, 2).

    Attributes:
        values: (N,) higher = ask.
        purity: (N,) what purity weighs at each item: the share of its slope in that of both, in
            [0, 1]. It is a matter of place. Where the network has seen nothing it keeps the even
            weights that it began with, so a mean over a pool says little; a mean over picks is
            what the paper's Figure 4 shows.
    """

    values: ScoreArray
    purity: ScoreArray


def by_sum(inputs: ScoreArray) -> Told:
    """Purity and informativeness added: the rule of a first round, and a control (P + I)."""
    return Told(inputs.sum(axis=1), np.full(len(inputs), 0.5))


def by_product(inputs: ScoreArray) -> Told:
    """Multiplied: exp of the sum of both z (P I), a control."""
    return Told(inputs.prod(axis=1), _share(inputs[:, ::-1]))


def by_network(inputs: ScoreArray, net: MetaNet, *, skyline: bool = True) -> Told:
    """A network's output, and the share of its slope that is by purity."""
    w1, w2 = (np.maximum(each, 0) if skyline else each for each in (net.w1, net.w2))
    hidden, out = _forward(inputs, w1, net.b1, w2, net.b2)
    return Told(out, _share((hidden * (1 - hidden)) @ (w2[:, None] * w1.T)))


def _share(slopes: ScoreArray) -> ScoreArray:
    """(N,) of the first of both columns; a half where there is no slope at all."""
    sizes = np.abs(slopes)
    whole = sizes.sum(axis=1)
    return np.divide(sizes[:, 0], whole, out=np.full(len(sizes), 0.5), where=whole > 0)


def csi_purity(embedding: NDArray[Any], labelled: NDArray[Any]) -> ScoreArray:
    """(N,) largest cosine with a labelled item of a known class; 0 where there is none.

    As the code has it: one view, no rotations, no weight of norms. The paper's appendix measures
    the distance to labelled *unknown* objects, with the sign turned around (errata 8).

    Args:
        embedding: (N, E) of a contrastive encoder.
        labelled: (M, E) of labelled items of known classes.
    """
    if not len(labelled) or not len(embedding):
        return np.zeros(len(embedding))
    best = nearest(embedding, labelled, 1)[:, 0]
    a, b = np.asarray(embedding, np.float64), np.asarray(labelled, np.float64)[best]
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    dots = (a * b).sum(axis=1)
    return np.divide(dots, lengths, out=np.zeros(len(a)), where=lengths > 0)


_PURITY_NEEDS: dict[str, frozenset[str]] = {
    "energy": frozenset({"logits", "features"}),
    "csi": frozenset({"contrastive", "labelled"}),
    "msp": frozenset(),
    "mahalanobis": frozenset({"features", "labelled", "logits"}),
    "react": frozenset({"features", "labelled", "layer"}),
}


@dataclass(frozen=True, slots=True)
class MQNet:
    """Purity and informativeness, weighted as the last query showed to be right (MQ-Net).

    The network is trained on what the last query asked for, and its answers; in a first round, and
    where all that was asked for was unknown (or nothing known and unknown apart), the rule is the
    sum. Background that was asked for is left out. Nothing is lost on video but end-to-end scores:
    purity and informativeness are of the detector. The paper's CSI purity needs pictures that can
    be cropped and turned, so on video the default, energy, serves, or mahalanobis; ``csi`` is for
    images.

    Attributes:
        purity: energy (of the last layer), csi (contrastive encoder; images only), msp,
            mahalanobis, or react (energy of activations that are cut off).
        informativeness: ll (predicted loss), confidence (least), or entropy.
        rule: meta (learned), or a control, sum, product, free (a network that need not rise).
        aggregate: how detections make a frame, mean, sum, max, or top (the mean of the highest).
        top: how many the highest are, for aggregate top.
    """

    purity: Purity = "energy"
    informativeness: Informativeness = "ll"
    rule: Rule = "meta"
    aggregate: Fold = "top"
    top: int = 3

    def __post_init__(self) -> None:
        if self.top < 1:
            raise UsageError(f"top {self.top}: less than 1.", hint="Give a number of detections.")

    @property
    def needs(self) -> frozenset[str]:
        """What purity and informativeness read, and the last query."""
        loss = {"predicted_loss", "heads", "features", "labelled"}
        more = loss if self.informativeness == "ll" else set()
        return frozenset({"regions", "asked"} | more | _PURITY_NEEDS[self.purity])

    def memory(self, pool: Pool, rows: IntArray) -> dict[str, NDArray[Any]]:
        """Inputs of the network, scaled by the pool of now: what it is trained on next time."""
        inputs = self._inputs(pool)[rows]
        return {_PURITY_INPUT: inputs[:, 0], _INFORMATIVENESS_INPUT: inputs[:, 1]}

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) of detections, folded."""
        return frame_scores(pool, self._told(pool).values, self.aggregate, self.top)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """Both inputs, and what purity weighs there."""
        inputs, told = self._inputs(pool), self._told(pool)
        rule = self._rule_in_words(pool)

        def say(row: int) -> str:
            return (
                f"purity {inputs[row, 0]:.2f} ({self.purity}), informativeness "
                f"{inputs[row, 1]:.2f} ({self.informativeness}); purity weighs "
                f"{100 * told.purity[row]:.0f} % ({rule})"
            )

        parts = {
            "purity": inputs[:, 0],
            "informativeness": inputs[:, 1],
            "purity_weight": told.purity,
        }
        return reasons(pool, positions, told.values, say, parts)

    def _rule_in_words(self, pool: Pool) -> str:
        learned = self.rule in ("meta", "free")
        if learned and _lesson(pool.asked) is None:
            return "the sum: nothing to learn from yet"
        return "learned from the last query" if learned else f"the {self.rule}"

    def _told(self, pool: Pool) -> Told:
        inputs = self._inputs(pool)
        if self.rule == "product":
            return by_product(inputs)
        if self.rule == "sum" or _lesson(pool.asked) is None:
            return by_sum(inputs)
        skyline = self.rule == "meta"
        return by_network(inputs, _fitted(pool.asked, skyline), skyline=skyline)

    def _inputs(self, pool: Pool) -> ScoreArray:
        return meta_input(self._purity(pool), self._informativeness(pool))

    def _informativeness(self, pool: Pool) -> ScoreArray:
        regions = regions_of(pool)
        if self.informativeness == "ll":
            return np.asarray(finite(regions.column("predicted_loss"), "predicted losses"))
        probs = known_probs(finite(regions.probs, "probabilities"))
        return entropy(probs) if self.informativeness == "entropy" else least_confidence(probs)

    def _purity(self, pool: Pool) -> ScoreArray:
        regions = regions_of(pool)
        if self.purity == "msp":
            return certainty(finite(regions.probs, "probabilities")[:, :-1])
        if self.purity == "csi":
            own = items_of(pool).known().column("contrastive")
            return csi_purity(finite(regions.column("contrastive"), "embeddings"), own)
        if self.purity == "react":
            return rectified(finite(regions.features), items_of(pool), layer_of(pool))
        logits = finite(regions.column("logits"), "logits")
        if self.purity == "energy":
            return energy(logits)
        return distance_or_energy(finite(regions.features), items_of(pool), logits)


def _lesson(asked: Items | None) -> Items | None:
    """What of the last query can teach: objects, some of them known; None = nothing."""
    if asked is None or _PURITY_INPUT not in asked.columns:
        return None
    objects = asked.objects()
    return objects if len(objects) > 1 and len(objects.known()) else None


@lru_cache(maxsize=2)  # of one round: scores, picks and reasons ask for the same network
def _fitted(asked: Items | None, skyline: bool) -> MetaNet:
    objects = _lesson(asked)
    assert objects is not None  # _told looks first
    inputs = np.stack(
        [objects.column(_PURITY_INPUT), objects.column(_INFORMATIVENESS_INPUT)], axis=1
    )
    logits = np.log(np.maximum(known_probs(objects.probs), 1e-12))
    targets = masked_cross_entropy(logits, objects.answers)
    return fit_meta(inputs, targets, np.random.default_rng(0), skyline=skyline)
