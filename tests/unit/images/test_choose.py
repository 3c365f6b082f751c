"""``vidal images select``: pictures of a folder that are worth a label next."""

import csv
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from learning_strategy import SEEN, KnownFirst
from small_pictures import pictures

from vidal.api import image_pools
from vidal.cli import main
from vidal.images.choose import choose_pictures, of_pictures
from vidal.video.images import save_jpeg

NAMES = ("ant", "bee", "cat", "dog")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """``pool/`` with 40 pictures in two folders, ``labelled/CLASS/`` with 5 each."""
    root = tmp_path_factory.mktemp("choose")
    pixels, labels = pictures(60, np.random.default_rng(2), channels=3, noise=20)
    for number in range(40):
        place = root / "pool" / ("a" if number % 2 else "b")
        place.mkdir(parents=True, exist_ok=True)
        save_jpeg(place / f"{number:02d}-{NAMES[labels[number]]}.jpg", pixels[number])
    for number in range(40, 60):
        place = root / "labelled" / NAMES[labels[number]]
        place.mkdir(parents=True, exist_ok=True)
        save_jpeg(place / f"{number}.jpg", pixels[number])
    return root


def arguments(folders, out, **changed):
    given = {"pool": folders / "pool", "labelled": folders / "labelled", "budget": 6, "out": out}
    given |= {"strategy": "margin", "device": "cpu", **changed}
    return [
        "images",
        "select",
        "--quiet",
        *(f"--{k}={v}" for k, v in given.items() if v is not None),
    ]


def chosen(folders, out, **changed):
    main(arguments(folders, out, **changed))
    return list(csv.DictReader((out / "query.csv").open()))


def refused(capsys, given):
    with pytest.raises(SystemExit) as caught:
        main(given)
    assert caught.value.code == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text


def test_a_query_names_files_with_scores_and_reasons(folders, tmp_path, capsys):
    rows = chosen(folders, tmp_path / "out")
    assert [row["rank"] for row in rows] == list("123456")
    assert all((folders / "pool" / row["file"]).is_file() for row in rows)
    assert len({row["file"] for row in rows}) == 6
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert all(row["reason"].startswith("margin score") for row in rows)
    content = json.loads((tmp_path / "out" / "query.json").read_text())
    assert content["labelled"] == dict.fromkeys(NAMES, 5)
    assert content["pool"] == 40
    report = (tmp_path / "out" / "report.html").read_text()
    assert report.count("data:image/jpeg;base64,") == 6
    assert "6 pictures to label" in report
    assert "http" not in report.replace("http-equiv", "")
    assert "report.html" in capsys.readouterr().out


def test_the_model_is_worth_something_and_may_be_used_again(folders, tmp_path):
    # without mirroring: these classes are where they are bright
    rows = chosen(folders, tmp_path / "a", strategy="random", budget="100%", recipe="small")
    assert len(rows) == 40
    right = [row["predicted"] in row["file"] for row in rows]
    assert np.mean(right) > 0.8
    model = tmp_path / "a" / "model.safetensors"
    first = chosen(folders, tmp_path / "b", strategy="entropy", recipe="small")
    again = chosen(folders, tmp_path / "c", strategy="entropy", model=model)
    assert [row["file"] for row in first] == [row["file"] for row in again]


def test_one_picture_is_chosen_in_the_singular(folders, tmp_path):
    chosen(folders, tmp_path / "q", budget=1)
    page = (tmp_path / "q" / "report.html").read_text()
    assert "1 picture to label" in page
    assert "<b>1</b><span>picture chosen</span>" in page


