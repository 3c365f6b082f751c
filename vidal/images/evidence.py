"""From a round of an image simulation to the pool that strategies see.

An image is a frame of one clip with one region: its class distribution (the background column is
0), its features; the gap is 0. So the strategies of video serve as they are. What takes further
training or passes is made only where a strategy's ``needs`` name it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.errors import EvidenceMissing
from vidal.images.config import EvidenceConfig
from vidal.images.encoded import ENCODED, Encodings
from vidal.images.labelledness import labelledness
from vidal.images.looking import Looks, dropout_passes, look, predicted
from vidal.images.networks import NetworkSpec
from vidal.images.predicted_loss import predicted_loss
from vidal.images.recipes import Recipe
from vidal.images.task import Task
from vidal.images.training import Body, Model, Scale, Stock, fit
from vidal.query.oracle import COLUMN as TRUTH
from vidal.types import FloatArray, FrameSet, IntArray, Items, Learned, Pool, Regions

CLIP = "images"
"""The one clip that all images are frames of."""

PLAIN = frozenset(
    {
        "regions",
        "embedding",
        "class_mass",
        "expected_objects",
        "labelled",
        "features",
        "logits",
        "layer",
        "heads",
        "labels",
        "trunk",
        "precision",
        "asked",
        "pictures",
        *ENCODED,
    }
)
"""What every model gives, or can be made of the pictures; ``heads`` and ``labels`` ask for what
learns: here that is always so."""

_OF_FRAMES = frozenset({TRUTH, "embedding", "class_mass", "expected_objects", "labelled"})
"""What is known without regions."""

TRAINED = frozenset({"passes", "members", "votes", "predicted_loss", "labelledness"})
"""Columns that take passes or a training of their own."""

_NO_TIME = "images have no order in time"
_NOT_FOR_IMAGES: Mapping[str, tuple[str, str]] = {
    "every-nth": (f"{_NO_TIME}, so none of them is the n-th", "Use random."),
    "random-r": (f"{_NO_TIME}, so none are neighbours", "Use random, which is the same here."),
    "temporal-coherence": (f"{_NO_TIME} that tracks could be held against", "Use entropy."),
    "expected-errors": (
        "it estimates false alarms and misses of detections, and an image has one class",
        "Use entropy, or least-confidence: the probability of a wrong class.",
    ),
    "oracle-fp": ("a wrong class is a false alarm and a miss in one", "Use oracle-errors."),
    "oracle-fn": ("a wrong class is a false alarm and a miss in one", "Use oracle-errors."),
}
_NO_COLUMN: Mapping[str, str] = {
    "errors": "errors that tracks show are not there on images",
    "suppressed": "an image has no boxes that are suppressed",
}


def check_needs(name: str, strategy: str, needs: frozenset[str], recipe: Recipe) -> None:
    """Refuse a strategy that makes no sense on images, or has nothing to work with.

    Args:
        name: as users write it.
        strategy: of the tables (``name`` may be a variant).
        needs: what it reads.
        recipe: of the classifier.

    Raises:
        EvidenceMissing: says why, and the way out.
    """
    if strategy in _NOT_FOR_IMAGES:
        why, hint = _NOT_FOR_IMAGES[strategy]
        raise EvidenceMissing(name, "", why, hint=hint)
    for column in sorted(needs - PLAIN - TRAINED - {TRUTH}):
        why = _NO_COLUMN.get(column, f"nothing of images gives the column {column!r}")
        raise EvidenceMissing(name, column, why, hint="Use a strategy of docs/images.md.")
    if "passes" in needs and not recipe.dropout:
        raise EvidenceMissing(
            name,
            "passes",
            f"the network of this recipe ({recipe.network}) has no dropout, so all passes agree",
            hint="Give training.dropout, or use ensemble.",
        )


@dataclass(frozen=True, eq=False)
class Past:
    """What the queries so far taught.

    Attributes:
        precisions, asked: see ``Pool``.
    """

    precisions: tuple[float, ...] = ()
    asked: Items | None = None


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained round.

    Attributes:
        task: the pool with its truth.
        labelled: (L,) ascending positions that are labelled.
        model: the judged one.
        stock: all N images of the pool.
        spec, recipe, scale, seed: it was trained with.
        votes: (N, E) predicted class of every image of the task by part of the training; None
            where nobody asked.
        options: of what is made on demand.
        body: that every network begins with; None = random stages.
        returns: unknown images that were asked for may be asked for again.
        past: of the run.
        encodings: what self-supervised encoders make of all images of the task; None = no strategy
            asks.
    """

    task: Task
    labelled: IntArray
    model: Model
    stock: Callable[[IntArray], Stock]
    spec: NetworkSpec
    recipe: Recipe
    scale: Scale
    seed: int
    options: EvidenceConfig
    votes: NDArray[np.int16] | None = None
    body: Body | None = None
    returns: bool = False
    past: Past = Past()
    encodings: Encodings | None = None
    _known: dict[str, Looks] = field(default_factory=dict, init=False)  # of this model alone

    @property
    def settled(self) -> IntArray:
        """(S,) ascending labelled positions that may not be asked for again."""
        return self.trained_on if self.returns else self.labelled

    @property
    def waiting(self) -> IntArray:
        """(F,) ascending positions of the images that may be asked for."""
        free = np.ones(len(self.task.train), dtype=np.bool_)
        free[self.settled] = False
        return np.flatnonzero(free)

    @property
    def trained_on(self) -> IntArray:
        """Labelled positions of known classes."""
        return self.labelled[self.task.train.labels[self.labelled] < len(self.task.classes)]

    def looks(self) -> Looks:
        """Of the images that may be asked for; computed once."""
        if "pool" not in self._known:
            self._known["pool"] = look(self.model, self.stock(self.waiting))
        return self._known["pool"]


