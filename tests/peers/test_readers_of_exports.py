"""FiftyOne and datumaro read what `vidal export` writes, without loss."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

import vidal
from vidal.cli import main

pytestmark = pytest.mark.peers
HERE = Path(__file__).parent
CLASSES = ("car", "pedestrian", "cyclist", "wheelchair")
FRAMES = 6
ROUNDED = 0.0051
"""datumaro keeps two decimals of a corner; CVAT's XML has no more."""


@pytest.fixture(scope="module")
def chosen(peer_python, rendered, tmp_path_factory):
    """A selection by expected errors: its boxes have verdicts, likely misses among them."""
    peer_python("datumaro")
    out = tmp_path_factory.mktemp("chosen") / "selection"
    main(
        [
            *("select", "--videos", str(rendered / "clips"), "--budget", str(FRAMES)),
            *("--detector", "scenes-tiny", "--device", "cpu", "--workers", "1", "--gap", "1"),
            *("--out", str(out), "--cache", str(out.parent / "cache"), "--quiet", "--no-report"),
        ]
    )
    return out


@pytest.fixture(scope="module")
def proposed(chosen):
    """Name of a picture -> [(label, corners, verdict, certainty)], as vidal wrote them."""
    value = json.loads((chosen / "preannotations.coco.json").read_text())
    names = {each["id"]: each["name"] for each in value["categories"]}
    files = {each["id"]: Path(each["file_name"]).stem for each in value["images"]}
    found = {stem: [] for stem in files.values()}
    for each in value["annotations"]:
        x, y, w, h = each["bbox"]
        said = each["attributes"]
        sure = said.get("certainty", said.get("confidence"))
        row = names[each["category_id"]], (x, y, x + w, y + h), said.get("verdict"), sure
        found[files[each["image_id"]]].append(row)
    assert {row[2] for rows in found.values() for row in rows} >= {"likely_miss"}
    return found


def unpacked(chosen, to, tmp_path):
    done = vidal.export(chosen, to, out=tmp_path / f"{to}.zip", boxes="all", progress=False)
    with zipfile.ZipFile(done.path) as archive:
        archive.extractall(tmp_path / to)
    return tmp_path / to


def read(python, script, *arguments):
    done = subprocess.run(
        [str(python), str(HERE / script), *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def same(found, proposed, tolerance, *, attributes=True, labels=True):
    """Every picture with its boxes: labels, corners and what is said of them."""
    assert sorted(found) == sorted(proposed)
    for stem, rows in found.items():
        assert len(rows) == len(proposed[stem])
        left = list(proposed[stem])
        for row in rows:
            off = [np.abs(np.subtract(row["box"], each[1])).max() for each in left]
            nearest = int(np.argmin(off))
            label, _, verdict, sure = left.pop(nearest)
            assert off[nearest] <= tolerance
            if labels:
                assert row["label"] == label
            if attributes:
                said = row["attributes"]
                assert said["vidal"] == (verdict or "no_verdict")
                if sure is not None:
                    assert float(said["vidal_certainty"]) == pytest.approx(sure, abs=0.0051)


@pytest.mark.parametrize("kind", ["cvat", "coco", "yolo"])
def test_datumaro_reads_pictures_labels_boxes_and_verdicts(
    peer_python, chosen, proposed, tmp_path, kind
):
    folder = unpacked(chosen, kind, tmp_path)
    value = read(peer_python("datumaro"), "read_datumaro.py", kind, folder)
    assert set(value["labels"]) == {*CLASSES, "unknown"}
    found = {Path(item["id"]).name: item["boxes"] for item in value["items"]}
    same(found, proposed, ROUNDED, attributes=kind != "yolo")
    for item in value["items"]:
        assert Path(item["file"]).is_file()


def test_datumaro_reads_the_sequences_of_mot(peer_python, chosen, proposed, tmp_path):
    folder = unpacked(chosen, "mot", tmp_path)
    rows = _map(folder)
    found = {}
    for sequence in sorted(each for each in folder.iterdir() if each.is_dir()):
        value = read(peer_python("datumaro"), "read_datumaro.py", "mot_seq", sequence)
        for item in value["items"]:
            place = f"{sequence.name}/img1/{int(item['id']):06d}.jpg"
            if item["boxes"] or place in rows:
                found.setdefault(rows[place], []).extend(item["boxes"])
    assert sum(map(len, found.values())) >= sum(map(len, proposed.values()))
    gt = {
        stem: [b for b in boxes if "score" not in b["attributes"]] for stem, boxes in found.items()
    }
    same(gt, proposed, ROUNDED, attributes=False)


def _map(folder):
    """Place of a picture -> the stem of the picture in the query."""
    value = json.loads((folder / "frame_map.json").read_text())
    return {each["file"]: f"{each['clip']}_{each['ordinal']:06d}" for each in value["frames"]}


@pytest.mark.parametrize("kind", ["coco", "fiftyone"])
def test_fiftyone_imports_samples_boxes_and_verdicts(peer_python, chosen, proposed, tmp_path, kind):
    folder = unpacked(chosen, kind, tmp_path)
    where = {"coco": ("annotations/instances_default.json", "images"), "fiftyone": ()}[kind]
    more = [folder, *(folder / each for each in where)]
    value = read(peer_python("fiftyone"), "read_fiftyone.py", *more)
    found = {Path(each["file"]).stem: each["boxes"] for each in value["samples"]}
    same(found, proposed, 1e-3)
    assert all(Path(each["file"]).is_file() for each in value["samples"])
    scores = [box["score"] for boxes in found.values() for box in boxes]
    written = json.loads((chosen / "preannotations.coco.json").read_text())["annotations"]
    theirs = sorted(each["score"] for each in written if "score" in each)
    assert sorted(each for each in scores if each is not None) == pytest.approx(theirs)
    assert scores.count(None) == len(written) - len(theirs)  # misses that only neighbours show
