"""Clips and labels of a configuration, and the split by whole clips."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.campaign.clips import find_clips
from vidal.campaign.config import parse_config
from vidal.campaign.config_data import SplitConfig
from vidal.campaign.places import located
from vidal.campaign.source import (
    entries_of,
    open_source,
    split_clips,
    with_classes,
)
from vidal.errors import LabelsMismatch, UnknownName, UsageError
from vidal.evidence.places import Engines
from vidal.formats import coco_video
from vidal.types import Annotations, Clip, LabelledClip
from vidal.video import identity, write_video

ENGINES = Engines(1, "cpu")


def a_clip(name: str) -> Clip:
    path = Path(f"{name.rpartition('-')[0]}.mp4")
    return Clip(name, path, np.arange(5), Fraction(1, 25), Fraction(25), (50, 50))


def table(classes, labels, frames=6) -> Annotations:
    n = len(labels)
    return Annotations(
        classes=classes,
        labelled=np.ones(frames, bool),
        frame=np.zeros(n, np.int64),
        boxes=np.tile([0, 0, 5, 5], (n, 1)),
        labels=np.array(labels, np.int64),
        track=np.full(n, -1),
        ignore=np.zeros(n, bool),
    )


@given(
    count=st.integers(2, 40),
    test=st.floats(0, 0.4),
    validation=st.floats(0, 0.4),
    seed=st.integers(0, 9),
)
def test_a_clip_is_in_one_split_and_the_order_of_clips_does_not_matter(
    count, test, validation, seed
):
    clips = [a_clip(f"c{i:02d}-00000000") for i in range(count)]
    config = SplitConfig(test=test, validation=validation, seed=seed)
    if count == 2 and test and validation:
        with pytest.raises(UsageError, match="none of 2 clips"):
            split_clips(clips, config)
        return
    splits = split_clips(clips, config)
    assert set(splits) == {clip.id for clip in clips}
    assert splits == split_clips(clips[::-1], config)
    wanted = max(1, round(test * count)) if test else 0
    assert list(splits.values()).count("test") == wanted


def test_patterns_match_ids_names_and_places():
    clips = [a_clip(f"{name}-0000000{i}") for i, name in enumerate(("day", "night-a", "night-b"))]
    splits = split_clips(clips, SplitConfig(test=("night-*",)))
    assert sorted(splits.values()) == ["test", "test", "train"]
    places = {clip.id: f"test/{clip.id}" for clip in clips[:1]}
    assert split_clips(clips, SplitConfig(test=("test/*",)), places)[clips[0].id] == "test"
    with pytest.raises(UsageError, match="'dusk-\\*' matches no clip"):
        split_clips(clips, SplitConfig(test=("dusk-*",)))
    with pytest.raises(UsageError, match="leaves none of 3 clips"):
        split_clips(clips, SplitConfig(test=("*",)))


def test_other_classes_become_unknown_objects():
    changed = with_classes(table(("dog", "car", "cat"), [1, 0, -1, 2]), ("car", "bus"))
    assert changed.labels.tolist() == [0, -1, -1, -1]
    assert changed.classes == ("car", "bus")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    (root / "clips" / "far").mkdir(parents=True)
    for name, level in (("a", 60), ("b", 120), ("far/c", 180)):
        images = [np.full((48, 64, 3), level + i, np.uint8) for i in range(6)]
        write_video(root / "clips" / f"{name}.mp4", images, Fraction(10))
    clips = [LabelledClip(n, table(("dog", "car"), [1, 0]), size=(48, 64)) for n in ("a", "b")]
    coco_video.write(root / "labels.json", clips)
    return root


def opened(data, tmp_path, **values):
    config = parse_config({"data": {"videos": str(data / "clips"), **values}}, "x")
    return open_source(config, engines=ENGINES, store=tmp_path / "e", scenes=tmp_path / "s")


def test_clips_are_found_with_their_labels_in_the_classes_of_the_campaign(data, tmp_path):
    labels = str(data / "labels.json")
    source = opened(data, tmp_path, labels=labels, classes=["car"], split={"test": "b"})
    assert [name.rpartition("-")[0] for name in source.opened()] == ["a", "b", "far__c"]
    assert {n[0]: t.labels.tolist() for n, t in source.truth().items()} == {
        "a": [0, -1],
        "b": [0, -1],
    }
    assert len(source.opened("test")) == 1
    assert opened(data, tmp_path, labels=labels).classes == ("dog", "car")
    assert opened(data, tmp_path).classes is None


def found_again(entries, folder, scratch):
    return find_clips(
        entries,
        lambda path: located(path, folder, None),
        engines=ENGINES,
        store=scratch / "e",
        image_rate=Fraction(10),
    )


def test_linked_clips_and_folders_keep_their_names_in_the_record(data, tmp_path):
    stored = tmp_path / "clips"
    stored.mkdir()
    (stored / "monday.mp4").symlink_to(data / "clips" / "a.mp4")
    (stored / "north").symlink_to(data / "clips" / "far")
    (tmp_path / "entrance").symlink_to(stored)
    for videos in (stored, tmp_path / "entrance"):
        config = parse_config({"data": {"videos": str(videos)}}, "x")
        source = open_source(config, engines=ENGINES, store=tmp_path / "e", scenes=tmp_path / "s")
        names = [name.rpartition("-")[0] for name in source.opened()]
        assert names == ["monday", "north__c"]
        for folder in (tmp_path, tmp_path / "work", tmp_path / "entrance"):
            entries = list(entries_of(source.clips.values(), folder))
            found = found_again(entries, folder, tmp_path)
            assert list(found.clips) == list(source.opened())


def test_large_folder_of_images_is_found_under_the_id_of_earlier_versions(tmp_path, monkeypatch):
    monkeypatch.setattr(identity, "WHOLE", 100)
    monkeypatch.setattr(identity, "BLOCKS", 2)
    folder = tmp_path / "clips" / "drive"
    folder.mkdir(parents=True)
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((48, 64, 3), number, np.uint8))
    config = parse_config({"data": {"videos": str(tmp_path / "clips")}}, "x")
    source = open_source(config, engines=ENGINES, store=tmp_path / "e", scenes=tmp_path / "s")
    (entry,) = entries_of(source.clips.values(), tmp_path)
    former = identity.former_id(folder, sorted(folder.iterdir()), tmp_path / "clips")
    assert former != entry.id
    earlier = [replace(entry, id=former)]
    assert list(found_again(earlier, tmp_path, tmp_path).clips) == [former]
    cv2.imwrite(str(folder / "0.png"), np.full((48, 64, 3), 99, np.uint8))
    (lost,) = found_again(earlier, tmp_path, tmp_path).lost
    assert "has changed since the campaign began" in lost.why


def test_labels_of_other_clips_are_refused(data, tmp_path):
    other = tmp_path / "other.json"
    coco_video.write(other, [LabelledClip("zzz", table(("car",), [0]), size=(48, 64))])
    with pytest.raises(LabelsMismatch, match="zzz"):
        opened(data, tmp_path, labels=str(other))


def test_an_option_that_a_format_does_not_have_is_refused(data, tmp_path):
    values = {"root": str(data), "format": "kitti-tracking", "options": {"ignored": ["Van"]}}
    config = parse_config({"data": values}, "x")
    with pytest.raises(UnknownName, match="ignored"):
        open_source(config, engines=ENGINES, store=tmp_path / "e", scenes=tmp_path / "s")


def test_scenes_are_rendered_once_and_split_as_planned(tmp_path):
    scenes = {"clips": 2, "test_clips": 1, "frames": "4-4", "size": "96x64"}
    config = parse_config({"data": {"scenes": scenes, "classes": ["car"]}}, "x")
    where = {"engines": ENGINES, "store": tmp_path / "e", "scenes": tmp_path / "s"}
    first = open_source(config, **where)
    assert sorted(each.split for each in first.clips.values()) == ["test", "train", "train"]
    assert all(each.truth is not None for each in first.clips.values())
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").rglob("*.mp4")}
    assert list(open_source(config, **where).clips) == list(first.clips)
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