def build_pool(
    fitted: Fitted,
    needs: frozenset[str],
    *,
    truth: bool = False,
    learned: Sequence[Learned] = (),
) -> Pool:
    """The pool with what a strategy reads, and no more.

    Args:
        fitted: a trained round.
        needs: of the strategy; checked with ``check_needs``.
        truth: give it the errors of the model, for an oracle.
        learned: by the strategy, on a trunk of the same round.
    """
    task, waiting = fitted.task, fitted.waiting
    frames, known = (
        FrameSet((CLIP,), np.zeros(len(where), np.int64), task.origin[where])
        for where in (waiting, fitted.settled)
    )
    if not needs:
        return Pool(frames, task.classes, known)
    looks = fitted.looks()
    columns: dict[str, NDArray[Any]] = {}
    if "embedding" in needs:
        columns["embedding"] = looks.features
    for name in needs & {"class_mass", "expected_objects"}:
        columns[name] = looks.probs
    if truth:
        columns[TRUTH] = _true_errors(fitted, looks)
    items, about = _labelled_side(fitted, needs, learned)
    return Pool(
        frames,
        task.classes,
        known,
        columns,
        _regions(fitted, looks, needs, learned) if needs - _OF_FRAMES else None,
        items,
        about,
        asked=fitted.past.asked if "asked" in needs else None,
        precisions=fitted.past.precisions if "precision" in needs else (),
        layer=_last_layer(fitted) if "layer" in needs else None,
    )


def _regions(
    fitted: Fitted, looks: Looks, needs: frozenset[str], learned: Sequence[Learned]
) -> Regions:
    n, (height, width, _) = len(looks.probs), fitted.task.shape
    columns = {name: _COLUMNS[name](fitted) for name in sorted(needs & set(_COLUMNS))}
    columns |= _encoded(fitted, needs, fitted.waiting)
    for each in learned:
        columns |= each.pool
    return Regions(
        np.arange(n),
        np.tile(np.array([0, 0, width, height], np.float32), (n, 1)),
        looks.probs.max(axis=1, initial=0.0),
        looks.probs.argmax(axis=1) if n else np.zeros(0, np.int64),
        with_background(looks.probs),
        # half precision, as of detections: within it whatever a normalised network gives
        np.clip(looks.features, -6e4, 6e4),
        columns,
    )


def _labelled_side(
    fitted: Fitted, needs: frozenset[str], learned: Sequence[Learned]
) -> tuple[Items | None, dict[str, NDArray[Any]]]:
    """What is labelled, where a strategy asks."""
    if not needs & {"labelled", "embedding"}:
        return None, {}
    looks = look(fitted.model, fitted.stock(fitted.labelled))
    kept = np.searchsorted(fitted.labelled, fitted.settled)
    about: dict[str, NDArray[Any]] = {}
    if "embedding" in needs:
        about["embedding"] = looks.features[kept]
    if "labelled" not in needs:
        return None, about
    answers = fitted.task.train.labels[fitted.labelled]
    one_hot = answers[kept, None] == np.arange(len(fitted.task.classes))
    about["objects"] = one_hot.astype(np.int64)
    columns = _encoded(fitted, needs, fitted.labelled)
    if "logits" in needs:
        columns["logits"] = _logits_of(fitted, looks)
    for each in learned:
        columns |= each.labelled
    return Items(looks.features, with_background(looks.probs), answers, columns), about


