"""Class balance as a user asks for it: on the command line, in a campaign, in a simulation."""

import json
from pathlib import Path

import numpy as np
import pytest

import vidal
from tests.campaign.test_simulate import CONFIG, Told, a_plan, of
from vidal.assemble.campaign import check_config, plan_round
from vidal.assemble.simulation import simulate
from vidal.campaign.config import load_config
from vidal.campaign.folder import open_campaign
from vidal.cli import main
from vidal.errors import UnknownName, UsageError

OPTIONS = ("--detector", "scenes-tiny", "--device", "cpu", "--workers", "1", "--quiet")


@pytest.fixture(scope="module")
def some_labels(rendered, tmp_path_factory):
    """Labels of every fourth frame of the first clip."""
    table = json.loads((rendered / "labels.coco.json").read_text())
    first = table["videos"][0]["id"]
    table["images"] = [i for i in table["images"] if i["video_id"] == first][::4]
    kept = {image["id"] for image in table["images"]}
    table["annotations"] = [a for a in table["annotations"] if a["image_id"] in kept]
    path = tmp_path_factory.mktemp("labels") / "some.coco.json"
    path.write_text(json.dumps(table))
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def select(rendered, out, cache, *more) -> int:
    command = ["select", "--videos", rendered / "clips", "--out", out, "--cache", cache, *OPTIONS]
    wanted = ["--budget", "6", "--strategy", "entropy", "--threshold", "0.3", "--gap", "2", *more]
    try:
        return int(main([str(each) for each in (*command, *wanted)]) or 0)
    except SystemExit as error:
        return int(error.code or 0)


def query_of(out: Path) -> dict:
    return json.loads((out / "query.json").read_text())


def test_select_says_what_it_weighed_and_what_every_frame_brings(
    rendered, some_labels, cache, tmp_path
):
    more = ("--labels", some_labels, "--balance", "auto", "--class-weights", "cyclist=3")
    assert select(rendered, tmp_path / "out", cache, *more) == 0
    query = query_of(tmp_path / "out")
    told = query["balance"]
    assert told["chosen_by_itself"]
    assert 0 < told["lambda"] <= 3
    assert told["unit"] == "nats"
    assert told["wanted_shares"]["cyclist"] == 0.5
    assert sum(told["labelled_before"].values()) > 0
    assert 0 <= told["l1_score_expected_after"] <= 1
    assert 0 <= told["certified_gap"] < 0.1
    assert query["settings"]["balance"] == "auto"
    assert query["settings"]["class_weights"] == {"cyclist": 3}
    assert any(note.startswith("Class balance (lambda") for note in query["notes"])
    assert "Class balance (lambda" in (tmp_path / "out" / "report.html").read_text()
    assert all("; brings " in frame["reason"] for frame in query["frames"])
    assert all(frame["parts"]["brings"] >= 0 for frame in query["frames"])
    total = sum(frame["parts"]["brings"] for frame in query["frames"])
    assert total == pytest.approx(sum(told["expected_to_bring"].values()), abs=1e-3)
    for clip in {frame["clip"] for frame in query["frames"]}:
        mine = np.sort([f["ordinal"] for f in query["frames"] if f["clip"] == clip])
        assert (np.diff(mine) > 2).all()


