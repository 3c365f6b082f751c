"""Open-set protocols on image pools: splits, noise, costs, what a query taught, who is judged."""

import json
from dataclasses import replace

import learning_strategy
import numpy as np
import pytest
import torch
from image_runs import planned, refused, rows, simulated
from learning_strategy import KnownFirst

from vidal.cli import main
from vidal.errors import UsageError
from vidal.images.config import load_images_config
from vidal.images.data import load_images
from vidal.images.encoded import groups_of
from vidal.images.evidence import Fitted
from vidal.images.looking import look
from vidal.images.networks import NetworkSpec
from vidal.images.open_classes import known_classes
from vidal.images.prices import Prices
from vidal.images.runs import INITIAL, memory_of, query_of
from vidal.images.simulate import run
from vidal.images.splits import counted_set, initial_set
from vidal.images.stored import store_images
from vidal.images.task import UNKNOWN, make_task
from vidal.images.training import Scale, Stock, fit

OPEN = ("data: {path", "data: {known: 2, path")


def changed(file, *pairs):
    text = file.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    return file


def split(name, known=None, openness=None, classes=10, seed=0):
    names = [str(each) for each in range(classes)]
    return known_classes(names, known, openness, name, np.random.default_rng(seed)).tolist()


def test_every_split_is_the_one_that_its_paper_has():
    assert split("bual", 4) == split("lfosa", 4) == split("neat", 4) == [0, 1, 2, 3]
    assert split("eoal", 4) == split("eaoa", 4) == split("e2oal", 4) == [2, 4, 7, 8]
    assert split("e2oal", 2) == [2, 8]
    assert split("ccal") == [0, 1]
    sets = [[2, 4, 5, 7], [1, 2, 5, 7], [2, 3, 4, 6], [1, 3, 8, 9], [2, 3, 5, 9]]
    assert [split(f"mqnet-{number}") for number in range(1, 6)] == sets
    assert split("first", 3, classes=7) == [0, 1, 2]
    assert split("drawn") == list(range(10))
    assert len(split("drawn", 4)) == 4
    assert split("drawn", 4, seed=1) != split("drawn", 4, seed=2)


@pytest.mark.parametrize(("openness", "known"), [(0.2, 8), (0.4, 6), (0.6, 4), (0.8, 2), (0.0, 10)])
def test_openness_is_the_share_of_unknown_classes(openness, known):
    assert split("bual", openness=openness) == list(range(known))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"name": "mqnet-1", "known": 3}, "mqnet-1 has 4 known classes"),
        ({"name": "eoal", "known": 3, "classes": 7}, "numbers the classes of CIFAR-10"),
        ({"name": "first"}, "needs data.known"),
        ({"name": "drawn", "known": 11}, "11 of 10 classes"),
        ({"name": "drawn", "openness": 0.95}, "leaves 0 known"),
    ],
)
def test_a_split_that_is_not_there_is_refused(asked, why):
    with pytest.raises(UsageError, match=why):
        split(**asked)


def test_a_number_of_initial_images_is_drawn_as_a_share_is():
    labels, draw = np.arange(60) % 5, np.random.default_rng
    for kind, shares in (("known", "plain"), ("plain", "plain"), ("exact", "exact")):
        share = initial_set(labels, 2, 25, draw(1), kind == "known", shares)
        count = (24 if kind == "known" else 60) // 4
        np.testing.assert_array_equal(share, counted_set(labels, 2, count, draw(1), kind))
    with pytest.raises(ValueError, match="25 of 24 images"):
        counted_set(labels, 2, 25, draw(0), "known")


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("pool", [None, 50])
def test_noise_is_the_share_of_unknown_images(config, npz, noise, pool):
    more = f"noise: {noise}" + ("" if pool is None else f", pool: {pool}")
    file = changed(config(), ("data: {path", f"data: {{known: 2, {more}, path"))
    task = make_task(load_images(npz), load_images_config(file), 3)
    unknown = (task.train.labels == 2).sum()
    assert unknown == pytest.approx(noise * len(task.train), abs=1)
    if pool is None:
        assert len(task.train) - unknown == 60
    else:
        assert len(task.train) == pytest.approx(50, abs=1)
    np.testing.assert_array_equal(task.train.labels, np.sort(task.origin) * 0 + task.train.labels)
    assert (np.diff(task.origin) > 0).all()


