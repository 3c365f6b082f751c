"""``vidal images simulate``: paired runs that can be stopped, of every strategy for images."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from image_runs import Quiet, planned, refused, rows, simulated

from vidal.api import image_pools
from vidal.assemble import STRATEGIES
from vidal.assemble.images import plan_images, simulate_images
from vidal.cli import main
from vidal.images.config import load_images_config
from vidal.images.data import load_images
from vidal.images.runs import INITIAL, query_of, row_of
from vidal.images.task import COMMON, RARE, UNKNOWN, make_task

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("images-*.yaml"))
NOT_FOR_IMAGES = {"expected-errors", "every-nth", "random-r", "temporal-coherence", "portable-pal"}
SEMI = """
  variants:
    two-model: {strategy: entropy, semi: two-model, pseudo: {share: 0.2}}
    two-by-entropy: {strategy: margin, semi: two-model, pseudo: {by: entropy}}
    ceal: {strategy: entropy, semi: ceal, pseudo: {start: 1.0}}
    even: {strategy: entropy, balance: auto}
"""


def test_every_strategy_runs_on_images_or_says_why_not(config, tmp_path, capsys):
    names = sorted(set(STRATEGIES) - NOT_FOR_IMAGES)
    _, result = simulated(config(), tmp_path / "out", [*names, "oracle-errors"], rounds=2)
    assert {row.strategy for row in result.rows} == {*names, "oracle-errors"}
    firsts = {(row.ap50, row.labelled) for row in result.rows if row.round == 0}
    assert len(firsts) == 1
    for row in result.rows:
        assert row.labelled == 8 + 6 * row.round
        assert row.picks is None if row.round == 0 else row.picks.frames == 6
    for name in NOT_FOR_IMAGES & {*STRATEGIES}:
        text = refused(capsys, "simulate", config(), "--strategies", name, "--out", tmp_path / "no")
        assert text.startswith(f"vidal: {name}: ")
        assert "Use " in text


def test_the_oracle_asks_for_wrong_images_first(config, tmp_path):
    _, result = simulated(config(), tmp_path / "out", ["oracle-errors"], rounds=3)
    asked = [row for row in result.rows if row.strategy == "oracle-errors" and row.picks]
    model_wrong = [row.picks.wrong for row in asked]
    assert max(model_wrong) == 6
    assert any("oracle sees the labels" in note for note in result.notes)
    assert asked[0].picks.score_spearman == pytest.approx(1.0)


def test_one_seed_gives_the_same_rows_and_pairs_share_their_start(config, tmp_path):
    first = simulated(config(), tmp_path / "a", ["entropy", "badge"])[1]
    second = simulated(config(), tmp_path / "b", ["entropy", "badge"])[1]
    assert rows(first) == rows(second)


def test_a_run_that_was_stopped_goes_on_to_the_same_end(config, tmp_path):
    names = ["label-dispersion", "ceal"]
    file = config(SEMI)
    whole = simulated(file, tmp_path / "whole", names)[1]
    plan, _ = simulated(file, tmp_path / "parts", names, rounds=2)
    for name in names:
        (plan.job(name, 0).folder / "query-000.json").unlink()
        (plan.job(name, 0).folder / "row-001.json").unlink()
    assert rows(simulated(file, tmp_path / "parts", names)[1]) == rows(whole)


def test_seeds_strategies_and_variants_may_be_added_but_nothing_else_changed(
    config, tmp_path, capsys
):
    out = tmp_path / "out"
    simulated(config(), out, ["entropy"])
    _, more = simulated(config(SEMI), out, ["entropy", "even"], seeds=2)
    assert {(row.strategy, row.seed) for row in more.rows} == {
        (name, seed) for name in ("random", "entropy", "even") for seed in (0, 1)
    }
    changed = config("\n", name="other.yaml")
    changed.write_text(changed.read_text().replace("budget: 6", "budget: 7"))
    assert "another configuration" in refused(capsys, "simulate", changed, "--out", out)
    swapped = config(SEMI.replace("balance: auto", "balance: 1"), name="third.yaml")
    text = refused(capsys, "simulate", swapped, "--out", out, "--strategies", "even")
    assert "begun with other options" in text


def test_other_images_are_not_mixed_into_a_simulation(config, npz, tmp_path, capsys):
    out = tmp_path / "out"
    simulated(config(), out, ["entropy"], rounds=2)
    with np.load(npz) as arrays:
        content = dict(arrays)
    content["x_train"] = content["x_train"][::-1]
    np.savez(tmp_path / "other.npz", **content)
    text = refused(capsys, "simulate", config(), "--out", out, "--data", tmp_path / "other.npz")
    assert "begun with other images" in text


def test_rare_classes_are_thinned_and_told_apart(config, npz, tmp_path):
    file = config("imbalance: 0.2\n")
    task = make_task(load_images(npz), load_images_config(file), 0)
    counts = np.bincount(task.train.labels)
    start = np.bincount(task.train.labels[task.initial])
    assert start.tolist() == [2, 2, 2, 2]
    for number in range(4):
        assert counts[number] == (2 + int(0.2 * 28) if number in task.rare else 30)
    assert len(task.rare) == 2
    _, result = simulated(file, tmp_path / "out", ["entropy"], rounds=2)
    line = next(each for each in result.summaries() if each.strategy == "entropy")
    assert set(line.conditions) == {RARE, COMMON}
    assert sum(line.picked.values()) == pytest.approx(1)
    assert 0 < result.pool_conditions[RARE] < result.pool_conditions[COMMON]
    assert line.l1_score is not None
    rare = {str(each) for each in task.rare}
    assert set(result.data["rare classes"].split(", ")) == rare


def test_named_rare_classes_are_the_rare_ones(config, npz):
    file = config('imbalance: 0.5\nrare: ["3", "1"]\n')
    task = make_task(load_images(npz), load_images_config(file), 4)
    assert task.rare == (1, 3)


def test_unknown_classes_are_asked_for_but_not_trained_on(config, npz, tmp_path):
    file = config()
    file.write_text(file.read_text().replace("data: {path", "data: {known: 2, path"))
    task = make_task(load_images(npz), load_images_config(file), 1)
    assert set(np.unique(task.train.labels)) == {0, 1, 2}
    assert set(np.unique(task.train.labels[task.initial])) == {0, 1}
    assert set(np.unique(task.test.labels)) == {0, 1}
    _, result = simulated(file, tmp_path / "out", ["entropy", "kcenter", "mahalanobis"], seeds=2)
    for row in result.rows:
        if row.picks is None:
            continue
        unknown = row.picks.conditions[UNKNOWN]
        assert row.picks.query_precision == pytest.approx(1 - unknown / 6)
    last = [row for row in result.rows if row.round == 2]
    assert all(row.boxes <= row.labelled for row in last)
    assert any(row.boxes < row.labelled for row in last)
    assert result.pool_conditions[UNKNOWN] == pytest.approx(60 / 112)


def test_pseudo_labels_go_back_to_the_pool(config, tmp_path):
    names = ["two-model", "two-by-entropy", "ceal"]
    plan, result = simulated(config(SEMI), tmp_path / "out", names)
    initial = row_of(plan.job(INITIAL, 0), 0)
    first = {row.strategy: row.ap50 for row in result.rows if row.round == 0}
    assert first["ceal"] == first["random"] == initial.ap50
    assert any(first[name] != initial.ap50 for name in names[:2])
    for row in result.rows:
        assert row.labelled == 8 + 6 * row.round
    asked = query_of(plan.job("ceal", 0), 0)
    assert len(asked.pseudo) > 0
    assert not {position for position, _ in asked.pseudo} & set(asked.images)
    assert any("pseudo-labels" in note for note in result.notes)


def test_the_command_writes_results_in_the_words_of_images(config, tmp_path, capsys):
    out = tmp_path / "out"
    main(["images", "simulate", str(config()), "--out", str(out), "--quiet"])
    said = capsys.readouterr().out
    assert "accuracy at 14 images" in said
    assert "labelled images on 2 seeds; with so few nothing can be concluded." in said
    results = json.loads((out / "results.json").read_text())
    first = results["rows"][0]
    assert 0 < first["accuracy"] <= 1
    assert not {"ap50", "ap50_at_half", "boxes"} & set(first)
    assert "accuracy" in results["summary"][0]
    table = list(csv.DictReader((out / "results.csv").open()))
    assert {"accuracy", "accuracy_0", "picked_images", "picked_wrong"} <= set(table[0])
    report = (out / "report.html").read_text()
    for word in ("AP50", "frame", "clip", "boxes"):
        assert word not in report.split("<body>")[1].split('id="run"')[0].lower()
    main(["images", "simulate", str(config()), "--out", str(out), "--report-only", "--json"])
    assert json.loads(capsys.readouterr().out)["rows"] == results["rows"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("budget: 6", "budgt: 6"), "unknown key 'budgt'"),
        (("steps: 15", "stepz: 15"), "unknown key of training 'stepz'"),
        (("steps: 15", "recipe: big"), "unknown training recipe 'big'"),
        (("batch: 16", "batch: 0"), "training: batch 0 is not a number of at least 1"),
        (("steps: 15", "dropout: 1.5"), "training: dropout 1.5 is not in [0, 1)"),
        (("steps: 15", "lr: .nan"), "training: lr nan is not a number above 0"),
        (("steps: 15", "lr: .inf"), "training: lr inf is not a number above 0"),
        (("widths: [4", "widths: [0"), "training: widths (0, 8, 8): one is below 1"),
        (("steps: 15", "stride: 0"), "training: stride 0 is not a number of at least 1"),
        (("steps: 15", "drops: [2]"), "training: drops (2.0,): shares of the steps"),
        (("steps: 15", "momentum: 0"), "training: nesterov without momentum"),
        (("steps: 15, epochs: 1", "steps: 0, epochs: 0"), "nothing would be trained"),
        (("width: 4", "width: 0"), "evidence.vaal: width 0 is not a number of at least 1"),
        (("device: cpu", "pretrain: {lr: .inf}"), "pretrain: lr inf is not a number above 0"),
        (("device: cpu", 'imbalance: 0.5\nrare: ["0", "1", "2", "3"]'), "rare: all of the classes"),
        (("device: cpu", "imbalance: 0.5\nrare: []"), "rare: none of the classes"),
        (("votes: 3", "votes: 1"), "evidence.votes 1"),
        (("width: 4", "widht: 4"), "unknown key of evidence.vaal 'widht'"),
        (("initial: 8", "initial: 121"), "121 initial images of 120"),
        (("initial: 8", "initial: none"), "budget 'none'"),
        (("budget: 6", "budget: 57"), "3 rounds would label 122 images, and the pool has 120"),
        (("data: {path", "data: {pool: 500, path"), "500 of 120 training images"),
        (("data: {path", "data: {known: 9, path"), "9 of 4 classes"),
        (("data: {path", "data: {test_images: 99, path"), "99 of 60 test images"),
        (("[entropy]", "[entrpy]"), "unknown strategy 'entrpy'"),
        (("seeds: 2", "seeds: 2\n  variants: {a/b: {strategy: margin}}"), "no name for a folder"),
        (("seeds: 2", "seeds: 2\n  variants: {margin: {strategy: margin}}"), "is taken"),
        (("seeds: 2", "seeds: 2\n  variants: {a: {strategy: margin, balance: -1}}"), "balance"),
        (("device: cpu", "imbalance: 0"), "imbalance 0"),
        (("device: cpu", "device: tpu"), "unknown device 'tpu'"),
        (("device: cpu", "imbalance: 0.5\nrare: [x]"), "unknown class 'x'"),
        (("device: cpu", 'rare: ["1"]'), "need an imbalance below 1"),
        (("steps: 15", "dropout: 0.0"), "no dropout, so all passes agree"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(config, tmp_path, capsys, change, why):
    file = config()
    text = file.read_text()
    assert change[0] in text
    file.write_text(text.replace(*change))
    asked = ["--strategies", "bald"] if "dropout" in change[1] else []
    said = refused(capsys, "simulate", file, "--out", tmp_path / "out", "--quiet", *asked)
    assert why in said


def test_a_report_of_nothing_is_refused(config, tmp_path, capsys):
    text = refused(capsys, "simulate", config(), "--out", tmp_path / "out", "--report-only")
    assert "no simulation was begun here" in text


def test_a_folder_of_results_is_named_after_the_pool(config):
    loaded = load_images_config(config())
    assert image_pools.folder_name(loaded) == "simulation-four"
    thinned = loaded.with_data(None, 0.1)
    assert image_pools.folder_name(thinned) == "simulation-four-imbalance-0.1"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_files_that_come_with_vidal_can_be_planned(path, tmp_path):
    loaded = load_images_config(path)
    for names in (loaded.simulation.strategies, tuple(loaded.simulation.variants)):
        plan_images(loaded, strategies=names, seeds=1, rounds=2, out=tmp_path)


@pytest.mark.slow
def test_worker_processes_give_the_bits_of_this_process(config, tmp_path):
    alone = simulated(config(), tmp_path / "a", ["entropy"], seeds=2)[1]
    plan = planned(config(), tmp_path / "b", ["entropy"], seeds=2)
    two = simulate_images(replace(plan, engines=replace(plan.engines, workers=2)), Quiet())
    assert rows(two) == rows(alone)