def test_balance_brings_the_labels_nearer_to_even_and_0_is_the_plain_order(
    rendered, some_labels, cache, tmp_path
):
    after = []
    for lam in ("0", "0.2", "5"):
        more = ("--labels", some_labels, "--balance", lam, "--no-report")
        assert select(rendered, tmp_path / lam, cache, *more) == 0
        told = query_of(tmp_path / lam)["balance"]
        left = [told["target"][n] - told["expected_to_bring"][n] for n in told["target"]]
        after.append(np.abs(left).sum())
    assert after[0] > after[2]
    assert after[0] + 1e-6 >= after[1] >= after[2] - 1e-6


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--balance", "much"), "balance 'much' is neither a number of at least 0 nor auto"),
        (("--balance", "-1"), "balance -1.0 is not a number from 0 to"),
        (("--balance", "inf"), "balance inf is not a number from 0 to"),
        (("--balance", "1e308"), "balance 1e+308 is not a number from 0 to"),
        (("--balance", "1", "--class-weights", "car=1e308"), "class weight of car: '1e308'"),
        (("--balance", "1", "--strategy", "entropy-l1-pseudo-label"), "evens out the classes"),
        (("--class-weights", "cyclist=3"), "class weights without balance"),
        (("--balance", "1", "--class-weights", "tram=3"), "class weights 'tram'"),
        (("--balance", "1", "--class-weights", "cyclist"), "'cyclist' is not CLASS=NUMBER"),
        (("--balance", "1", "--class-weights", "cyclist=x"), "class weight of cyclist: 'x'"),
        (("--balance", "1", "--class-weights", "car=1,car=2"), "car is given twice"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(rendered, cache, tmp_path, more, words, capsys):
    assert select(rendered, tmp_path / "out", cache, *more) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out" / "query.json").exists()


def test_the_python_door_balances_too(rendered, cache):
    chosen = vidal.select(
        rendered / "clips",
        budget=3,
        strategy="entropy",
        balance=0.5,
        class_weights={"wheelchair": 2},
        detector="scenes-tiny",
        threshold=0.3,
        cache=cache,
        workers=1,
        progress=False,
    )
    assert len(chosen.frames) == 3
    assert "brings" in chosen.frames[0].parts
    with pytest.raises(UsageError, match="balance: 'much' is not a number"):
        vidal.select(rendered / "clips", balance="much", progress=False)


def test_a_campaign_refuses_balance_that_cannot_be_meant(tmp_path):
    file = tmp_path / "campaign.yaml"
    for wrong, error in (
        ("balance: on", "balance"),
        ("balance: -1", "balance"),
        ("class_weights: {car: 2}", "without balance"),
    ):
        file.write_text(CONFIG.replace("selection: {", f"selection: {{{wrong}, "))
        with pytest.raises(UsageError, match=error):
            check_config(load_config(file))
    file.write_text(
        CONFIG.replace("selection: {", "selection: {balance: auto, class_weights: {tram: 2}, ")
    )
    with pytest.raises(UnknownName, match="tram"):
        check_config(load_config(file))


def test_only_the_configured_strategy_of_a_simulation_is_under_balance(tmp_path):
    file = tmp_path / "even.yaml"
    asked = "selection: {strategy: entropy, balance: 2, class_weights: {car: 2}, "
    file.write_text(CONFIG.replace("selection: {", asked))
    plan = a_plan(file, tmp_path / "out", strategies=["entropy", "margin", "oracle-fp"])
    for name in ("random", "random-r", "margin", "oracle-fp", "all-data", "initial"):
        assert plan.job(name, 0).config.selection.balance is None, name
    assert plan.job("entropy", 0).config.selection.balance == 2
    assert plan.job("entropy", 0).config.selection.class_weights == {"car": 2}


def test_given_detections_without_pixels_are_balanced_too(tmp_path):
    boxes = [{"xyxy": [1, 1, 20, 20], "label": name, "score": 0.6} for name in ("car", "cyclist")]
    rows = [{"frame": frame, "dets": [boxes[frame % 5 == 0]]} for frame in range(60)]
    file = tmp_path / "found.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    chosen = vidal.select(
        detections=file,
        budget=8,
        strategy="entropy",
        balance=3,
        gap=1,
        size="100x80",
        cache=tmp_path / "cache",
        progress=False,
    )
    brought = sum(frame.index % 5 == 0 for frame in chosen.frames)
    assert brought == 4


def test_a_simulation_compares_a_variant_with_balance_and_says_how_even_labels_are(tmp_path):
    file = tmp_path / "even.yaml"
    variants = "simulation: {variants: {even: {strategy: entropy, balance: 1.0}}}\n"
    file.write_text(CONFIG + variants)
    plan = a_plan(file, tmp_path / "out", strategies=["even"], all_data=False)
    result = simulate(plan, Told())
    assert [row.labelled for row in of(result, "even")] == [3, 5]
    assert all(0 <= row.l1_score <= 1 for row in result.rows)
    with open_campaign(tmp_path / "out/runs/even-0", lock=False) as campaign:
        assert plan_round(campaign).plan.settings["balance"] == 1
    line = next(each for each in result.summaries() if each.strategy == "even")
    assert line.l1_score == of(result, "even")[-1].l1_score
