"""Budgets in boxes and time as a user gives them: on the command line, in a campaign, simulated."""

import json
from pathlib import Path

import pytest
import yaml

import vidal
from tests.campaign.test_simulate import CONFIG, Told, a_plan, of
from vidal.assemble.simulation import simulate
from vidal.campaign.config import load_config
from vidal.cli import main
from vidal.errors import BudgetError, UsageError

OPTIONS = ("--detector", "scenes-tiny", "--device", "cpu", "--workers", "1", "--quiet")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def run(*arguments) -> int:
    try:
        return int(main([str(each) for each in arguments]) or 0)
    except SystemExit as error:
        return int(error.code or 0)


def select(rendered, out, cache, *more) -> int:
    command = ["select", "--videos", rendered / "clips", "--out", out, "--cache", cache, *OPTIONS]
    return run(*command, "--threshold", "0.3", "--gap", "2", *more)


def query_of(out: Path) -> dict:
    return json.loads((out / "query.json").read_text())


@pytest.mark.parametrize("strategy", ["entropy", "random", "every-nth", "known unknown"])
def test_a_budget_of_boxes_holds_for_strategies_with_and_without_a_detector(
    rendered, cache, tmp_path, strategy
):
    if strategy == "known unknown":  # a share that is drawn beside it, and class balance
        strategy = ("entropy", "--random-share", "0.3", "--balance", "1")
    else:
        strategy = (strategy,)
    more = ("--strategy", *strategy, "--budget", "60boxes", "--no-report")
    assert select(rendered, tmp_path / "out", cache, *more) == 0
    query = query_of(tmp_path / "out")
    assert query["budget"]["unit"] == "boxes"
    assert query["budget"]["selected"] == len(query["frames"]) > 2
    expected = query["cost"]["expected"]
    assert 40 < expected["boxes"] <= 60
    assert query["cost"]["rates"] == {"frame": 2.0, "box": 7.0, "known": 1.0, "unknown": 1.0}
    assert query["settings"]["cost"] == query["cost"]["rates"]


def test_a_budget_of_time_holds_at_the_stated_rates_and_more_time_is_more_frames(
    rendered, cache, tmp_path
):
    counts = []
    for budget, cost in (("5min", "box=7"), ("5min", "box=3.5s,frame=1"), ("0.2h", "box=7")):
        out = tmp_path / f"{budget}-{cost}"
        more = ("--strategy", "entropy", "--budget", budget, "--cost", cost, "--no-report")
        assert select(rendered, out, cache, *more) == 0
        told = query_of(out)["cost"]["expected"]
        assert told["hours"] <= (0.2 if budget == "0.2h" else 5 / 60)
        counts.append(told["frames"])
    assert counts[0] < counts[1]
    assert counts[0] < counts[2]


def test_rates_and_expected_cost_are_printed_and_in_the_report(rendered, cache, tmp_path, capsys):
    more = ("--strategy", "entropy", "--budget", "5%", "--cost", "box=9s,unknown=0.5")
    assert select(rendered, tmp_path / "out", cache, *more) == 0
    rates = "2 s a frame, 9 s a box, an unknown object counts 0.5"
    assert f"at {rates}" in capsys.readouterr().out
    assert rates in (tmp_path / "out" / "report.html").read_text()
    assert "unit" not in query_of(tmp_path / "out")["budget"]


