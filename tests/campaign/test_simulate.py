"""A whole simulation on a few small frames: the steps of a campaign, shared starts, resuming."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vidal.assemble.campaign import plan_round
from vidal.assemble.simulation import plan_simulated, plan_simulation, simulate
from vidal.campaign.config import load_config
from vidal.campaign.folder import open_campaign
from vidal.cli import main
from vidal.engine import LocalEngine
from vidal.evaluate.curves import ALL_DATA
from vidal.simulation.runs import RunJob
from vidal.simulation.scores import scores_of

CONFIG = """
name: tiny
data:
  scenes: {clips: 2, test_clips: 1, seed: 3, frames: 10-10, rate: 10, size: 96x64}
  classes: [car, pedestrian, cyclist, wheelchair]
  conditions: {rain: "*-rain-*"}
detector: {name: scenes-tiny, start: fresh, device: cpu}
selection: {gap: 1, initial: 3, budget: 2, threshold: 0.3}
training: {initial_epochs: 2, epochs: 1}
rounds: 2
workers: 1
"""
STRATEGIES = ["random", "random-r", "every-nth", "temporal-coherence", "oracle-fp"]
WANTED = STRATEGIES[3:]


class Told:
    """Stages that remember, and interrupt at a given number of reports."""

    def __init__(self, stop_at=None):
        self.items, self.reports, self.stop_at = [], 0, stop_at

    def begin(self, title, names, units):
        self.items += [(title, name) for name in names]
        return self.listen

    def listen(self, item, done, total):
        assert 0 <= done <= total
        self.reports += 1
        if self.reports == self.stop_at:
            raise KeyboardInterrupt

    def finish(self, item):
        pass

    def end(self):
        pass


def one_thread(items, *, heavy, listener=None):
    """Threads wait for each other where cores are shared; this work is too small for two."""
    torch.set_num_threads(1)
    return LocalEngine(listener)


def a_plan(config, out, **changes):
    asked = {"strategies": WANTED, "seeds": 1, "rounds": 2, "all_data": True, **changes}
    return replace(plan_simulation(load_config(config), out=out, **asked), engines=one_thread)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def done(config, tmp_path_factory):
    """A folder with a finished simulation, and its result; do not change it."""
    out = tmp_path_factory.mktemp("simulation")
    return out, simulate(a_plan(config, out), Told())


def of(result, strategy):
    return [row for row in result.rows if row.strategy == strategy]


def test_every_strategy_has_a_row_a_round_and_the_same_number_of_labels(done):
    for name in STRATEGIES:
        assert [(row.round, row.labelled) for row in of(done[1], name)] == [(0, 3), (1, 5)]


def test_baselines_run_without_being_asked_for(done):
    assert done[1].strategies == ("random", "random-r", "every-nth", *WANTED)


def test_runs_of_a_seed_share_labels_and_model_of_the_initial_round(done):
    first = [replace(of(done[1], name)[0], strategy="any") for name in STRATEGIES]
    assert all(row == first[0] for row in first)
    queries, models = set(), set()
    for name in ("initial", *STRATEGIES):
        with open_campaign(done[0] / "runs" / f"{name}-0", lock=False) as campaign:
            queries.add(tuple(campaign.record.queried_in(0)))
            detail = next(d for r, kind, d in campaign.record.events() if kind == "trained")
            models.add(detail["weights"])
    assert len(queries) == len(models) == 1


def test_what_was_picked_is_judged_except_for_the_initial_labels(done):
    for name in STRATEGIES:
        first, second = of(done[1], name)
        assert first.picks is None
        assert second.picks.frames == 2
        assert second.picks.misses is not None


def test_the_judged_test_clips_of_every_round_are_kept_and_give_its_numbers(done):
    rows, out = done[1].rows, done[0]
    for row in rows:
        job = RunJob(out, load_config(out / "simulation.yaml"), row.strategy, 2, plan_simulated)
        scores = scores_of(job)[row.round]
        assert scores.ap50() == pytest.approx([row.ap50], abs=1e-12)
        (each,) = scores.class_aps(np.ones((1, 1), int))
        due = [row.classes[name] for name in scores.scored.classes]
        np.testing.assert_allclose(each, np.array(due, float), rtol=0, atol=1e-12)


def test_a_result_holds_scores_of_every_row_and_the_conditions_of_pool_and_picks(done):
    result = done[1]
    assert set(result.scores) == {(row.strategy, row.seed, row.round) for row in result.rows}
    assert result.results.resampled
    assert result.pool_conditions == {"rain": 0.5}
    for name in STRATEGIES:
        second = of(result, name)[1]
        assert set(second.picks.conditions) == {"rain"}
        assert 0 <= second.picks.conditions["rain"] <= 2


def test_all_data_is_trained_on_every_frame_of_the_pool(done):
    (row,) = of(done[1], ALL_DATA)
    assert row.labelled == 20


def test_runs_leave_their_newest_model_and_no_evidence(done):
    for name in STRATEGIES:
        run = done[0] / "runs" / f"{name}-0"
        assert not (run / "evidence").exists()
        assert [path.name for path in (run / "models").iterdir()] == ["round-001.safetensors"]


def test_a_finished_simulation_is_told_again_without_running_anything(config, done):
    told = Told()
    again = simulate(a_plan(config, done[0]), told)
    assert told.items == []
    assert again.rows == done[1].rows


def test_an_interrupted_simulation_ends_with_the_rows_of_an_undisturbed_one(config, done, tmp_path):
    shutil.copytree(done[0] / "scenes", tmp_path / "scenes")
    interruptions = 0
    for stop_at in (2, 9, 17, 23):
        try:
            simulate(a_plan(config, tmp_path), Told(stop_at))
        except KeyboardInterrupt:
            interruptions += 1
    result = simulate(a_plan(config, tmp_path), Told())
    assert interruptions >= 3
    assert result.rows == done[1].rows


def test_a_simulation_runs_with_the_tracker_of_its_configuration(done, tmp_path):
    file = tmp_path / "sparse.yaml"
    file.write_text(CONFIG.replace("selection: {", "selection: {tracker: sparse, "))
    out = tmp_path / "out"
    shutil.copytree(done[0] / "scenes", out / "scenes")
    wanted = ["temporal-coherence"]
    result = simulate(a_plan(file, out, strategies=wanted, all_data=False), Told())
    assert [row.labelled for row in of(result, "temporal-coherence")] == [3, 5]
    with open_campaign(out / "runs/temporal-coherence-0", lock=False) as campaign:
        assert plan_round(campaign).plan.settings["tracker"]["tracker"] == "sparse"


def test_a_variant_may_train_on_pseudo_labels_and_its_rows_say_what_they_were(done, tmp_path):
    file = tmp_path / "pseudo.yaml"
    variant = "{strategy: random-r, training: {pseudo_labels: {run: 1, confidence: 0.0}}}"
    file.write_text(CONFIG + f"simulation: {{variants: {{taught: {variant}}}}}\n")
    out = tmp_path / "out"
    shutil.copytree(done[0] / "scenes", out / "scenes")
    result = simulate(a_plan(file, out, strategies=["taught"], all_data=False), Told())
    first, second = of(result, "taught")
    assert first.pseudo_labels is None  # the initial round is shared by all runs of its seed
    assert second.pseudo_labels["teacher"] == 0
    assert second.pseudo_labels["right"] <= second.pseudo_labels["boxes"]
    assert second.labelled == of(result, "random-r")[1].labelled == 5
    assert of(result, "random-r")[1].pseudo_labels is None
    assert any("taught: trained on pseudo-labels, too" in note for note in result.notes)
    with open_campaign(out / "runs/taught-0", lock=False) as campaign:
        assert campaign.config.training.pseudo_labels.run == 1
        assert campaign.config.selection.strategy == "random-r"


def test_an_option_of_a_variants_training_that_does_not_exist_is_refused(config, tmp_path, capsys):
    for text, what in (("{epochs: 3}", "epochs"), ("{pseudo_labels: {rum: 3}}", "rum")):
        file = tmp_path / "wrong.yaml"
        variant = f"{{strategy: random-r, training: {text}}}"
        file.write_text(CONFIG + f"simulation: {{variants: {{taught: {variant}}}}}\n")
        assert what in refused(capsys, "simulate", file, "--out", tmp_path / "out")


def test_seeds_and_strategies_may_be_added_to_what_is_there(config, done, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(done[0], out)
    told = Told()
    more = a_plan(config, out, strategies=[*WANTED, "oracle-fn"], all_data=False)
    result = simulate(more, told)
    assert [each for each in told.items if each[0] == "runs"] == [("runs", "oracle-fn-0")]
    assert [row.round for row in of(result, "oracle-fn")] == [0, 1]


def test_a_report_of_an_unfinished_simulation_says_what_is_missing(config, done, tmp_path, capsys):
    out = tmp_path / "copy"
    shutil.copytree(done[0], out)
    (out / "runs" / "every-nth-0" / "rows" / "round-001.json").unlink()
    asked = ["simulate", str(config), "--strategies", ",".join(WANTED), "--seeds", "1"]
    main([*asked, "--out", str(out), "--report-only", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert "1 run is not finished" in found["notes"][0]
    assert "every-nth" not in {row["strategy"] for row in found["rows"]}
    assert "no simulation was begun" in refused(capsys, *asked, "--out", tmp_path, "--report-only")


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as ending:
        main([str(argument) for argument in arguments])
    assert ending.value.code == 2
    return capsys.readouterr().err


def test_a_folder_of_another_configuration_is_refused(config, done, tmp_path, capsys):
    other = tmp_path / "other.yaml"
    other.write_text(CONFIG.replace("gap: 1", "gap: 2"))
    said = refused(capsys, "simulate", other, "--out", done[0])
    assert "a simulation of another configuration" in said


def test_an_unknown_strategy_is_refused_with_the_choices(config, tmp_path, capsys):
    said = refused(capsys, "simulate", config, "--strategies", "oracle", "--out", tmp_path / "o")
    assert "unknown strategy 'oracle'" in said
    assert "oracle-fp" in said


def test_data_without_labels_are_refused(done, tmp_path, capsys):
    clips = next(done[0].glob("scenes/train-*/clips"))
    config = tmp_path / "bare.yaml"
    config.write_text(f"data: {{videos: {clips}, classes: [car]}}\n")
    said = refused(capsys, "simulate", config, "--out", tmp_path / "o")
    assert "not all of its frames are labelled" in said
    assert not (tmp_path / "o" / "simulation.yaml").exists()  # free for the next try


def test_the_command_writes_results_and_report(config, done, capsys):
    names = ",".join(WANTED)
    main(["simulate", str(config), "--strategies", names, "--seeds", "1", "--out", str(done[0])])
    said = capsys.readouterr().out
    assert "all-data" in said
    assert "nothing can be concluded" in said
    loaded = json.loads((done[0] / "results.json").read_text())
    assert len(loaded["rows"]) == len(done[1].rows)
    assert (done[0] / "report.html").stat().st_size > 10_000


def a_model(done):
    return next((done[0] / "runs" / "random-0" / "models").glob("*.safetensors"))


def labelled(done, split):
    folder = next(done[0].glob(f"scenes/{split}-*"))
    return ["--videos", folder / "clips", "--labels", folder / "labels.coco.json"]


def test_evaluation_on_clips_of_the_training_is_refused_by_name(done, capsys):
    said = refused(capsys, "evaluate", *labelled(done, "train"), "--weights", a_model(done))
    assert "was trained on" in said
    trained = [path.stem for path in done[0].glob("scenes/train-*/clips/*.mp4")]
    assert any(name in said for name in trained)


def test_a_renamed_copy_of_a_training_clip_is_refused_too(done, tmp_path, capsys):
    videos, labels = tmp_path / "clips", json.loads(labelled(done, "train")[3].read_text())
    shutil.copytree(labelled(done, "train")[1], videos)
    for video in labels["videos"]:
        name = Path(video["name"]).name
        (videos / f"{name}.mp4").rename(videos / f"other-{name}.mp4")
        video["name"] = f"other-{name}"
        video.pop("file_name")
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(labels))
    said = refused(
        capsys, "evaluate", "--videos", videos, "--labels", file, "--weights", a_model(done)
    )
    assert "was trained on" in said


def test_evaluation_on_other_clips_gives_the_row_of_the_simulation(done, capsys):
    main([*map(str, ["evaluate", *labelled(done, "test"), "--weights", a_model(done)]), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["map50"] == pytest.approx(of(done[1], "random")[-1].ap50, abs=1e-9)
    assert found["frames"] == 10
    assert set(found["classes"]) == {"car", "pedestrian", "cyclist", "wheelchair"}


def test_a_campaign_is_evaluated_on_its_test_clips_with_its_queries(done, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(done[0] / "runs" / "temporal-coherence-0", folder)
    main(["evaluate", str(folder), "--json", "--round", "1", "--no-queries"])
    found = json.loads(capsys.readouterr().out)
    assert found["map50"] == pytest.approx(of(done[1], "temporal-coherence")[-1].ap50, abs=1e-9)


def test_the_report_of_a_campaign_draws_the_curve_of_its_models(done, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(done[0] / "runs" / "temporal-coherence-0", folder)
    main(["report", str(folder), "--quiet", "--target", "0.9"])
    assert str(folder / "report.html") in capsys.readouterr().out
    told = json.loads((folder / "report.json").read_text())
    (point,), last = told["curve"], of(done[1], "temporal-coherence")[-1]
    assert (point["round"], point["labelled"]) == (1, last.labelled)
    assert point["ap50"] == pytest.approx(last.ap50, abs=1e-9)
    # The first model of a simulation lies with the other strategies' beginning.
    assert "The model of round 0 is not in the curve: it is not there." in told["notes"]
    assert told["curve"][0]["low"] is None
    assert "An interval needs 3 test clips with labels; there is one." in told["notes"]
    assert "needs models of 4 rounds" in told["outlook"]["refused"]
    assert told["outlook"]["target"] == 0.9
    assert sum(each["labelled"] for each in told["rounds"]) == told["frames"]["labelled"]
    main(["report", str(folder), "--quiet", "--quick", "--out", str(tmp_path / "quick")])
    quick = json.loads((tmp_path / "quick" / "report.json").read_text())
    assert quick["curve"] == []
    assert "--quick" in quick["notes"][0]
    assert quick["rounds"] == [{**each, "report": ""} for each in told["rounds"]]


def test_options_of_a_campaign_and_of_clips_do_not_mix(done, capsys):
    assert "--round needs a campaign" in refused(
        capsys, "evaluate", *labelled(done, "test"), "--round", "1"
    )
    run = done[0] / "runs" / "random-0"
    assert "--iou is settled by the campaign" in refused(capsys, "evaluate", run, "--iou", "0.7")
    assert "nothing to evaluate" in refused(capsys, "evaluate")