def _encoded(fitted: Fitted, needs: frozenset[str], where: IntArray) -> dict[str, NDArray[Any]]:
    """What self-supervised encoders make of images."""
    names = sorted(needs & ENCODED)
    if names and fitted.encodings is None:
        raise KeyError(names[0])
    return {} if fitted.encodings is None else fitted.encodings.columns(names, where)


def with_background(probs: FloatArray) -> FloatArray:
    """(..., K) -> (..., K+1) with a last column of zeros: nothing on an image is background."""
    return np.concatenate([probs, np.zeros((*probs.shape[:-1], 1), probs.dtype)], axis=-1)


def _true_errors(fitted: Fitted, looks: Looks) -> NDArray[np.float32]:
    """(F, K, 2): a wrong image is a false alarm of one class and a miss of another.

    An unknown image counts as none: an oracle spends nothing on it before all errors on known
    classes are bought (open-set form of the thesis's section 3.4).
    """
    truth, found = fitted.task.train.labels[fitted.waiting], looks.probs.argmax(axis=1)
    errors = np.zeros((len(truth), len(fitted.task.classes), 2), np.float32)
    wrong = np.flatnonzero((truth != found) & (truth < len(fitted.task.classes)))
    errors[wrong, found[wrong], 0] = 1
    errors[wrong, truth[wrong], 1] = 1
    return errors


def _passes(fitted: Fitted) -> NDArray[Any]:
    found = dropout_passes(
        fitted.model, fitted.looks().features, fitted.options.passes, fitted.seed
    )
    return with_background(found)


def _members(fitted: Fitted) -> NDArray[Any]:
    """The judged network, and others of other weights and orders."""
    on, pool = fitted.trained_on, fitted.stock(fitted.waiting)
    found = [fitted.looks().probs]
    for number in range(1, fitted.options.members):
        model = fit(
            fitted.stock(on),
            fitted.scale,
            fitted.task.train.labels[on],
            fitted.spec,
            fitted.recipe,
            fitted.seed + (number << 32),
            body=fitted.body,
        )
        found.append(look(model, pool).probs)
    return with_background(np.stack(found, axis=1))


def _votes(fitted: Fitted) -> NDArray[Any]:
    if fitted.votes is None:
        raise KeyError("votes")
    return fitted.votes[fitted.waiting]


def _predicted_loss(fitted: Fitted) -> NDArray[Any]:
    on = fitted.trained_on
    return predicted_loss(
        fitted.stock(on),
        fitted.task.train.labels[on],
        fitted.stock(fitted.waiting),
        fitted.spec,
        fitted.recipe,
        fitted.scale,
        fitted.seed,
        body=fitted.body,
    )


def _labelledness(fitted: Fitted) -> NDArray[Any]:
    """With unknown images among the labelled ones: else they would be asked for for ever."""
    return labelledness(
        fitted.stock(fitted.labelled),
        fitted.stock(fitted.waiting),
        fitted.task.shape,
        fitted.options.vaal_options,
        fitted.seed,
        bf16=fitted.model.bf16,
    )


def _logits(fitted: Fitted) -> NDArray[Any]:
    return _logits_of(fitted, fitted.looks())


def _logits_of(fitted: Fitted, looks: Looks) -> NDArray[Any]:
    weight, bias = _last_layer(fitted)
    return np.asarray(looks.features @ weight + bias, np.float32)


def _last_layer(fitted: Fitted) -> tuple[FloatArray, FloatArray]:
    """(D, K) weights and (K,) offsets."""
    last = fitted.model.network.last
    weight, bias = (each.detach().float().cpu().numpy() for each in (last.weight, last.bias))
    return weight.T, bias


_COLUMNS: Mapping[str, Callable[[Fitted], NDArray[Any]]] = {
    "passes": _passes,
    "members": _members,
    "votes": _votes,
    "predicted_loss": _predicted_loss,
    "labelledness": _labelledness,
    "logits": _logits,
}


def vote_watcher(
    stock: Stock, parts: int
) -> tuple[NDArray[np.int16], Callable[[int, Model], None]]:
    """An array (N, E) to be filled by the returned function, for ``fit``."""
    votes = np.zeros((len(stock), parts), np.int16)

    def watch(part: int, model: Model) -> None:
        votes[:, part] = predicted(model, stock)

    return votes, watch