def test_the_initial_set_is_drawn_as_the_papers_draw_it(config, npz):
    data = load_images(npz)

    def start(kind, initial="50%"):
        more = f"\ninitial_from: {kind}"
        file = changed(config(), OPEN, ("initial: 8", f"initial: {initial}{more}"))
        task = make_task(data, load_images_config(file), 0)
        return task.train.labels[task.initial]

    assert len(start("known")) == 30
    assert start("known").max() < 2
    assert len(start("plain")) == len(start("exact")) == 60
    assert (start("exact") == 2).sum() == 30
    assert 0 < (start("plain") == 2).sum() < 60
    assert len(start("known", "7")) == 7
    assert np.bincount(start("classes")).tolist() == [30, 30]


def test_unknown_images_leave_the_pool_or_return_to_it(config, tmp_path):
    for what in ("leave", "return"):
        file = changed(config(f"bought_unknowns: {what}\n"), OPEN, ("budget: 6", "budget: 25"))
        plan, result = simulated(file, tmp_path / what, ["mahalanobis", "kcenter"], rounds=4)
        job = plan.job("mahalanobis", 0)
        asked = [query_of(job, number).images for number in range(3)]
        twice = sum(map(len, asked)) - len({each for images in asked for each in images})
        assert (twice > 0) == (what == "return")
        last = next(r for r in result.rows if r.strategy == "mahalanobis" and r.round == 3)
        assert last.labelled == 8 + 75


def test_known_images_are_never_bought_twice_where_unknown_ones_return(config, tmp_path):
    file = changed(config("bought_unknowns: return\n"), OPEN, ("budget: 6", "budget: 25"))
    plan, _ = simulated(file, tmp_path / "out", ["random"], rounds=4)
    task = make_task(load_images(plan.config.data.path), plan.config, 0)
    asked = [each for n in range(3) for each in query_of(plan.job("random", 0), n).images]
    known = [each for each in asked if task.train.labels[each] < 2]
    assert len(known) == len(set(known))
    assert not set(known) & set(task.initial.tolist())


@pytest.mark.parametrize(
    ("unknown", "labels", "paid"),
    [
        (1.0, [0, 2, 0, 2, 0, 0], 4),
        (0.5, [2, 2, 2, 2, 0, 2, 0], 6),
        (2.0, [2, 0, 2, 0], 2),
        (4.0, [2, 0], 1),
        (0.1, [2] * 50, 40),
    ],
)
def test_labels_are_paid_for_until_the_next_one_would_be_too_much(unknown, labels, paid):
    prices = Prices(1.0, unknown, 2, 4)
    values = np.array(labels)
    assert prices.paid_for(values) == paid
    assert prices.of(values[:paid]) <= 4 + 1e-9
    assert paid <= prices.most


def test_a_budget_in_cost_is_never_overspent_and_costs_of_one_are_a_number(config, tmp_path):
    tables = {}
    for cost in ("", "cost: {known: 1, unknown: 0.5}\n", "cost: {unknown: 2}\n"):
        file = changed(config(cost), OPEN)
        _, result = simulated(file, tmp_path / f"out-{len(tables)}", ["entropy"], rounds=3)
        tables[cost] = rows(result)
        for row in result.rows:
            if row.picks is not None:
                assert row.picks.cost <= 6
                assert row.picks.frames == row.picks.known + row.picks.unknown
    plain = changed(config("cost: {known: 1, unknown: 1}\n"), OPEN)
    assert rows(simulated(plain, tmp_path / "plain", ["entropy"])[1]) == tables[""]
    cheap, dear = tables["cost: {known: 1, unknown: 0.5}\n"], tables["cost: {unknown: 2}\n"]
    assert (
        max(row["labelled"] for row in cheap)
        > 8 + 12
        > min(row["labelled"] for row in dear if row["round"] == 2)
    )