def test_an_answered_query_is_what_is_labelled_next(folders, tmp_path):
    out = tmp_path / "out"
    rows = chosen(folders, out, strategy="kcenter", budget=12)
    for row in rows:
        row["label"] = re.sub(r".*-(\w+)\.jpg", r"\1", row["file"])
    rows[0]["label"] = ""  # not answered
    with (tmp_path / "answers.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    more = chosen(folders, tmp_path / "next", labelled=tmp_path / "answers.csv", budget="100%")
    assert len(more) == 40 - 11
    assert not {row["file"] for row in more} & {row["file"] for row in rows[1:]}


@pytest.mark.parametrize("strategy", ["badge", "label-dispersion", "learning-loss", "svm-margin"])
def test_trained_columns_are_made_for_a_choice(folders, tmp_path, strategy):
    assert len(chosen(folders, tmp_path / "out", strategy=strategy)) == 6


def test_a_choice_can_be_balanced(folders, tmp_path):
    rows = chosen(folders, tmp_path / "out", strategy="entropy", balance="auto", budget=8)
    assert len(rows) == 8


def test_a_balanced_choice_tells_what_was_weighed(folders, tmp_path):
    out = tmp_path / "out"
    chosen(folders, out, strategy="entropy", balance="1", budget=8, option="aggregate=mean")
    content = json.loads((out / "query.json").read_text())
    assert content["settings"]["balance"] == 1
    assert content["settings"]["strategy_options"] == {"aggregate": "mean"}
    assert content["balance"]["labelled_before"] == dict.fromkeys(NAMES, 5)
    assert content["notes"][0].startswith("Class balance (lambda 1")
    assert "frame" not in content["notes"][0]
    assert "Class balance (lambda 1" in (out / "report.html").read_text()


@pytest.mark.parametrize("strategy", ["entropy", "badge", "kcenter", "ppal", "cluster-margin"])
def test_reasons_speak_of_pictures_by_their_files(folders, tmp_path, strategy):
    for row in chosen(folders, tmp_path / "out", strategy=strategy, budget=4):
        assert not re.search(r"frame|detection|images@|score \d", row["reason"]), row["reason"]


def test_reasons_of_a_picture_name_it():
    names = np.array(["a/x.jpg", "b/y.jpg"])
    said = "looks unlike others: the nearest, images@000001 (labelled), is at distance 3"
    assert of_pictures(said, names) == said.replace("images@000001", "b/y.jpg")
    said = "mean entropy 0.693 over 1 detection; least certain: cow, score 0.50; brings 1.0 cow"
    assert of_pictures(said, names) == "entropy 0.693; cow, probability 0.50; brings 1.0 cow"


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_a_class_without_a_picture_that_can_be_read_is_refused(folders, tmp_path, capsys, content):
    labelled = tmp_path / "labelled"
    shutil.copytree(folders / "labelled", labelled)
    (labelled / "emu").mkdir()
    if content:
        (labelled / "emu" / "a.jpg").write_bytes(content)
    text = refused(capsys, arguments(folders, tmp_path / "out", labelled=labelled))
    assert "emu" in text


def test_files_where_no_picture_belongs_are_listed(folders, tmp_path):
    labelled = tmp_path / "labelled"
    shutil.copytree(folders / "labelled", labelled)
    (labelled / "notes.txt").write_text("x")
    (labelled / "ant" / "more").mkdir()
    chosen(folders, tmp_path / "out", labelled=labelled)
    skipped = json.loads((tmp_path / "out" / "query.json").read_text())["skipped"]
    assert skipped == [
        "ant/more: a folder in that of a class",
        "notes.txt: in no folder of a class",
    ]


def test_a_pool_of_which_all_is_labelled_is_refused(folders, tmp_path, capsys):
    given = arguments(folders, tmp_path / "out", pool=folders / "labelled")
    assert "all its pictures are labelled" in refused(capsys, given)


def write_csv(folder, text):
    path = folder / "labels.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"pool": "none"}, "no such folder"),
        ({"labelled": "none"}, "no such file or folder"),
        ({"labelled": "pool"}, "a, b"),
        ({"strategy": "entrpy"}, "unknown strategy 'entrpy'"),
        ({"strategy": "every-nth"}, "images have no order in time"),
        ({"recipe": "huge"}, "unknown recipe 'huge'"),
        ({"recipe": "thesis", "strategy": "bald"}, "no dropout"),
        ({"budget": 41}, "41 pictures of which only 40"),
        ({"balance": "much"}, "neither a number"),
        ({"model": "labels.csv"}, "not a model"),
        ({"option": "colour=red"}, "option"),
    ],
)
def test_what_cannot_be_meant_is_refused(folders, tmp_path, capsys, changed, why):
    write_csv(folders, "a,b\n")
    places = {k: folders / v for k, v in changed.items() if k in ("pool", "labelled", "model")}
    if changed.get("labelled") == "pool":
        places["labelled"], why = write_csv(folders, "a,b\n1,2\n"), "the columns file and label"
    assert why in refused(capsys, arguments(folders, tmp_path / "out", **{**changed, **places}))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("file,label\n", "no picture in it has a label"),
        ("file,label\na/none.jpg,ant\n", "line 2: 'a/none.jpg' is no picture of the pool"),
        ("file,label\nb/00-ant.jpg,ant\nb/00-ant.jpg,bee\n", "line 3: b/00-ant.jpg is there twice"),
        ("file,label\nb/00-ant.jpg,ant\n", "two classes are needed, and there is ant"),
    ],
)
def test_a_csv_that_cannot_be_used_is_refused_by_line(folders, tmp_path, capsys, text, why):
    path = write_csv(tmp_path, text)
    assert why in refused(capsys, arguments(folders, tmp_path / "out", labelled=path))


def test_pictures_of_other_sizes_and_models_of_other_classes_are_refused(folders, tmp_path, capsys):
    chosen(folders, tmp_path / "a")
    other = tmp_path / "labelled"
    for name in ("x", "y"):
        (other / name).mkdir(parents=True)
        save_jpeg(other / name / "1.jpg", np.full((12, 12, 3), 90, np.uint8))
    given = arguments(folders, tmp_path / "b", labelled=other)
    assert "12 x 12 pixels, those of the pool 8 x 8" in refused(capsys, given)
    model = tmp_path / "a" / "model.safetensors"
    given = arguments(folders, tmp_path / "b", labelled=other, size=8, model=model)
    assert "its classes are ant, bee, cat, dog; labelled are x, y" in refused(capsys, given)
    given = arguments(folders, tmp_path / "b", model=model, size=16)
    assert "made for pictures of 8 x 8 pixels" in refused(capsys, given)
    given = arguments(folders, tmp_path / "b", model=model, strategy="label-dispersion")
    assert "--model is trained already" in refused(capsys, given)


