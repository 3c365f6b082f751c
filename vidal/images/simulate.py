"""One run of an image simulation: train, judge, ask, and again; truth is the annotator.

Whatever is random comes from (seed, round) and a purpose, never from what was done before: a run
that was stopped goes on after its last finished step and gives the same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.detect.device import choose_device
from vidal.engine import report
from vidal.evaluate.curves import ALL_DATA, Picks, Row
from vidal.evaluate.quality import rank_agreement
from vidal.evaluate.selection import query_precision, query_recall
from vidal.images.buying import bought
from vidal.images.config import ImageVariant
from vidal.images.encoded import (
    ENCODED,
    Encodings,
    encoded,
    encoding_file,
    keep_encodings,
)
from vidal.images.evidence import Fitted, Past, build_pool, vote_watcher, with_background
from vidal.images.learned import learned_of, own_labels
from vidal.images.looking import accuracy, predicted
from vidal.images.networks import NetworkSpec
from vidal.images.pretraining import load_body, pretrain_images, save_body, simsiam_options
from vidal.images.prices import Prices
from vidal.images.recipes import Recipe
from vidal.images.runs import (
    INITIAL,
    Asked,
    ImageJob,
    begin,
    finished,
    keep_memory,
    keep_query,
    keep_row,
    memory_of,
    query_of,
    row_of,
    rows_of,
)
from vidal.images.semi import surest
from vidal.images.stored import stored_images
from vidal.images.task import UNKNOWN, make_task
from vidal.images.training import Body, Model, Scale, Stock, fit, load_model, one_thread, save_model
from vidal.protocols import Remembering
from vidal.query.balance import l1_score
from vidal.query.dispersion import label_dispersion
from vidal.query.pseudo import ceal_pseudo_labels, ceal_threshold
from vidal.query.uncertainty import entropy
from vidal.selection.trained import learners_of
from vidal.types import IntArray, Items, Learned, Pool, ScoreArray

PER_ROUND = 100
"""Units of progress a round."""

_SELECT = 21
"""Purpose of random numbers."""


def run(job: ImageJob) -> tuple[Row, ...]:
    """All rounds of a run; goes on where an earlier attempt was stopped. Runs anywhere."""
    if not finished(job):
        begin(job)
        with one_thread():
            work = _Run(job)
            for number in range(job.rounds):
                work.step(number)
    return rows_of(job)


class _Run:
    """A run at work."""

    def __init__(self, job: ImageJob) -> None:
        config = job.config
        self._job = job
        self._device = choose_device(config.device, several=False)
        self._task = make_task(stored_images(job.out / "data"), config, config.seed)
        self._scale = Scale.of(self._task.train.pixels)
        self._stock = Stock.of(self._task.train.pixels, self._scale, self._device)
        self._recipe = _recipe(job)
        shape, outputs = self._task.shape, len(self._task.classes)
        self._spec = NetworkSpec.of(self._recipe, shape, outputs)
        self._body = self._pretrained()
        self._variant = job.variant or ImageVariant(strategy="random")
        self._selector = None if job.variant is None else job.make(job.name, job.variant)
        self._needs = frozenset() if self._selector is None else self._selector.needs
        self._encodings = self._encoded()
        self._began = self._clock()

    def _pretrained(self) -> Body | None:
        """What networks of this seed begin with; made by the run of the first model."""
        job, chosen = self._job, self._job.config.pretrain
        if chosen is None:
            return None
        if job.name == INITIAL and not job.body.exists():
            state, outcome = pretrain_images(
                self._task.train.pixels,
                self._scale,
                self._spec,
                simsiam_options(chosen, self._recipe, self._task.shape),
                job.config.seed,
                start=job.config.seed,
                device=self._device,
                keep=job.folder / "pretraining.pt",
            )
            save_body(job.body, state, outcome)
        return load_body(job.body, frozen=chosen.frozen)

    def step(self, number: int) -> None:
        """Train, judge and ask, as far as that is not done."""
        done = row_of(self._job, number) is not None
        last = number + 1 == self._job.rounds
        if done and (last or query_of(self._job, number) is not None):
            return
        self._began = self._clock()
        labelled = self._labelled(number)
        self._tell(number, 0)
        fitted = self._fitted(number, labelled, asks=not last)
        self._tell(number, 50)
        learned = self._learned(fitted, asks=not last)
        self._tell(number, 75)
        if not done:
            keep_row(self._job, self._judged(number, fitted, learned), self._spent())
        if not last:
            keep_query(self._job, number, self._ask(number, fitted, learned), self._spent())
        self._tell(number + 1, 0)

    def _encoded(self) -> Encodings | None:
        """What self-supervised encoders make of the images, made by the run of the first model."""
        job, options = self._job, self._job.config.evidence.encoder_options
        for group in job.encoders if job.name == INITIAL else ():
            if encoding_file(job.folder, group).exists():
                continue
            before, seed = self._clock(), job.config.seed
            found = encoded(self._stock, self._spec, self._recipe, options, group, seed)
            keep_encodings(job.folder, group, found, options, self._clock() - before)
        if job.variant is None:
            return None
        names = self._needs & ENCODED
        return Encodings.load(self._job.initial, names) if names else None

    def _learned(self, fitted: Fitted, *, asks: bool) -> tuple[Learned, ...]:
        """By the strategy, where it is going to ask, or is judged by what it learns."""
        if not asks and self._variant.judge != "own":
            return ()
        return learned_of(fitted, learners_of(self._selector), self._needs)

    def _clock(self) -> float:
        return time.process_time() if self._device.type == "cpu" else time.monotonic()

    def _spent(self) -> float:
        before, self._began = self._began, self._clock()
        return self._began - before

    def _tell(self, number: int, share: int) -> None:
        report(PER_ROUND * number + share, PER_ROUND * self._job.rounds)

    def _labelled(self, number: int) -> IntArray:
        """Positions that are labelled in a round, ascending."""
        if self._job.name == ALL_DATA:
            return np.arange(len(self._task.train))
        asked = [query_of(self._job, before) for before in range(number)]
        more = [each.images for each in asked if each is not None]
        return np.unique(np.concatenate([self._task.initial, *more]).astype(np.int64))

    def _paid(self, number: int) -> int:
        """Labels that were paid for before a round; an image that was asked for twice, twice."""
        if self._job.name == ALL_DATA:
            return len(self._task.train)
        asked = [query_of(self._job, before) for before in range(number)]
        return len(self._task.initial) + sum(len(e.images) for e in asked if e is not None)

    def _past(self, number: int) -> Past:
        """What the queries before a round taught."""
        asked = [query_of(self._job, before) for before in range(number)]
        found = [None if each is None else each.picks.query_precision for each in asked]
        last = memory_of(self._job, number - 1) if number and "asked" in self._needs else None
        return Past(tuple(math.nan if each is None else each for each in found), last)

    def _fitted(self, number: int, labelled: IntArray, *, asks: bool) -> Fitted:
        """The model of a round, and what it was trained with."""
        semi, seed = self._variant.semi, _seed(self._job.config.seed, number)
        noted = "votes" in self._needs and asks
        bare = Fitted(
            task=self._task,
            labelled=labelled,
            model=None,  # type: ignore[arg-type]
            stock=self._stock.take,
            spec=self._spec,
            recipe=self._recipe,
            scale=self._scale,
            seed=seed,
            options=self._job.config.evidence,
            body=self._body,
            returns=self._job.config.bought_unknowns == "return",
            past=self._past(number),
            encodings=self._encodings,
        )
        shared = number == 0 and self._job.name not in (INITIAL, ALL_DATA)
        if shared and not noted and semi != "two-model":
            model, _ = load_model(self._job.initial / "model.safetensors", self._device)
            return replace(bare, model=model)
        pseudo = np.zeros((0, 2), np.int64)
        if semi == "two-model":
            pseudo = self._surest(bare)
        elif semi == "ceal" and number:
            before = query_of(self._job, number - 1)
            pseudo = np.array([] if before is None else before.pseudo, np.int64).reshape(-1, 2)
        votes, watch = None, None
        if noted:
            votes, watch = vote_watcher(self._stock, self._job.config.evidence.votes)
        model = self._train(bare, pseudo, watch=watch)
        if self._job.name == INITIAL:
            save_model(self._job.folder / "model.safetensors", model, self._task.classes)
        return replace(bare, model=model, votes=votes)

    def _train(self, bare: Fitted, pseudo: NDArray[np.int64], *, watch: object = None) -> Model:
        on = np.concatenate([bare.trained_on, pseudo[:, 0]])
        labels = np.concatenate([self._task.train.labels[bare.trained_on], pseudo[:, 1]])
        return fit(
            self._stock.take(on),
            self._scale,
            labels,
            self._spec,
            self._recipe,
            bare.seed,
            start=self._job.config.seed,
            parts=0 if watch is None else self._job.config.evidence.votes,
            watch=watch,  # type: ignore[arg-type]
            body=bare.body,
        )

    def _surest(self, bare: Fitted) -> NDArray[np.int64]:
        """(n, 2) positions and labels that the first of two models is surest of."""
        options = self._variant.pseudo
        votes, watch = vote_watcher(self._stock, self._job.config.evidence.votes)
        by_votes = options.by == "dispersion"
        model = self._train(bare, np.zeros((0, 2), np.int64), watch=watch if by_votes else None)
        first = replace(bare, model=model)
        probs, waiting = first.looks().probs, bare.waiting
        unsure = entropy(probs)
        values = label_dispersion(votes[waiting].T) if by_votes else unsure
        share = min(1.0, options.share * len(self._task.train) / max(1, len(waiting)))
        chosen = surest(values, share, unsure)
        return np.stack([waiting[chosen], probs[chosen].argmax(axis=1)], axis=1)

    def _judged(self, number: int, fitted: Fitted, learned: Sequence[Learned]) -> Row:
        """What a round is worth on the test images."""
        test, classes = self._task.test, self._task.classes
        stock = Stock.of(test.pixels, self._scale, self._device)
        if self._variant.judge == "own":
            found = own_labels(self._job.name, learned, stock)
        else:
            found = predicted(fitted.model, stock)
        whole, each = accuracy(found, test.labels, len(classes))
        groups = {
            name: float(np.mean(each[list(members)]))
            for name, members in self._task.groups.items()
            if name != UNKNOWN
        }
        before = query_of(self._job, number - 1) if number else None
        known = self._task.train.labels[fitted.trained_on]
        return Row(
            strategy=self._job.name,
            seed=self._job.config.seed,
            round=number,
            labelled=self._paid(number),
            boxes=len(fitted.trained_on),
            ap50=whole,
            ap50_at_half=None,
            classes=dict(zip(classes, each.tolist(), strict=True)),
            picks=None if before is None else before.picks,
            conditions=groups,
            l1_score=l1_score(np.bincount(known, minlength=len(classes))),
        )

    def _ask(self, number: int, fitted: Fitted, learned: Sequence[Learned]) -> Asked:
        """The query of a round's model, and what it held."""
        selector, waiting = self._selector, fitted.waiting
        assert selector is not None
        pool = build_pool(fitted, selector.needs, truth=self._job.truth, learned=learned)
        rng = np.random.default_rng([self._job.config.seed, number, _SELECT])
        labels = self._task.train.labels[waiting]
        rows = bought(selector, pool, self._prices(), labels, rng)
        picks = waiting[rows]
        scores = selector.score(pool) if selector.needs else None
        if "asked" in self._needs:
            keep_memory(self._job, number, self._memory(fitted, pool, rows))
        self._tell(number, 95)
        pseudo: NDArray[np.int64] = np.zeros((0, 2), np.int64)
        if self._variant.semi == "ceal":
            pseudo = self._sure(number, fitted, picks)
        return Asked(
            tuple(int(each) for each in picks),
            self._held(fitted, picks, scores),
            tuple((int(a), int(b)) for a, b in pseudo),
            means_of(selector.explain(pool, rows).parts),
        )

    def _prices(self) -> Prices:
        cost = self._job.config.cost
        return Prices(cost.known, cost.unknown, len(self._task.classes), self._task.budget)

    def _memory(self, fitted: Fitted, pool: Pool, rows: IntArray) -> Items:
        """How the model sees what it asks for, with what the strategy wants kept."""
        keeper: Any = self._selector
        while not isinstance(keeper, Remembering) and keeper is not None:
            keeper = getattr(keeper, "inner", None)
        columns = {} if keeper is None else dict(keeper.memory(pool, rows))
        looks, answers = fitted.looks(), self._task.train.labels[fitted.waiting[rows]]
        return Items(looks.features[rows], with_background(looks.probs[rows]), answers, columns)

    def _sure(self, number: int, fitted: Fitted, picks: IntArray) -> NDArray[np.int64]:
        """(n, 2) positions and labels that CEAL's next training takes as given."""
        options, waiting = self._variant.pseudo, fitted.waiting
        limit = ceal_threshold(number, options.start, options.decay)
        queried = np.searchsorted(waiting, np.sort(picks))
        found = ceal_pseudo_labels(fitted.looks().probs, limit, queried)
        return np.stack([waiting[found[:, 0]], found[:, 1]], axis=1)

    def _held(self, fitted: Fitted, picks: IntArray, scores: ScoreArray | None) -> Picks:
        truth, known = self._task.train.labels, len(self._task.classes)
        right = predicted(fitted.model, self._stock.take(picks)) == truth[picks]
        counts = np.bincount(truth[picks], minlength=known + 1)[:known]
        waiting = int((truth[fitted.waiting] < known).sum())
        groups = {n: int(np.isin(truth[picks], m).sum()) for n, m in self._task.groups.items()}
        return Picks(
            frames=len(picks),
            wrong=int((~right).sum()),
            balance=_evenness(counts),
            query_precision=query_precision(truth[picks], known),
            query_recall=query_recall(truth[picks], len(fitted.trained_on), waiting, known),
            score_spearman=self._told(fitted, scores),
            conditions=groups,
            known=int(counts.sum()),
            unknown=len(picks) - int(counts.sum()),
            cost=self._prices().of(truth[picks]),
        )

    def _told(self, fitted: Fitted, scores: ScoreArray | None) -> float | None:
        """Rank correlation of scores with being wrong, over the pool."""
        if scores is None or not np.isfinite(scores).all():
            return None
        truth = self._task.train.labels[fitted.waiting]
        wrong = fitted.looks().probs.argmax(axis=1) != truth
        if wrong.all() or not wrong.any():
            return None
        return rank_agreement(scores, wrong.astype(np.int64))


def means_of(parts: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """Of the parts of an explanation that are numbers, one a pick."""
    found = {name: np.asarray(each) for name, each in parts.items()}
    kept = {n: e for n, e in found.items() if e.ndim == 1 and e.dtype.kind in "biuf" and len(e)}
    means = {name: float(each.astype(np.float64).mean()) for name, each in kept.items()}
    return {name: mean for name, mean in means.items() if math.isfinite(mean)}


def _recipe(job: ImageJob) -> Recipe:
    recipe = job.config.training.whole
    return replace(recipe, **job.config.simulation.all_data) if job.name == ALL_DATA else recipe


def _seed(seed: int, number: int) -> int:
    """Of what is random in the training of a round: the same for all strategies."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _evenness(counts: NDArray[np.int64]) -> float | None:
    """Entropy of the classes over ln K; None without known ones."""
    total = counts.sum()
    if len(counts) < 2 or not total:
        return None
    return float(entropy((counts / total)[None])[0] / math.log(len(counts)))
