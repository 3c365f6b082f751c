"""Real CVAT tasks: imported into a campaign, and exported again, they are what they were."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import vidal
from vidal.campaign.folder import open_campaign
from vidal.formats import coco_video, cvat_images, yolo

JAMCAM = Path(__file__).parents[2].parent / "shared/data/video/tfl_jamcam"
NAMES = {
    "3601_2019-06-28": "2019-06-28_13-02-35.503167_00001.03601",
    "3604_2019-06-29": "2019-06-29_13-01-45.674007_00001.03604",
    "6514_2019-06-28": "2019-06-28_13-03-07.370509_00001.06514",
}
"""Folder -> name of the task, which is that of the file that was uploaded."""
CLASSES = ("car", "truck", "bus")

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not JAMCAM.is_dir(), reason=f"no real clips at {JAMCAM}"),
]


@pytest.fixture(scope="module")
def truth():
    """(camera, ordinal) -> [(label, corners)]; motorbikes are of no class of the campaign."""
    found = {}
    for name in NAMES:
        for line in (JAMCAM / name / "gt.jsonl").read_text().splitlines():
            entry = json.loads(line)
            found[name, entry["frame"]] = [
                (each["label"] if each["label"] in CLASSES else "unknown", each["xyxy"])
                for each in entry["boxes"]
            ]
    return found


@pytest.fixture(scope="module")
def imported(truth, tmp_path_factory):
    """A campaign over the three clips whose first round was answered with the tasks themselves."""
    place = tmp_path_factory.mktemp("real")
    (place / "clips").mkdir()
    for name, file in NAMES.items():
        shutil.copy(JAMCAM / name / "video.mp4", place / "clips" / f"{file}.mp4")
    work = vidal.Campaign.create(
        place / "work",
        videos=place / "clips",
        classes=CLASSES,
        detector="scenes-tiny",
        initial="12",
        settings={"selection.initial_strategy": "random"},
    )
    work.select(report=False, progress=False)
    for name in NAMES:
        task = place / f"{name}.xml.gz"
        shutil.copy(JAMCAM / name / "cvat.xml.gz", task)
        told = work.import_labels(task, map=["vehicle.type"], dry_run=True)
        assert (told.left_out, told.others) == ((), ())
        work.import_labels(task, map=["vehicle.type"])
    return work


def camera(clip):
    return next(name for name, file in NAMES.items() if file in clip)


def same(mine, true, tolerance):
    assert len(mine) == len(true)
    left = list(true)
    for label, box in mine:
        off = [
            np.abs(np.subtract(box, other)).max() if name == label else np.inf
            for name, other in left
        ]
        nearest = int(np.argmin(off))
        assert off[nearest] <= tolerance
        left.pop(nearest)


def test_every_frame_gets_the_boxes_of_the_task(imported, truth):
    assert imported.status()["frames"]["labelled"] == 12
    with open_campaign(imported.folder, lock=False) as campaign:
        names = (*campaign.record.classes, "unknown")  # -1 = the last
        for ref in campaign.record.queried_in(0):
            table = campaign.record.annotations(ref.clip, 300)
            rows = table.on(ref.index)
            boxes = zip(table.labels[rows], table.boxes[rows], strict=True)
            mine = [(names[at], box) for at, box in boxes]
            same(mine, truth[camera(ref.clip), ref.index], 1e-4)


READERS = {"cvat": cvat_images.read, "coco": coco_video.read, "yolo": yolo.read}


@pytest.mark.parametrize("to", READERS)
def test_what_is_exported_again_is_what_was_imported(imported, truth, tmp_path, to):
    done = imported.export(
        to, labelled=True, unknown="class", out=tmp_path / f"{to}.zip", progress=False
    )
    assert done.frames == 12
    seen = 0
    for entry in READERS[to](done.path):
        table = entry.annotations
        for index in np.flatnonzero(table.labelled).tolist():
            rows = table.on(index)
            labels = [table.classes[at] if at >= 0 else "unknown" for at in table.labels[rows]]
            mine = list(zip(labels, table.boxes[rows], strict=True))
            same(mine, truth[camera(entry.name), index], 0.006 if to == "cvat" else 1e-3)
            seen += 1
    assert seen == 12
