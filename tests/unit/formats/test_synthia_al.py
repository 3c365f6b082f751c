"""The folders of SYNTHIA-AL."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.errors import FormatError, InputError, OutputError
from vidal.formats.synthia_al import CLASSES, SceneName, read, write_clip
from vidal.types import Annotations, Skipped

SCENE = "test5_12segs_weather_0_spawn_1_roadTexture_0_P_20_C_None_B_20_WC_100"
CLIP = f"train/{SCENE}/01-02-2019_03-04-05"


def line(kind: str, left: float = 1, top: float = 2, right: float = 30, bottom: float = 40) -> str:
    return f"{kind} 0 0 -10 {left} {top} {right} {bottom} 1 1 1 0 0 10 0\n"


def folder(root: Path, texts: dict[int, str | None], clip: str = CLIP) -> Path:
    """A clip of 64x48 images; None = no label file."""
    place = root / clip
    (place / "RGB").mkdir(parents=True)
    (place / "labels_kitti").mkdir()
    for number, text in texts.items():
        image = np.full((48, 64, 4), number, np.uint8)
        cv2.imwrite(str(place / "RGB" / f"{number:06d}.png"), image)
        if text is not None:
            (place / "labels_kitti" / f"{number:06d}.txt").write_text(text)
    return place


def table(rows: list[tuple[tuple[float, float, float, float], int]]) -> Annotations:
    return Annotations(
        CLASSES,
        np.ones(1, bool),
        np.zeros(len(rows), np.int64),
        np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.int64),
        np.full(len(rows), -1, np.int64),
        np.zeros(len(rows), bool),
    )


def test_labels_in_any_case_are_read_without_tracks(tmp_path: Path) -> None:
    folder(tmp_path, {0: line("Car") + line("PEDESTRIAN"), 1: "", 2: line("Bicycle")})
    (clip,) = read(tmp_path)
    assert clip.name == CLIP
    assert clip.size == (48, 64)
    assert clip.files == tuple(f"{CLIP}/RGB/{at:06d}.png" for at in range(3))
    assert clip.annotations.labels.tolist() == [0, 1, -1]
    assert clip.annotations.frame.tolist() == [0, 0, 2]
    assert clip.annotations.track.tolist() == [-1, -1, -1]
    assert clip.annotations.labelled.all()


def test_riders_can_be_merged_with_their_bicycles(tmp_path: Path) -> None:
    folder(tmp_path, {0: line("bicycle") + line("cyclist", left=3)})
    (clip,) = read(tmp_path, aliases={"Bicycle": "cyclist"})
    assert clip.annotations.labels.tolist() == [2, 2]


def test_images_without_a_label_file_are_not_annotated(tmp_path: Path) -> None:
    folder(tmp_path, {3: line("car"), 4: None, 7: ""})
    (clip,) = read(tmp_path)
    assert clip.annotations.labelled.tolist() == [True, False, True]


def test_labels_without_an_image_are_listed(tmp_path: Path) -> None:
    place = folder(tmp_path, {0: ""})
    (place / "labels_kitti" / "000009.txt").write_text(line("car"))
    skipped = Skipped()
    (clip,) = read(tmp_path, skipped=skipped)
    assert len(clip.annotations) == 0
    assert skipped.entries[0][2] == "labels without an image"


def test_a_split_a_scene_or_a_clip_can_be_read_alone(tmp_path: Path) -> None:
    folder(tmp_path, {0: ""})
    folder(tmp_path, {0: ""}, f"test/{SCENE}/01-02-2019_03-04-06")
    assert len(list(read(tmp_path))) == 2
    for place in ("train", f"train/{SCENE}", CLIP):
        (clip,) = read(tmp_path / place)
        assert clip.name == CLIP


def test_listed_corrupt_scenes_are_skipped_and_counted(tmp_path: Path) -> None:
    folder(tmp_path, {0: ""})
    folder(tmp_path, {0: ""}, "train/other/01-02-2019_03-04-06")
    skipped = Skipped()
    found = [clip.name for clip in read(tmp_path, corrupt=[SCENE], skipped=skipped)]
    assert found == ["train/other/01-02-2019_03-04-06"]
    assert skipped.entries == [((tmp_path / CLIP).resolve(), "", "listed as corrupt")]


def test_another_folder_of_labels_can_be_named(tmp_path: Path) -> None:
    place = folder(tmp_path, {0: line("car")})
    (place / "labels_kitti").rename(place / "modified_labels_kitti")
    assert not next(read(tmp_path)).annotations.labelled.any()
    assert len(next(read(tmp_path, labels="modified_labels_kitti")).annotations) == 1


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("car 0 0\n", "line 1"),
        (line("car") + line("car").strip() + " 0.9\n", "line 2"),
        (line("giraffe"), "line 1"),
        (line("car").replace("30", "x"), "line 1"),
    ],
)
def test_broken_lines_are_refused_with_their_place(tmp_path: Path, text: str, where: str) -> None:
    place = folder(tmp_path, {0: text})
    with pytest.raises(FormatError) as caught:
        list(read(tmp_path))
    assert caught.value.where == where
    assert caught.value.path == (place / "labels_kitti" / "000000.txt").resolve()


def test_impossible_boxes_are_left_out_and_listed(tmp_path: Path) -> None:
    bad = line("car", right=0) + line("car", left=float("nan")) + line("car", 70, 2, 90, 9)
    folder(tmp_path, {0: bad + line("car")})
    skipped = Skipped()
    (clip,) = read(tmp_path, skipped=skipped)
    assert not clip.annotations.labelled.any()
    assert len(skipped) == 3


def test_folder_without_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no SYNTHIA-AL clips"):
        list(read(tmp_path))
    with pytest.raises(InputError, match="no such folder"):
        list(read(tmp_path / "nothing"))


def test_written_clip_reads_back_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 48, 64, 3), dtype=np.uint8)
    tables = [table([((1.5, 2, 20.25, 30), 0), ((3, 4, 9, 9), -1)]), table([])]
    place = write_clip(tmp_path, CLIP, zip(images, tables, strict=True))
    (clip,) = read(tmp_path)
    assert clip.name == CLIP
    assert clip.annotations.labelled.tolist() == [True, True]
    assert np.array_equal(clip.annotations.boxes, tables[0].boxes)
    assert clip.annotations.labels.tolist() == [0, -1]
    stored = cv2.imread(str(place / "RGB" / "000000.png"))
    assert np.array_equal(stored[:, :, ::-1], images[0])


def test_interrupted_writing_leaves_no_clip(tmp_path: Path) -> None:
    def frames():
        yield np.zeros((48, 64, 3), np.uint8), table([])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_clip(tmp_path, CLIP, frames())
    assert not (tmp_path / CLIP).exists()
    assert list((tmp_path / CLIP).parent.iterdir()) == []


def test_existing_clips_and_names_that_lead_out_are_refused(tmp_path: Path) -> None:
    write_clip(tmp_path, CLIP, [])
    with pytest.raises(OutputError, match="already"):
        write_clip(tmp_path, CLIP, [])
    with pytest.raises(OutputError, match="leads out"):
        write_clip(tmp_path, "../x", [])


def test_wheelchair_scenes_are_found_by_their_name() -> None:
    found = SceneName.parse(CLIP)
    assert found == SceneName(12, 0, 1, 0, 20, None, 20, 100)
    assert found is not None
    assert found.wheelchairs
    assert not SceneName(12).wheelchairs
    assert SceneName.parse("train/somewhere/else") is None


@given(
    st.builds(
        SceneName,
        st.integers(1, 99),
        *[st.integers(0, 4)] * 3,
        *[st.none() | st.integers(0, 100)] * 4,
    )
)
def test_scene_names_survive_the_round_trip(name: SceneName) -> None:
    assert SceneName.parse(str(name)) == name
