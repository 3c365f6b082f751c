"""`vidal export` as a user runs it: out, edited as a tool would, and back by `vidal import`."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import zipfile
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from vidal.cli import main
from vidal.exports import EXPORTERS
from vidal.exports.bundle import NAMELESS
from vidal.formats._notes import VERDICTS
from vidal.video import write_video

WAYS_BACK = ("cvat", "cvat-video", "label-studio", "coco", "yolo", "fiftyone")
"""Targets whose files `vidal import` reads."""


def vidal(capsys, *arguments) -> tuple[int, str]:
    """Exit status and everything printed."""
    capsys.readouterr()
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as ending:
        code = int(ending.code or 0)
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def summary(capsys, *arguments) -> dict:
    code, said = vidal(capsys, *arguments, "--json")
    assert code == 0, said
    return json.loads(said)


@pytest.fixture(scope="module")
def asked(rendered, tmp_path_factory):
    """A campaign whose first query has judged boxes."""
    folder = tmp_path_factory.mktemp("asked")
    (folder / "clips").mkdir()
    for clip in sorted((rendered / "clips").iterdir())[:2]:
        shutil.copy(clip, folder / "clips")
    main(
        [
            *("init", str(folder / "work"), "--videos", str(folder / "clips"), "--initial", "4"),
            *("--detector", "scenes-tiny", "--set", "selection.initial_strategy=expected-errors"),
            *("--set", "workers=1", "--device", "cpu", "--classes", "car,pedestrian"),
        ]
    )
    main(["select", "--campaign", str(folder / "work"), "--quiet", "--no-report"])
    # Which words the estimate finds is not what is tested: every verdict, on a box each.
    path = folder / "work" / "queries" / "round-000" / "preannotations.coco.json"
    value = json.loads(path.read_text())
    asked = [each["id"] for each in value["categories"] if each["name"] in ("car", "pedestrian")]
    boxes = [each for each in value["annotations"] if each["category_id"] in asked]
    for each, verdict in zip(boxes, VERDICTS, strict=False):
        each["attributes"] = {"verdict": verdict, "certainty": 0.75, "by": "somebody"}
    path.write_text(json.dumps(value))
    return folder / "work"


@pytest.fixture
def work(asked, tmp_path):
    shutil.copytree(asked, tmp_path / "work")
    return tmp_path / "work"


def unpacked(path: Path, place: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(place)
    return place


def answered(to: str, archive: Path, place: Path) -> Path:
    """What the tool would give back, as it came: nobody has touched a box."""
    folder = unpacked(archive, place)
    if to == "label-studio":
        tasks = json.loads((folder / "tasks.json").read_text())
        for task in tasks:
            task["annotations"] = [{"id": 1, "result": task.pop("predictions")[0]["result"]}]
        (place / "export.json").write_text(json.dumps(tasks))
        return place / "export.json"
    return {
        "cvat": folder / "annotations.xml",
        "cvat-video": folder / "tasks",
        "coco": folder / "annotations" / "instances_default.json",
        "yolo": folder,
        "fiftyone": folder / "labels.json",
    }[to]


def edit(to: str, path: Path) -> None:
    """Move one box by half a pixel or more."""
    if to in ("coco", "fiftyone"):
        value = json.loads(path.read_text())
        value["annotations"][0]["bbox"][2] -= 0.5
        path.write_text(json.dumps(value))
    elif to == "label-studio":
        tasks = json.loads(path.read_text())
        tasks[0]["annotations"][0]["result"][0]["value"]["width"] -= 0.3
        path.write_text(json.dumps(tasks))
    elif to == "yolo":
        file = next(f for f in sorted((path / "labels").glob("*.txt")) if f.read_text())
        first, *rest = file.read_text().splitlines(keepends=True)
        kind, x, y, w, h = first.split()
        file.write_text("".join([f"{kind} {x} {y} {float(w) - 0.004:.6f} {h}\n", *rest]))
    else:
        file = sorted(path.glob("*.xml"))[0] if path.is_dir() else path
        text = file.read_text()
        if to == "cvat":
            found = next(re.finditer(r'(?<=xbr=")[\d.]+', text))
        else:  # the box of a track on the picked frame
            frames = {row["ordinal"] for row in frame_map(path.parent) if row["clip"] == file.stem}
            found = next(
                each
                for each in re.finditer(r'frame="(\d+)" outside="0"[^>]*?xbr="([\d.]+)"', text)
                if int(each[1]) in frames
            )
            start, end = found.span(2)
            file.write_text(f"{text[:start]}{float(found[2]) - 0.5:.2f}{text[end:]}")
            return
        file.write_text(f"{text[: found.start()]}{float(found[0]) - 0.5:.2f}{text[found.end() :]}")


def frame_map(folder: Path) -> list[dict]:
    return json.loads((folder / "frame_map.json").read_text())["frames"]


@pytest.mark.parametrize("boxes", ["kept", "all"])
@pytest.mark.parametrize("to", WAYS_BACK)
def test_untouched_proposals_wait_and_an_edited_frame_is_an_answer(
    capsys, work, tmp_path, to, boxes
):
    done = summary(capsys, "export", work, "--to", to, "--boxes", boxes)
    assert done["frames"] == 4
    assert ("likely_false_alarm" in done["verdicts"]) == (boxes == "all")
    assert {"likely_correct", "unsure", "likely_miss", "likely_unknown"} <= done["verdicts"].keys()
    path = answered(to, Path(done["path"]), tmp_path / "there")
    back = summary(capsys, "import", work, "--from", path, "--strict")
    assert (back["labelled"], back["waiting"]) == (0, 4)
    assert {each["why"] for each in back["held"]} == {"unchanged"}
    edit(to, path)
    back = summary(capsys, "import", work, "--from", path)
    assert (back["labelled"], back["waiting"]) == (1, 3)
    assert not back["unknown"]


def test_the_archive_has_the_pictures_of_the_query_and_the_tools_label_definitions(
    capsys, work, tmp_path
):
    for to in EXPORTERS:
        done = summary(capsys, "export", work, "--to", to)
        folder = unpacked(Path(done["path"]), tmp_path / to)
        rows = frame_map(folder)
        assert [row["rank"] for row in rows] == [1, 2, 3, 4]
        frames = work / "queries" / "round-000" / "frames"
        for row in rows:
            assert len(row["print"]) == 16
            name = f"{row['clip']}_{row['ordinal']:06d}.jpg"
            if to != "cvat-video":
                assert (folder / row["file"]).read_bytes() == (frames / name).read_bytes()
    labels = json.loads((tmp_path / "cvat" / "labels.json").read_text())
    assert [each["name"] for each in labels] == ["car", "pedestrian", NAMELESS]
    assert [each["name"] for each in labels[0]["attributes"]] == ["vidal", "vidal_certainty"]
    config = (tmp_path / "label-studio" / "label_config.xml").read_text()
    assert '<Choices name="vidal" toName="image" perRegion="true"' in config
    for task in json.loads((tmp_path / "label-studio" / "tasks.json").read_text()):
        (place,) = parse_qs(urlsplit(task["data"]["image"]).query)["d"]
        assert (tmp_path / "label-studio" / place.partition("/")[2]).is_file()
        assert {"rank", "reason", "score", "clip", "index"} <= task["data"].keys()


def test_neighbours_are_shown_and_never_become_answers(capsys, work, tmp_path):
    for to in ("cvat", "label-studio", "yolo"):
        done = summary(capsys, "export", work, "--to", to, "--context", "0.1s")
        assert done["context"] > 8
        folder = unpacked(Path(done["path"]), tmp_path / to)
        rows = [row for row in frame_map(folder) if row["context"]]
        assert len(rows) == done["context"]
        picks = {(r["clip"], r["ordinal"]) for r in frame_map(folder) if not r["context"]}
        assert not picks & {(row["clip"], row["ordinal"]) for row in rows}
        assert all((folder / row["file"]).is_file() for row in rows)
    folder = tmp_path / "cvat"
    assert "context" not in (folder / "annotations.xml").read_text()
    assert all(row["file"].split("/")[1] == "related_images" for row in
               (r for r in frame_map(folder) if r["context"]))  # fmt: skip
    # Somebody made tasks of the neighbours too, and said of each that it is empty.
    shown = [row for row in frame_map(tmp_path / "label-studio") if row["context"]]
    tasks = [
        {"data": {"image": f"/data/upload/1/{Path(row['file']).name}"},
         "annotations": [{"id": 1, "result": []}]}
        for row in shown
    ]  # fmt: skip
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    code, said = vidal(capsys, "import", work, "--from", tmp_path / "tasks.json")
    assert code == 2
    assert "does not say which frame" in said
    assert summary(capsys, "status", work)["frames"]["waiting"] == 4


def test_of_an_open_round_what_waits_goes_out_and_of_an_answered_one_its_labels(
    capsys, work, tmp_path
):
    done = summary(capsys, "export", work, "--to", "coco")
    path = answered("coco", Path(done["path"]), tmp_path / "there")
    edit("coco", path)
    assert summary(capsys, "import", work, "--from", path)["labelled"] == 1
    done = summary(capsys, "export", work, "--to", "coco", "--out", tmp_path / "second.zip")
    assert done["frames"] == 3
    assert any("1 labelled" in note for note in done["notes"])
    rest = frame_map(unpacked(tmp_path / "second.zip", tmp_path / "second"))
    skipped = f"{rest[0]['clip']}@{rest[0]['ordinal']:06d}"
    back = summary(
        capsys, "import", work, "--from", path, "--skipped", skipped, "--unchanged-ok", "--empty-ok"
    )
    assert (back["labelled"], back["skipped"], back["waiting"]) == (2, 1, 0)
    done = summary(capsys, "export", work, "--to", "coco", "--out", tmp_path / "third.zip")
    assert (done["frames"], done["verdicts"]) == (3, {})
    assert done["boxes"]
    assert any("1 skipped frame" in note for note in done["notes"])


@pytest.mark.parametrize("to", WAYS_BACK)
def test_answers_go_out_to_be_corrected_and_are_the_same_answers_when_they_come_back(
    capsys, work, rendered, tmp_path, to
):
    truth = json.loads((rendered / "labels.coco.json").read_text())
    for each in truth["annotations"]:  # parts of a pixel, of which tools write a hundredth
        each["bbox"] = [*each["bbox"][:2], *(side - 0.12347 for side in each["bbox"][2:])]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    given = summary(capsys, "import", work, "--from", tmp_path / "truth.json", "--empty-ok")
    assert (given["waiting"], bool(given["unknown"])) == (0, True)
    done = summary(capsys, "export", work, "--to", to)
    assert done["classes"]["unknown"] == sum(given["unknown"].values())
    path = answered(to, Path(done["path"]), tmp_path / "there")
    said = json.loads(path.read_text()) if to in ("coco", "fiftyone") else None
    if said is not None:  # a tool orders boxes as it likes, and knows no tracks
        said["annotations"].reverse()
        said["annotations"] = [
            {k: v for k, v in each.items() if k != "instance_id"} for each in said["annotations"]
        ]
        path.write_text(json.dumps(said))
    back = summary(capsys, "import", work, "--from", path, "--replace", "--empty-ok")
    assert (back["again"], back["replaced"], back["differ"]) == (4, 0, [])
    edit(to, path)
    back = summary(capsys, "import", work, "--from", path, "--empty-ok")
    assert (back["again"], len(back["differ"])) == (4, 1)


def test_unknown_objects_that_are_left_out_are_counted_wherever_they_are(
    capsys, work, rendered, tmp_path
):
    given = summary(capsys, "import", work, "--from", rendered / "labels.coco.json", "--empty-ok")
    lost = sum(given["unknown"].values())
    for more in ((), ("--labelled",)):
        done = summary(capsys, "export", work, "--to", "coco", "--unknown", "drop", *more)
        assert "unknown" not in done["classes"]
        assert any(f"{lost} unknown object" in note for note in done["notes"])


def test_a_withdrawn_round_and_one_that_is_not_there_are_refused(capsys, work):
    code, said = vidal(capsys, "export", work, "--to", "cvat", "--round", "3")
    assert (code, "no round 3" in said) == (2, True)
    vidal(capsys, "withdraw", work)
    code, said = vidal(capsys, "export", work, "--to", "cvat", "--round", "0")
    assert (code, "was withdrawn" in said) == (2, True)
    code, said = vidal(capsys, "export", work, "--to", "cvat")
    assert (code, "no query was made" in said) == (2, True)


@pytest.mark.parametrize("harm", ["missing", "changed", "same size", "link", "no file"])
def test_a_picture_that_is_not_the_querys_is_refused_with_the_way_out(capsys, work, harm):
    query = work / "queries" / "round-000"
    picture = sorted((query / "frames").iterdir())[1]
    data = picture.read_bytes()
    picture.unlink()
    if harm == "changed":
        picture.write_bytes(data + b"more")
    elif harm == "same size":
        picture.write_bytes(data[:-4] + b"\0\0\0\0")
    elif harm == "link":
        (query / "elsewhere.jpg").write_bytes(data)
        picture.symlink_to(query / "elsewhere.jpg")
    elif harm == "no file":
        os.mkfifo(picture)
    code, said = vidal(capsys, "export", work, "--to", "cvat")
    assert code == 2
    assert picture.name in said
    assert f"vidal report {work} --round 0" in said
    assert not (work / "exports").exists()


def test_a_query_without_its_files_is_refused_with_the_way_out(capsys, work):
    query = work / "queries" / "round-000"
    for name in ("preannotations.coco.json", "query.json"):
        (query / name).write_text("{")
        code, said = vidal(capsys, "export", work, "--to", "cvat")
        assert (code, name in said) == (2, True), said
        (query / name).unlink()
        code, said = vidal(capsys, "export", work, "--to", "cvat")
        assert code == 2
        assert "vidal report" in said


def test_the_labelled_frames_are_a_training_set_split_by_clip(capsys, work, rendered, tmp_path):
    place = tmp_path / "three"
    shutil.copytree(rendered / "clips", place / "clips")
    last = sorted((place / "clips").glob("*.mp4"))[-1].stem
    code, said = vidal(
        capsys, "init", place / "work", "--videos", place / "clips", "--labels",
        rendered / "labels.coco.json", "--no-initial-labels", "--validation", f"{last}*",
        "--classes", "pedestrian", "--detector", "scenes-tiny", "--device", "cpu",
        "--initial", "5", "--set", "workers=1",
    )  # fmt: skip
    assert code == 0, said
    work = place / "work"
    code, said = vidal(capsys, "export", work, "--to", "yolo", "--labelled", "--split", "train")
    assert (code, "no frame of the split train is labelled" in said) == (2, True)
    assert vidal(capsys, "select", "--campaign", work, "--quiet", "--no-report")[0] == 0
    back = summary(capsys, "import", work, "--from", rendered / "labels.coco.json", "--empty-ok")
    assert back["waiting"] == 0
    done = summary(capsys, "export", work, "--to", "yolo", "--labelled", "--out", tmp_path / "set")
    assert done["parts"] == {"train": 5, "val": 40}
    assert set(done["classes"]) == {"pedestrian"}
    assert any("left out (--unknown class" in note for note in done["notes"])
    files = {p.relative_to(tmp_path / "set").as_posix() for p in (tmp_path / "set").rglob("*.*")}
    for part, count in done["parts"].items():
        images = {Path(f).stem for f in files if f.startswith(f"images/{part}/")}
        assert images == {Path(f).stem for f in files if f.startswith(f"labels/{part}/")}
        assert len(images) == count
        assert all(name.startswith(last) == (part == "val") for name in images)
    told = summary(
        capsys, "export", work, "--to", "coco", "--labelled", "--split", "validation",
        "--unknown", "class",
    )  # fmt: skip
    assert told["parts"] == {"val": 40}
    assert told["classes"]["unknown"] == told["boxes"] - sum(
        number for name, number in told["classes"].items() if name != "unknown"
    )
    with zipfile.ZipFile(told["path"]) as archive:
        value = json.loads(archive.read("annotations/instances_val.json"))
    assert len(value["images"]) == 40
    assert len(value["annotations"]) == told["boxes"]
    assert any("instance_id" in each for each in value["annotations"])


def test_round_0_without_a_detector_gets_boxes_from_a_model_at_hand(capsys, rendered, tmp_path):
    init = ["--videos", rendered / "clips", "--device", "cpu", "--initial", "3"]
    more = ["--classes", "car,pedestrian,cyclist,wheelchair", "--set", "workers=1"]
    code, said = vidal(capsys, "init", tmp_path / "tiny", *init, *more, "--detector", "scenes-tiny")
    assert code == 0, said
    fresh = ["--detector", "scenes-tiny", "--set", "detector.start=fresh"]
    assert vidal(capsys, "init", tmp_path / "fresh", *init, *more, *fresh)[0] == 0
    for name in ("tiny", "fresh"):
        work = tmp_path / name
        assert vidal(capsys, "select", "--campaign", work, "--quiet", "--no-report")[0] == 0
        done = summary(capsys, "export", work, "--to", "cvat")
        assert bool(done["boxes"]) == (name == "tiny")
        assert any("chosen without a detector" in note for note in done["notes"])
        folder = unpacked(Path(done["path"]), tmp_path / f"there-{name}")
        labels = json.loads((folder / "labels.json").read_text())
        assert len(labels) == 5
        if name == "tiny":  # what went out comes back untouched: no answer
            back = summary(capsys, "import", work, "--from", folder / "annotations.xml")
            assert back["labelled"] == 0
            assert "unchanged" in {each["why"] for each in back["held"]}


def test_awkward_clips_go_out_and_come_back(capsys, tmp_path):
    """Two clips of one name, spaces and other scripts, a clip of one frame."""
    names = {"a/cam.mp4": 6, "b/cam.mp4": 6, "wet Straße #2, 雨.mp4": 6, "one.mp4": 1}
    rng = np.random.default_rng(5)
    for name, frames in names.items():
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        images = rng.integers(0, 255, (frames, 48, 64, 3)).astype(np.uint8)
        write_video(tmp_path / "clips" / name, images, Fraction(10))
    work = tmp_path / "my work"
    code, said = vidal(
        capsys, "init", work, "--videos", tmp_path / "clips", "--classes", "R&D <x>,unknown,=1",
        "--detector", "scenes-tiny", "--set", "detector.start=fresh", "--set", "workers=1",
        "--device", "cpu", "--initial", "16", "--set", "selection.gap=0",
    )  # fmt: skip
    assert code == 0, said
    assert vidal(capsys, "select", "--campaign", work, "--quiet", "--no-report")[0] == 0
    asked = summary(capsys, "status", work)["frames"]["waiting"]
    for to in (name for name in EXPORTERS if name != "label-studio"):
        done = summary(capsys, "export", work, "--to", to)
        assert (done["frames"], done["boxes"], done["empty"]) == (asked, 0, asked)
    done = summary(capsys, "export", work, "--to", "label-studio", "--context", "1")
    path = answered("label-studio", Path(done["path"]), tmp_path / "there")
    tasks = json.loads(path.read_text())
    value = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0}
    for task, label in zip(tasks, ("R&D <x>", "unknown", "=1"), strict=False):
        box = {"type": "rectanglelabels", "original_width": 64, "original_height": 48}
        told = {**value, "rectanglelabels": [label]}
        answer = {"id": label, "from_name": "label", **box, "value": told}
        task["annotations"][0]["result"] = [answer]
    path.write_text(json.dumps(tasks))
    back = summary(capsys, "import", work, "--from", path)
    assert (back["labelled"], back["empty"], back["waiting"]) == (asked, asked - 3, 0)
    assert not back["unknown"]
    done = summary(capsys, "export", work, "--to", "yolo", "--labelled")
    assert done["classes"] == {"R&D <x>": 1, "unknown": 1, "=1": 1}
    assert done["frames"] == asked


def test_detections_without_pixels_go_out_as_a_table_and_are_refused_elsewhere(capsys, tmp_path):
    car = {"label": "car", "score": 0.6}
    rows = [
        json.dumps({"frame": at, "dets": [{"xyxy": [at, 5, at + 20, 30], **car}]})
        for at in range(12)
    ]
    (tmp_path / "drive.jsonl").write_text("\n".join(rows) + "\n")
    code, said = vidal(
        capsys, "select", "--detections", tmp_path / "drive.jsonl", "--size", "64x48", "--budget",
        "2", "--out", tmp_path / "out", "--no-report", "--quiet",
    )  # fmt: skip
    assert code == 0, said
    done = summary(capsys, "export", tmp_path / "out", "--to", "csv")
    assert (done["frames"], done["classes"]["car"]) == (2, done["boxes"])
    for to in ("cvat", "label-studio", "yolo", "coco"):
        code, said = vidal(capsys, "export", tmp_path / "out", "--to", to)
        assert (code, "without a picture" in said) == (2, True), said


def test_a_selection_without_a_campaign_goes_out_too(capsys, asked, rendered, tmp_path):
    lone = tmp_path / "lone"
    code, said = vidal(
        capsys, "select", "--videos", rendered / "clips", "--strategy", "random", "--budget", "3",
        "--out", lone, "--quiet", "--no-report",
    )  # fmt: skip
    assert code == 0, said
    done = summary(capsys, "export", lone / "query.json", "--to", "label-studio")
    assert (done["frames"], done["boxes"], done["empty"]) == (3, 0, 3)
    assert any("no classes" in note for note in done["notes"])
    for option in (("--round", "0"), ("--labelled",)):
        code, said = vidal(capsys, "export", lone, "--to", "cvat", *option)
        assert (code, "needs a campaign" in said) == (2, True)
    code, said = vidal(capsys, "export", tmp_path / "nothing", "--to", "cvat")
    assert (code, "not there" in said) == (2, True)
    code, said = vidal(capsys, "export", rendered, "--to", "cvat")
    assert (code, "neither a campaign nor the folder of a query" in said) == (2, True)


def test_clips_that_are_gone_are_needed_for_context_and_whole_clips_alone(capsys, work):
    with closing(sqlite3.connect(work / "campaign.sqlite")) as db, db:
        db.execute("UPDATE clips SET path = '/gone/' || id || '.mp4'")
    done = summary(capsys, "export", work, "--to", "cvat", "--context", "2")
    assert done["context"] == 0
    assert any("without neighbours" in note for note in done["notes"])
    code, said = vidal(capsys, "export", work, "--to", "cvat-video")
    assert (code, "shows whole clips" in said) == (2, True)


def test_python_and_the_command_line_write_the_same_bytes(capsys, work, tmp_path):
    import vidal as door

    summary(capsys, "export", work, "--to", "csv", "--out", tmp_path / "a" / "out.zip")
    done = door.Campaign(work).export("csv", out=tmp_path / "b" / "out.zip", progress=False)
    assert done.frames == 4
    assert (tmp_path / "a/out.zip").read_bytes() == (tmp_path / "b/out.zip").read_bytes()
    query = work / "queries" / "round-000"
    assert door.export(query, "coco", out=tmp_path / "q.zip", progress=False).frames == 4


def test_an_interrupted_export_leaves_nothing_and_the_next_gives_the_same_bytes(
    work, tmp_path, monkeypatch
):
    from vidal.api.exports import export_campaign
    from vidal.api.watch import Console
    from vidal.exports.order import Order

    def export(name):
        order = Order.of("cvat", out=tmp_path / name / "out.zip", context="2")
        more = {"round_": None, "labelled": False, "split": None, "quiet": True}
        return export_campaign(work, order, **more)

    export("undisturbed")

    def pressed(self, stage, done, total):
        if done > total // 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Console, "writing", pressed)
        with pytest.raises(KeyboardInterrupt):
            export("disturbed")
    (part,) = (tmp_path / "disturbed").iterdir()  # decoded pictures, for the next run
    kept = {path.name: path.stat().st_mtime_ns for path in part.rglob("*.jpg")}
    assert kept
    export("disturbed")
    assert not part.exists()
    bytes_of = [(tmp_path / name / "out.zip").read_bytes() for name in ("undisturbed", "disturbed")]
    assert bytes_of[0] == bytes_of[1]
