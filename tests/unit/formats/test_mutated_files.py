"""Whatever happens to a file, a reader gives clips or one error of ours, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidal.errors import InputError
from vidal.formats import bdd100k, imagenet_vid, kitti_tracking, mot, yolo
from vidal.types import Skipped

FIXTURES = Path(__file__).parents[2] / "fixtures"
VID = "Annotations/VID/val/ILSVRC2015_val_00000000/000000.xml"
CASES = {
    "kitti": (kitti_tracking, "kitti_tracking/training", "label_02/0000.txt"),
    "kitti-gz": (kitti_tracking, "kitti_tracking/training", "label_02/0001.txt.gz"),
    "mot": (mot, "mot/train", "MOT17-02-DPM/gt/gt.txt"),
    "mot-info": (mot, "mot/train", "MOT17-02-DPM/seqinfo.ini"),
    "bdd100k": (bdd100k, "bdd100k", "labels/box_track_20/val/b1c66a42-6f7d68ca.json"),
    "yolo": (yolo, "yolo", "labels/town-9a_000000.txt"),
    "yolo-info": (yolo, "yolo", "data.yaml"),
    "vid": (imagenet_vid, "imagenet_vid", VID),
    "vid-list": (imagenet_vid, "imagenet_vid", "ImageSets/VID/VID_val_frames.txt"),
}
PIECES = [
    b"", b"-", b"9" * 30, b"9" * 4301, b"nan", b"1e999", b"-1e22", b"1_0", b"\n", b" ", b",", b"<",
    b"\0", b"null", b"\xff", b"!!bool ", b"!!int ''", b"&a [*a]", b"\\ud800",
]  # fmt: skip
edits = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 3), st.sampled_from(PIECES)), min_size=1, max_size=4
)


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    module, root, file = CASES[request.param]
    shutil.copytree(FIXTURES / root, tmp_path / "data")
    return module, tmp_path / "data", tmp_path / "data" / file


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=edits, cut=st.none() | st.floats(0, 1))
def test_a_mutated_file_gives_clips_or_one_line_of_error(case, changes, cut):
    module, root, file = case
    source = FIXTURES / CASES[next(k for k, c in CASES.items() if file.match(c[2]))][1]
    original = data = (source / file.relative_to(root)).read_bytes()
    for place, width, piece in changes:
        at = int(place * len(data))
        data = data[:at] + piece + data[at + width :]
    file.write_bytes(data if cut is None else data[: int(cut * len(data))])
    listed = {"listed": file} if file.suffix == ".txt" and module is imagenet_vid else {}
    caught = None
    try:
        for clip in module.read(root, skipped=Skipped(), **listed):
            assert clip.annotations.frames <= 10_000_000
    except InputError as error:
        caught = error
    finally:
        file.write_bytes(original)
    if caught is not None:
        assert "\n" not in caught.message
        assert str(root) in caught.message