def test_a_dry_run_says_how_the_budget_is_counted(rendered, cache, tmp_path, capsys):
    assert select(rendered, tmp_path / "out", cache, "--budget", "6h", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "would choose frames for 6h, from 120 frames of 3 clips (at 2 s a frame" in said


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--budget", "10%boxes"), "budget '10%boxes': a share of boxes or of time"),
        (("--budget", "6hh"), "budget '6hh': not a number of frames"),
        (("--budget", "1boxes"), "pays for no frame: the cheapest is expected to cost"),
        (("--budget", "0.1min"), "pays for no frame: the cheapest is expected to cost"),
        (("--budget", "9boxes", "--threshold", "1"), "no object is expected in any frame"),
        (("--cost", "box=x"), "cost: box 'x' is not seconds"),
        (("--cost", "price=3"), "rate of cost 'price'"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(rendered, cache, tmp_path, more, words, capsys):
    assert select(rendered, tmp_path / "out", cache, "--strategy", "entropy", *more) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out" / "query.json").exists()


def test_more_time_than_there_are_frames_for_is_said(rendered, cache, tmp_path, capsys):
    more = ("--strategy", "random-r", "--budget", "100h", "--no-report")
    assert select(rendered, tmp_path / "out", cache, *more) == 0
    assert "of the budget of 100h: of the others none that fits" in capsys.readouterr().out
    more = ("--strategy", "random", "--budget", "100h", "--no-report")
    assert select(rendered, tmp_path / "all", cache, *more) == 0
    assert "of the budget of 100h: there are no others." in capsys.readouterr().out


def test_the_python_door_takes_budgets_and_rates(rendered, cache):
    chosen = vidal.select(
        rendered / "clips",
        budget="40boxes",
        cost={"unknown": 0.5},
        strategy="entropy",
        detector="scenes-tiny",
        threshold=0.3,
        cache=cache,
        workers=1,
        progress=False,
    )
    assert chosen.result.expected_cost.boxes <= 40
    assert chosen.result.expected_cost.cost.unknown == 0.5
    assert "40boxes, from 120 frames" in repr(chosen)
    with pytest.raises(UsageError, match="cost"):
        vidal.select(rendered / "clips", budget="6h", cost=7, progress=False)
    with pytest.raises(BudgetError):
        vidal.select(rendered / "clips", budget="6 apples", progress=False)


def test_a_configuration_takes_rates_and_refuses_what_nobody_can_count(tmp_path):
    file = tmp_path / "campaign.yaml"

    def config(selection, detector="{name: scenes-tiny}"):
        file.write_text(f"data: {{videos: .}}\ndetector: {detector}\nselection: {selection}\n")
        return load_config(file)

    found = config("{budget: [100boxes, 6h, 2%], cost: {box: 9s, unknown: 0.5}}").selection
    assert (found.budget_of(1), found.budget_of(2), found.budget_of(9)) == ("100boxes", "6h", "2%")
    assert (found.cost.box, found.cost.unknown) == (9.0, 0.5)
    assert config("{cost: 'frame=1,box=5'}").selection.cost.frame == 1
    assert config("{initial: 30boxes}").selection.initial == "30boxes"
    for wrong, words in (
        ("{budget: 10%boxes}", "a share of boxes"),
        ("{cost: {price: 3}}", "rate of cost 'price'"),
        ("{cost: [1]}", "neither rates by name"),
    ):
        with pytest.raises(UsageError, match=words):
            config(wrong)
    with pytest.raises(UsageError, match="random weights") as refused:
        config("{initial: 30boxes}", "{name: scenes-tiny, start: fresh}")
    assert "number of frames" in str(refused.value.hint)


@pytest.fixture(scope="module")
def campaign(rendered, tmp_path_factory):
    """A campaign whose first round is asked for in boxes and answered but for one frame."""
    folder = tmp_path_factory.mktemp("campaign") / "work"
    begin = ("init", folder, "--videos", rendered / "clips", "--detector", "scenes-tiny")
    rates = ("--initial", "50boxes", "--budget", "5min", "--cost", "unknown=0.5")
    classes = ("--classes", "car,pedestrian", "--device", "cpu", "--set", "workers=1")
    more = ("--set", "training.epochs=1", "--set", "selection.threshold=0.3")
    assert run(*begin, *rates, *classes, *more) == 0
    assert run("select", "--campaign", folder, "--quiet", "--no-report") == 0
    return folder


def state_of(folder, capsys):
    capsys.readouterr()
    assert run("status", folder, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_a_campaign_tells_the_expected_cost_and_after_the_answers_the_real_one(
    campaign, rendered, capsys
):
    before = state_of(campaign, capsys)["cost"]
    (first,) = before["rounds"]
    assert 0 < first["expected"]["boxes"] <= 50
    assert first["real"] is None
    assert before["rates"]["unknown"] == 0.5

    assert run("import", campaign, "--from", rendered / "labels.coco.json", "--empty-ok") == 0
    after = state_of(campaign, capsys)["cost"]
    real = after["rounds"][0]["real"]
    truth = json.loads((rendered / "labels.coco.json").read_text())
    names = {each["id"]: each["name"] for each in truth["categories"]}
    videos = {each["id"]: each["name"] for each in truth["videos"]}
    asked = {
        (Path(frame["path"]).stem, frame["ordinal"])
        for frame in query_of(campaign / "queries" / "round-000")["frames"]
    }
    images = {
        image["id"]
        for image in truth["images"]
        if (Path(videos[image["video_id"]]).stem, image["frame_id"]) in asked
    }
    boxes = [names[a["category_id"]] for a in truth["annotations"] if a["image_id"] in images]
    known = sum(name in ("car", "pedestrian") for name in boxes)
    assert (real["frames"], real["known"]) == (len(asked), known)
    assert real["boxes"] == known + 0.5 * real["unknown"]
    assert after["real"] == real
    assert run("status", campaign) == 0
    said = capsys.readouterr().out
    assert "cost at 2 s a frame, 7 s a box, an unknown object counts 0.5:" in said
    assert "round 0: expected " in said
    assert "; real " in said


def test_what_is_kept_as_unknown_is_neither_a_class_in_other_letters_nor_an_ignored_region(
    rendered, tmp_path, capsys
):
    folder = tmp_path / "work"
    begin = ("init", folder, "--videos", rendered / "clips", "--detector", "scenes-tiny")
    more = (
        "--initial",
        "5",
        "--classes",
        "car,pedestrian",
        "--device",
        "cpu",
        "--set",
        "workers=1",
    )
    assert run(*begin, *more) == 0
    assert run("select", "--campaign", folder, "--quiet", "--no-report") == 0
    labels = json.loads((rendered / "labels.coco.json").read_text())
    for each in labels["categories"]:
        if each["name"] not in ("car", "pedestrian"):
            each["name"] = "odd"
        each["name"] = each["name"].upper()
    labels["categories"].append({"id": 99, "name": "DontCare"})
    for each in labels["annotations"][::4]:
        each |= {"category_id": 99, "iscrowd": 1}
    odd = {each["id"] for each in labels["categories"] if each["name"] == "ODD"}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    capsys.readouterr()
    arguments = ("import", folder, "--from", tmp_path / "labels.json", "--empty-ok")
    assert run(*arguments, "--json") == 0
    told = json.loads(capsys.readouterr().out)["unknown"]
    assert set(told) <= {"ODD"}
    assert odd
    real = state_of(folder, capsys)["cost"]["real"]
    assert real["known"] > 0
    assert real["unknown"] == sum(told.values())


def test_a_round_is_told_as_it_was_asked_for_whatever_the_configuration_says_now(
    campaign, tmp_path
):
    assert run("report", campaign, "--round", "0", "--out", tmp_path / "then", "--quiet") == 0
    config = campaign / "campaign.yaml"
    before = config.read_text()
    values = yaml.safe_load(before)
    values["selection"] |= {"initial": "1", "initial_strategy": "every-nth", "threshold": 0.9}
    values["selection"] |= {"gap": 0, "cost": {"box": 14}}
    config.write_text(yaml.safe_dump(values))
    try:
        assert run("report", campaign, "--round", "0", "--out", tmp_path / "now", "--quiet") == 0
    finally:
        config.write_text(before)
    then, now = query_of(tmp_path / "then"), query_of(tmp_path / "now")
    assert then["budget"] == now["budget"]
    assert now["budget"]["text"] == "50boxes"
    assert [then["frames"], then["strategy"]] == [now["frames"], now["strategy"]]
    assert now["cost"]["rates"]["box"] == 14  # rates may be changed afterwards
    assert now["cost"]["expected"]["known"] == then["cost"]["expected"]["known"]


def test_a_simulation_with_budgets_of_several_units_says_what_every_strategy_cost(tmp_path):
    text = CONFIG.replace("budget: 2", "budget: [0.1min, 2]").replace("gap: 1", "gap: 0")
    text = text.replace("rounds: 2", "rounds: 3").replace("threshold: 0.3", "threshold: 0.9")
    file = tmp_path / "tiny.yaml"
    file.write_text(text)
    plan = a_plan(file, tmp_path / "out", strategies=["entropy"], rounds=3, all_data=False)
    result = simulate(plan, Told())
    rows = of(result, "entropy")
    assert [row.round for row in rows] == [0, 1, 2]
    assert rows[2].labelled == rows[1].labelled + 2
    for row in rows:
        assert row.hours == pytest.approx((2 * row.labelled + 7 * (row.boxes + row.unknown)) / 3600)
    for name in ("random", "every-nth"):  # no detector is needed to choose, but to tell the cost
        assert of(result, name)[1].labelled > rows[0].labelled
    assert any("compare them by hours" in note for note in result.notes)