def test_a_table_with_unknown_classes_has_a_line_that_never_asks(config, tmp_path):
    plan, result = simulated(changed(config(), OPEN), tmp_path / "out", ["entropy"], seeds=2)
    lines = [row for row in result.rows if row.strategy == "label-only"]
    assert len(lines) == 6
    for seed in (0, 1):
        same = {row.ap50 for row in lines if row.seed == seed}
        start = {row.ap50 for row in result.rows if row.seed == seed and row.round == 0}
        assert same == start
        assert len(same) == 1
    assert "label-only" in {line.strategy for line in result.summaries()}
    assert any("label-only" in note for note in result.notes)
    _, closed = simulated(config(), tmp_path / "closed", ["entropy"])
    assert "label-only" not in {row.strategy for row in closed.rows}
    assert plan.strategies == ("random", "entropy")


def test_the_oracle_buys_errors_on_known_classes_first(config, tmp_path):
    file = changed(config(), OPEN)
    _, result = simulated(file, tmp_path / "out", ["oracle-errors"], rounds=2)
    held = next(row.picks for row in result.rows if row.strategy == "oracle-errors" and row.picks)
    by_chance = next(row.picks for row in result.rows if row.strategy == "random" and row.picks)
    assert held.known > by_chance.known


def of_learner(config, tmp_path, make=None, lines="", rounds=3, variant=None):
    """A run of ``KnownFirst``, its first model trained."""
    plan = planned(changed(config(lines), OPEN), tmp_path / "out", ["entropy"], rounds=rounds)
    store_images(plan.out / "data", load_images(plan.config.data.path))
    first = plan.job(INITIAL, 0)
    run(replace(first, encoders=("semantic", "turned")) if "encoders" in lines else first)
    own = plan.job("entropy", 0)
    return replace(
        own, name="known-first", make=make or known_first, variant=variant or own.variant
    )


def known_first(name, variant):
    return KnownFirst()


def encoded_first(name, variant):
    needs = KnownFirst().needs | {"frozen", "semantic", "distinctive", "contrastive", "logits"}
    return KnownFirst(needs)


def test_a_strategy_that_learns_sees_what_its_queries_taught(config, tmp_path):
    learning_strategy.SEEN.clear()
    job = of_learner(config, tmp_path)
    found = run(job)
    first, second = learning_strategy.SEEN
    assert first.precisions == ()
    assert first.asked is None
    asked = query_of(job, 0)
    assert second.precisions == (asked.picks.query_precision,)
    task = make_task(load_images(job.config.data.path), job.config, 0)
    np.testing.assert_array_equal(second.asked.answers, task.train.labels[list(asked.images)])
    at = np.searchsorted(first.frames.index, task.origin[list(asked.images)])
    np.testing.assert_array_equal(second.asked.column("mine.score"), KnownFirst().score(first)[at])
    np.testing.assert_allclose(second.asked.probs, first.regions.probs[at], rtol=1e-6)
    assert len(second.items) == 8 + 6
    assert second.items.column("mine.logits").shape == (14, 3)
    assert [row.labelled for row in found] == [8, 14, 20]


def test_a_learning_run_that_was_stopped_goes_on_to_the_same_end(config, tmp_path):
    job = of_learner(config, tmp_path)
    whole = run(job)
    kept = memory_of(job, 1)
    (job.folder / "query-001.json").unlink()
    (job.folder / "row-002.json").unlink()
    assert run(job) == whole
    again = memory_of(job, 1)
    np.testing.assert_array_equal(kept.features, again.features)
    np.testing.assert_array_equal(kept.column("mine.score"), again.column("mine.score"))


