"""What Label Studio's real server exports, in each of its formats, comes back as it was drawn."""

from __future__ import annotations

import json
import shutil
import zipfile
from io import BytesIO

import numpy as np
import pytest

import vidal
from vidal.campaign.folder import open_campaign
from vidal.cli import main

pytestmark = pytest.mark.peers
CLASSES = ("car", "pedestrian", "cyclist")
FRAMES = 14

FORMATS = {
    "JSON": (".json", 1e-3),
    "JSON_MIN": (".json", 1e-3),
    "CSV": (".csv", 1e-3),
    "TSV": (".tsv", 1e-3),
    "COCO": (".zip", 1e-3),
    "COCO_WITH_IMAGES": (".zip", 1e-3),
    "YOLO": (".zip", 1e-3),
    "YOLO_WITH_IMAGES": (".zip", 1e-3),
    "YOLO_OBB": (".zip", 1e-3),
}
"""Label Studio's name -> (suffix of the file, pixels by which boxes may be off)."""

STATE_EMPTY = ("JSON", "JSON_MIN", "CSV", "TSV")
"""Those that tell an annotation without boxes from no annotation. The detector is sure of objects
on that frame, so it is taken with ``empty_ok`` only, which takes no task that nobody annotated."""


@pytest.fixture(scope="module")
def truth(rendered):
    """(stem of the clip, ordinal) -> [(label, box)]; of no class of the campaign = unknown."""
    found = {}
    for entry in vidal.read_labels(rendered / "labels.coco.json"):
        table = entry.annotations
        for index in range(table.frames):
            rows = table.on(index)
            names = [table.classes[at] for at in table.labels[rows].tolist()]
            labels = [name if name in CLASSES else "unknown" for name in names]
            boxes = table.boxes[rows].tolist()
            found[entry.name.rpartition("/")[2], index] = list(zip(labels, boxes, strict=True))
    return found


@pytest.fixture(scope="module")
def asked(rendered, tmp_path_factory):
    """A campaign whose first query was made by a detector; do not change it."""
    work = tmp_path_factory.mktemp("asked") / "work"
    main(
        [
            *("init", str(work), "--videos", str(rendered / "clips"), "--initial", str(FRAMES)),
            *("--detector", "scenes-tiny", "--set", "selection.initial_strategy=entropy"),
            *("--set", "selection.gap=0"),
            *("--set", "workers=1", "--device", "cpu", "--classes", ",".join(CLASSES)),
        ]
    )
    main(["select", "--campaign", str(work), "--quiet", "--no-report"])
    return work


@pytest.fixture(scope="module")
def answered(server, asked, truth):
    """(project, frames answered with boxes, empty ones, skipped ones); three frames stay open.

    Annotators answer from the predictions, as in the interface: what they keep of a region keeps
    its verdict beside the label.
    """
    done = server.vidal(
        *("push", "label-studio", asked, "--url", server.url, "--project", "formats")
    )
    assert done.returncode == 0, done.stderr
    number = server.project("formats")
    given, empty, skipped = [], [], []
    for at, task in enumerate(server.tasks(number)):
        ref = task["data"]["clip"], task["data"]["index"]
        place = f"/api/tasks/{task['id']}/annotations"
        if at == 0:
            server("POST", place, {"result": []})
            empty.append(ref)
        elif at == 1:
            server("POST", place, {"result": [], "was_cancelled": True})
            skipped.append(ref)
        elif at == 2:
            result = drawn(truth[stem(ref[0]), ref[1]], task)
            server("POST", f"/api/tasks/{task['id']}/drafts", {"result": result})
        elif at < FRAMES - 2:
            result = drawn(truth[stem(ref[0]), ref[1]], task)
            server("POST", place, {"result": result, "prediction": task["predictions"][0]["id"]})
            given.append(ref)
    return number, given, empty, skipped


def stem(clip):
    return clip.rpartition("-")[0]


def drawn(objects, task):
    """The result of an annotation: true boxes, the first with the verdict of the proposal."""
    proposal = task["predictions"][0]["result"]
    width, height = proposal[0]["original_width"], proposal[0]["original_height"]
    common = {"to_name": "image", "original_width": width, "original_height": height}
    result = []
    for at, (label, (x1, y1, x2, y2)) in enumerate(objects):
        value = {
            "x": 100 * x1 / width,
            "y": 100 * y1 / height,
            "width": 100 * (x2 - x1) / width,
            "height": 100 * (y2 - y1) / height,
            "rotation": 0,
        }
        region = {**common, "id": f"region{at}", "image_rotation": 0}
        box = {**region, "from_name": "label", "type": "rectanglelabels"}
        result.append({**box, "value": {**value, "rectanglelabels": [label]}})
        if at == 0:
            verdict = {**region, "from_name": "vidal", "type": "choices"}
            result.append({**verdict, "value": {**value, "choices": ["likely_correct"]}})
            sure = {**region, "from_name": "vidal_certainty", "type": "number"}
            result.append({**sure, "value": {**value, "number": 0.9}})
    return result