def test_files_of_other_people_stay(folders, tmp_path, capsys):
    (tmp_path / "query.csv").write_text("mine")
    assert "vidal did not write it" in refused(capsys, arguments(folders, tmp_path))
    assert (tmp_path / "query.csv").read_text() == "mine"


def test_pictures_that_are_labelled_unknown_are_no_class_and_strategies_learn_of_them(
    folders, tmp_path
):
    out = tmp_path / "out"
    rows = chosen(folders, out, strategy="eaoa", unknown="dog", budget=12)
    query = json.loads((out / "query.json").read_text())
    assert query["labelled"] == {"ant": 5, "bee": 5, "cat": 5}
    assert query["settings"]["unknown"] == ["dog"]
    assert sum("dog" in row["file"] for row in rows) <= 2  # 3 by chance
    plan = image_pools.choice_of(
        pool=folders / "pool",
        labelled=folders / "labelled",
        budget="6",
        strategy="margin",
        options={},
        balance=None,
        model=None,
        recipe=None,
        size=None,
        seed=0,
        device="cpu",
        unknown=["dog"],
    )
    choice = choose_pictures(replace(plan, selector=KnownFirst()))
    items = SEEN[-1].items
    assert np.bincount(items.answers).tolist() == [5, 5, 5, 5]
    assert items.unknown == 3
    assert choice.classes == ("ant", "bee", "cat")
    assert choice.model.network.spec.outputs == 3


def test_known_only_passes_over_what_is_labelled_as_unknown(folders, tmp_path):
    plain = chosen(folders, tmp_path / "plain", unknown="dog,cat", strategy="random", budget=12)
    given = arguments(folders, tmp_path / "known", unknown="dog,cat", strategy="random", budget=12)
    main([*given, "--known-only"])
    kept = list(csv.DictReader((tmp_path / "known" / "query.csv").open()))

    def unknown(rows):
        return sum("dog" in row["file"] or "cat" in row["file"] for row in rows)

    assert unknown(kept) < unknown(plain)
    content = json.loads((tmp_path / "known" / "query.json").read_text())
    assert content["settings"]["known_only"] is True
    assert content["labelled"] == {"ant": 5, "bee": 5}
    assert content["labelled_unknown"] == 10
    assert content["notes"] == ["10 labelled pictures are of unknown classes."]
    assert "beside 10 of unknown classes" in (tmp_path / "known" / "report.html").read_text()


@pytest.mark.parametrize("strategy", ["novelty", "entropy"])
def test_a_strategy_that_misses_unknown_labels_says_so_and_speaks_of_pictures(
    folders, tmp_path, strategy
):
    given = arguments(folders, tmp_path / "out", strategy=strategy)
    main([*given, *(["--known-only"] if strategy == "entropy" else [])])
    (note,) = json.loads((tmp_path / "out" / "query.json").read_text())["notes"]
    assert "no labelled unknown object yet" in note
    assert not re.search("detect|frame", note)


@pytest.mark.parametrize("strategy", ["novelty", "eaoa", "mqnet", "entropy"])
def test_reasons_of_open_set_strategies_speak_of_pictures(folders, tmp_path, strategy):
    given = arguments(folders, tmp_path / "out", strategy=strategy, unknown="dog", budget=30)
    main([*given, *(["--known-only"] if strategy == "entropy" else [])])
    rows = list(csv.DictReader((tmp_path / "out" / "query.csv").open()))
    for row in rows:
        assert not re.search(r"frame|detection|unknown object|, score", row["reason"]), row
    if strategy == "novelty":
        assert all(row["reason"].endswith("of an unknown class") for row in rows[:6])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("1 likely unknown object of 1 detection", "likely of an unknown class"),
        ("0 likely unknown objects of 1 detection", "hardly of an unknown class"),
        ("entropy 0.5; 1 possible unknown object", "entropy 0.5; possibly of an unknown class"),
        ("1 detection unlike the known classes of 1 detection", "unlike the known classes"),
        ("0 detections unlike the known classes of 1 detection", "like the known classes"),
        ("P(known) 0.6, level 2; 2, score 0.66", "P(known) 0.6, level 2; 2, probability 0.66"),
    ],
)
def test_what_is_said_of_one_detection_is_said_of_the_picture(said, told):
    assert of_pictures(said, np.array(["a.jpg"])) == told


@pytest.mark.parametrize(
    ("unknown", "why"),
    [("cow", "unknown label 'cow'"), ("ant,bee,cat", "only dog is left that is wanted")],
)
def test_an_unknown_label_that_cannot_be_meant_is_refused(folders, tmp_path, capsys, unknown, why):
    assert why in refused(capsys, arguments(folders, tmp_path / "out", unknown=unknown))