def test_a_damaged_memory_is_named(config, tmp_path):
    from vidal.errors import CampaignError

    job = of_learner(config, tmp_path)
    run(job)
    (job.folder / "query-001.npz").write_bytes(b"PK no zip")
    with pytest.raises(CampaignError, match=r"query-001\.npz"):
        memory_of(job, 1)


def test_the_classifier_of_a_method_may_be_the_one_that_is_judged(config, tmp_path):
    job = of_learner(config, tmp_path)
    shared = run(job)
    own = job.variant.model_copy(update={"judge": "own"})
    judged = run(replace(job, name="judged", variant=own))
    assert [query_of(job, n).images for n in (0, 1)] == [
        query_of(replace(job, name="judged"), n).images for n in (0, 1)
    ]
    assert [row.ap50 for row in judged] != [row.ap50 for row in shared]
    assert judged[0].labelled == shared[0].labelled


def test_own_is_refused_where_a_strategy_has_no_classifier(config, tmp_path, capsys):
    more = "\n  variants: {mine: {strategy: entropy, judge: own}}"
    file = changed(config(), ("seeds: 2", "seeds: 2" + more))
    text = refused(capsys, "simulate", file, "--strategies", "mine", "--out", tmp_path / "no")
    assert "entropy has no classifier of its own" in text


ENCODERS = "encoders: {steps: 2, batch: 8, width: 5, crops: 1}, passes"


def test_encoders_are_trained_once_a_seed_by_the_run_of_the_first_model(config, tmp_path):
    learning_strategy.SEEN.clear()
    file = changed(config(), ("passes", ENCODERS))
    job = of_learner(lambda _: file, tmp_path, encoded_first, lines="encoders")
    run(job)
    folder = job.initial
    made = {each.name: each.read_bytes() for each in folder.glob("*.npy")}
    assert set(made) == {"semantic.npy", "distinctive.npy", "contrastive.npy"}
    pool = learning_strategy.SEEN[0]
    shapes = {"semantic": (5,), "frozen": (5,), "distinctive": (4, 5), "contrastive": (5,)}
    for name, shape in shapes.items():
        for side, count in ((pool.regions, len(pool)), (pool.items, 8)):
            assert side.column(name).shape == (count, *shape)
    np.testing.assert_array_equal(pool.regions.column("frozen"), pool.regions.column("semantic"))
    assert pool.items.column("logits").shape == (8, 2)
    cosines = (pool.regions.column("contrastive") ** 2).sum(axis=1)
    np.testing.assert_allclose(cosines, 1, rtol=1e-5)
    run(replace(job, name="other"))
    assert {each.name: each.read_bytes() for each in folder.glob("*.npy")} == made


def test_an_encoder_that_a_later_strategy_asks_for_is_made_then(config, tmp_path):
    file = changed(config(), ("passes", ENCODERS))
    job = of_learner(lambda _: file, tmp_path, encoded_first, lines="none")
    assert not list(job.initial.glob("*.npy"))
    first = replace(job, name=INITIAL, variant=None, rounds=1)
    run(replace(first, encoders=("semantic",)))
    assert [each.name for each in job.initial.glob("*.npy")] == ["semantic.npy"]
    run(replace(first, encoders=("semantic", "turned")))
    assert len(list(job.initial.glob("*.npy"))) == 3
    told = json.loads((job.initial / "encoding-turned.json").read_text())
    assert told["seconds"] > 0


def test_another_model_of_a_round_looks_for_itself(config, npz):
    loaded = load_images_config(config())
    task, recipe = make_task(load_images(npz), loaded, 0), loaded.training.whole
    scale = Scale.of(task.train.pixels)
    stock = Stock.of(task.train.pixels, scale, torch.device("cpu"))
    spec = NetworkSpec.of(recipe, task.shape, 4)
    start, labels = task.initial, task.train.labels[task.initial]
    one, other = (fit(stock.take(start), scale, labels, spec, recipe, seed) for seed in (0, 1))
    own = (task, start, one, stock.take, spec, recipe, scale, 0, loaded.evidence)
    first = Fitted(*own)
    before = first.looks().probs
    second = replace(first, model=other)
    np.testing.assert_array_equal(
        second.looks().probs, look(other, stock.take(first.waiting)).probs
    )
    assert (second.looks().probs != before).any()