@pytest.mark.parametrize("every", [True, False], ids=["all tasks", "annotated"])
@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_comes_back_as_it_was_drawn(
    server, asked, answered, truth, tmp_path, kind, every
):
    number, given, empty, skipped = answered
    suffix, tolerance = FORMATS[kind]
    file = tmp_path / f"project{suffix}"
    file.write_bytes(server.export(number, kind, every=every))
    shutil.copytree(asked, tmp_path / "work")
    stated = kind in STATE_EMPTY
    done = vidal.Campaign(tmp_path / "work").import_labels(file, empty_ok=stated)
    with open_campaign(tmp_path / "work") as campaign:
        states = {
            (clip, frame): state
            for clip, frame, state in campaign.record.db.execute(
                "SELECT clip, frame, state FROM frames"
            )
        }
        labelled = {ref for ref, state in states.items() if state == "labelled"}
        assert labelled == {*given, *(empty if stated else [])}
        if kind == "JSON":
            assert {ref for ref, state in states.items() if state == "skipped"} == set(skipped)
        for clip, index in given:
            table = campaign.record.annotations(clip, 40)
            rows = table.on(index)
            names = (*campaign.record.classes, "unknown")  # -1 = the last
            mine = [
                (names[at], box)
                for at, box in zip(table.labels[rows], table.boxes[rows], strict=True)
            ]
            same(mine, truth[stem(clip), index], tolerance)
    assert done.waiting == FRAMES - len(labelled) - (len(skipped) if kind == "JSON" else 0)


def same(mine, true, tolerance):
    """The same labels, and boxes within a tolerance, in any order."""
    assert len(mine) == len(true)
    left = list(true)
    for label, box in mine:
        off = [
            np.abs(np.subtract(box, other)).max() if name == label else np.inf
            for name, other in left
        ]
        nearest = int(np.argmin(off))
        assert off[nearest] <= tolerance, (label, box)
        left.pop(nearest)


def test_pascal_voc_is_refused_by_name(server, asked, answered, tmp_path):
    (tmp_path / "voc.zip").write_bytes(server.export(answered[0], "VOC"))
    with pytest.raises(vidal.VidalError, match="Pascal VOC") as caught:
        vidal.Campaign(asked).import_labels(tmp_path / "voc.zip")
    assert "COCO" in caught.value.hint


def test_a_project_made_by_hand_from_the_archive_of_export_comes_back(
    server, asked, truth, tmp_path
):
    """`vidal export`, its README followed through the API, answers, JSON, `vidal import`."""
    archive = vidal.Campaign(asked).export("label-studio", out=tmp_path / "out.zip", progress=False)
    with zipfile.ZipFile(archive.path) as opened:
        names = opened.namelist()
        config = opened.read(next(n for n in names if n.endswith("label_config.xml"))).decode()
        tasks = json.loads(opened.read(next(n for n in names if n.endswith("tasks.json"))))
    made = server("POST", "/api/projects", {"title": "by hand", "label_config": config})
    server("POST", f"/api/projects/{made['id']}/import", tasks)
    given = []
    for task in server.tasks(made["id"]):
        ref = task["data"]["clip"], task["data"]["index"]
        result = drawn(truth[stem(ref[0]), ref[1]], task)
        server("POST", f"/api/tasks/{task['id']}/annotations", {"result": result})
        given.append(ref)
    assert len(given) == FRAMES
    shutil.copytree(asked, tmp_path / "work")
    pulled = server.vidal(
        *("pull", "label-studio", tmp_path / "work", "--url", server.url),
        *("--project", "by hand", "--json"),
    )
    assert pulled.returncode == 0, pulled.stderr
    assert json.loads(pulled.stdout)["labelled"] == FRAMES
    with open_campaign(tmp_path / "work") as campaign:
        for clip, index in given:
            table = campaign.record.annotations(clip, 40)
            rows = table.on(index)
            names = (*campaign.record.classes, "unknown")
            mine = [
                (names[at], box)
                for at, box in zip(table.labels[rows], table.boxes[rows], strict=True)
            ]
            same(mine, truth[stem(clip), index], 1e-3)


def test_pictures_of_an_export_with_images_are_those_that_went_out(server, asked, answered):
    number, *_ = answered
    sent = {path.name: path.read_bytes() for path in asked.glob("queries/round-000/frames/*.jpg")}
    with zipfile.ZipFile(BytesIO(server.export(number, "COCO_WITH_IMAGES"))) as opened:
        pictures = {n: opened.read(n) for n in opened.namelist() if n.endswith(".jpg")}
    assert len(pictures) == FRAMES - 1  # all but the skipped one
    for name, data in pictures.items():
        assert sent[name.rpartition("/")[2][9:]] == data
