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
from vidal.campaign.rendered import specs_of
from vidal.campaign.source import (
    entries_of,
    open_source,
    split_clips,
)
from vidal.errors import LabelsMismatch, UnknownName, UsageError
from vidal.evidence.places import Engines
from vidal.formats import coco_video
from vidal.selection.labelled import with_classes
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
    wanted, aside = (max(1, round(share * count)) if share else 0 for share in (test, validation))
    if wanted + aside >= count:
        with pytest.raises(UsageError, match=f"none of {count} clips"):
            split_clips(clips, config)
        return
    splits = split_clips(clips, config)
    assert set(splits) == {clip.id for clip in clips}
    assert splits == split_clips(clips[::-1], config)
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


def test_a_class_is_the_same_whatever_its_case_unless_two_differ_by_it():
    given = table(("CAR", "Bus", "bus"), [0, 1, 2])
    assert with_classes(given, ("car", "bus")).labels.tolist() == [0, 1, 1]
    assert with_classes(given, ("Bus", "bus", "Car", "car")).labels.tolist() == [-1, 0, 1]


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


SHIFT = {
    "scenes": {
        **{"clips": 4, "test_clips": 3, "test_frames": "1-1", "start_clips": 2, "seed": 5},
        **{"by_seed": True, "frames": "2-2", "size": "96x64", "rate": 10},
        **{"shares": {"night": 1, "wheelchair": 1}, "start_shares": {"default": 1}},
    },
    "conditions": {"night": "*-night-*", "dark wheels": ["*-night-*", "*-wheelchair-*"]},
}


def planned(part, seed, **changes):
    scenes = parse_config({"data": {**SHIFT, "scenes": {**SHIFT["scenes"], **changes}}}, "x")
    return specs_of(scenes.data.scenes, part, seed)


def test_every_seed_has_pool_and_start_clips_of_its_own_and_the_test_clips_of_all():
    for part in ("train", "start"):
        seeds = [{spec.seed for spec in planned(part, seed)} for seed in (None, 0, 1)]
        assert len(set.union(*seeds)) == sum(map(len, seeds))
        assert planned(part, 1) == planned(part, 1)
    assert planned("test", None) == planned("test", 0) == planned("test", 1)
    every = [spec.seed for part in ("train", "start", "test") for spec in planned(part, 0)]
    assert len(set(every)) == 9


def test_clips_are_the_same_for_all_seeds_where_that_is_not_asked_for():
    for part in ("train", "start", "test"):
        seeds = [planned(part, seed, by_seed=False) for seed in (None, 0, 1)]
        assert seeds[0] == seeds[1] == seeds[2]


def test_start_clips_are_training_clips_that_are_labelled_from_the_start(tmp_path):
    config = parse_config({"data": SHIFT}, "x")
    found = open_source(config, engines=ENGINES, store=tmp_path / "s", scenes=tmp_path / "c")
    start = found.start()
    assert len(start) == 2
    assert all(table.labelled.all() for table in start.values())
    assert {found.clips[name].split for name in start} == {"train"}
    assert all("start-" in name for name in start)
    assert len(found.opened("train")) == 6
    assert [clip.frames for clip in found.opened("test").values()] == [1, 1, 1]


def test_conditions_are_told_by_patterns_and_a_pattern_that_matches_nothing_is_refused(tmp_path):
    config = parse_config({"data": SHIFT}, "x")
    places = {"engines": ENGINES, "store": tmp_path / "s", "scenes": tmp_path / "c"}
    tags = open_source(config, **places).tags
    for name, found in tags.items():
        due = [
            tag for tag, part in (("night", "-night-"), ("dark wheels", "-night-")) if part in name
        ]
        due += ["dark wheels"] if "-wheelchair-" in name else []
        assert list(found) == due
    wrong = {**SHIFT, "conditions": {"fog": "*-fog-*"}}
    with pytest.raises(UsageError, match=r"conditions\.fog"):
        open_source(parse_config({"data": wrong}, "x"), **places)