def test_columns_name_the_encoders_that_they_take():
    assert groups_of(frozenset({"regions", "labels"})) == ()
    assert groups_of(frozenset({"frozen"})) == ("semantic",)
    assert groups_of({"contrastive", "semantic"}) == ("semantic", "turned")


def test_openness_and_noise_are_given_on_the_command_line(config, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--openness", "0.5", "--noise", "0.25", "--rounds", "2", "--seeds", "1", "--quiet"]
    main(["images", "simulate", str(config()), "--out", str(out), "--no-all-data", *arguments])
    assert "label-only" in capsys.readouterr().out
    results = json.loads((out / "results.json").read_text())
    assert results["settings"]["data"]["openness"] == 0.5
    held = [row for row in results["rows"] if row["strategy"] == "entropy" and row["round"] == 1]
    assert {"query_precision", "query_recall", "known", "unknown", "cost"} <= set(held[0]["picks"])
    assert results["pool_conditions"][UNKNOWN] == pytest.approx(20 / 72)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("{path", "{split: mqnet, path"), "unknown split of classes 'mqnet'"),
        (("{path", "{split: first, path"), "needs data.known"),
        (("{path", "{split: mqnet-1, path"), "numbers the classes of CIFAR-10, and here are 4"),
        (("{path", "{known: 2, openness: 0.5, path"), "give one of them"),
        (("{path", "{openness: 1.0, path"), "openness 1.0"),
        (("{path", "{noise: 0.5, path"), "takes 120 unknown images, there are 0"),
        (("{path", "{known: 2, noise: 0.9, path"), "takes 540 unknown images, there are 60"),
        (("{path", "{known: 2, noise: 0.1, pool: 90, path"), "81 known images in a pool of 90"),
        (("initial: 8", "initial: 8\ninitial_from: nowhere"), "initial_from"),
        (("initial: 8", "initial: 150\ninitial_from: plain"), "150 initial images of 120"),
        (("budget: 6", "budget: 6\ncost: {unknown: 0}"), "cost.unknown"),
        (("budget: 6", "budget: 6\ncost: {unknown: 7}"), "does not pay for one image of cost 7"),
        (("budget: 6", "budget: 6\ncost: {unknown: 0.1}"), "3 rounds would label 128 images"),
        (("budget: 6", "budget: 6h"), "in time, where only a number or a share"),
        (("budget: 6", "budget: 60boxes"), "in boxes, where only a number or a share"),
        (("initial: 8", "initial: 8h"), "in time, where only a number or a share"),
        (("budget: 6", "budget: 0"), "asks for nothing"),
        (("budget: 6", "budget: 6\nbought_unknowns: burn"), "bought_unknowns"),
        (("votes: 3", "votes: 3, encoders: {batch: 1}"), "batch 1 is not a number of at least 2"),
        (("votes: 3", "votes: 3, encoders: {epochs: 1}"), "unknown key of evidence.encoders"),
        (("seeds: 2", "seeds: 2\n  variants: {label-only: {strategy: margin}}"), "is taken"),
    ],
)
def test_an_open_set_that_cannot_be_meant_is_refused_in_one_line(
    config, tmp_path, capsys, change, why
):
    text = refused(
        capsys, "simulate", changed(config(), change), "--out", tmp_path / "out", "--quiet"
    )
    assert why in text
    assert "boxes (800boxes)" not in text  # no way out of here
    assert not (tmp_path / "out" / "simulation.yaml").exists()  # the next try is not another's
