"""Labels find their clips by name, and are refused where frame numbers cannot be trusted."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.errors import LabelsMismatch
from vidal.evidence.labels import match_labels
from vidal.types import Annotations, Clip, LabelledClip


def a_clip(name: str = "city", frames: int = 5, folder: str = "clips") -> Clip:
    return Clip(
        id=f"{name}-0a1b2c3d",
        path=Path(folder) / f"{name}.mp4",
        pts=np.arange(frames),
        time_base=Fraction(1, 25),
        rate=Fraction(25),
        size=(30, 40),
    )


def an_entry(name: str, frames: int = 5, labelled: tuple[int, ...] = (1,)) -> LabelledClip:
    mask = np.zeros(frames, bool)
    mask[list(labelled)] = True
    table = Annotations(
        classes=("car",),
        labelled=mask,
        frame=np.zeros(0),
        boxes=np.zeros((0, 4)),
        labels=np.zeros(0),
        track=np.zeros(0),
        ignore=np.zeros(0),
    )
    return LabelledClip(name=name, annotations=table)


@pytest.mark.parametrize(
    "name", ["city", "city-0a1b2c3d", "city.mp4", "videos/city.mp4", "videos/city"]
)
def test_entry_finds_its_clip_by_id_name_or_file_name(name):
    clip = a_clip()
    match = match_labels(Path("l.json"), [an_entry(name)], [clip, a_clip("town")])
    assert match.labelled(clip).tolist() == [False, True, False, False, False]
    assert match.others == ()


def test_clip_without_entry_is_unlabelled():
    match = match_labels(Path("l.json"), [an_entry("city")], [a_clip(), a_clip("town")])
    assert not match.labelled(a_clip("town")).any()


def test_file_for_other_clips_only_is_refused_and_names_them():
    with pytest.raises(LabelsMismatch, match=r"other clips \(mars\)"):
        match_labels(Path("l.json"), [an_entry("mars")], [a_clip()])


def test_some_other_clips_are_reported_not_refused():
    match = match_labels(Path("l.json"), [an_entry("city"), an_entry("mars")], [a_clip()])
    assert match.others == ("mars",)


def test_label_beyond_the_end_of_a_clip_is_refused():
    with pytest.raises(LabelsMismatch, match=r"labels frame 7, but city\.mp4 has 5 frames"):
        match_labels(Path("l.json"), [an_entry("city", 9, (7,))], [a_clip()])


def test_table_of_another_length_is_fitted_where_nothing_is_lost():
    for frames in (3, 9):
        match = match_labels(Path("l.json"), [an_entry("city", frames)], [a_clip()])
        assert match.labelled(a_clip()).tolist() == [False, True, False, False, False]


def test_entry_that_could_be_two_clips_is_refused():
    clips = [
        a_clip(folder="a"),
        Clip(
            id="city-ffffffff",
            path=Path("b/city.mp4"),
            pts=np.arange(5),
            time_base=Fraction(1, 25),
            rate=Fraction(25),
            size=(30, 40),
        ),
    ]
    with pytest.raises(LabelsMismatch, match="could be"):
        match_labels(Path("l.json"), [an_entry("city")], clips)


def placed(place: str, digest: str) -> Clip:
    bare = "__".join(Path(place).with_suffix("").parts)
    path = Path("/data/clips") / place
    return Clip(f"{bare}-{digest}", path, np.arange(5), Fraction(1, 25), Fraction(25), (30, 40))


def test_labels_do_not_go_to_another_folders_clip_of_the_same_name():
    day = placed("day/cam.mp4", "0000000a")
    with pytest.raises(LabelsMismatch, match=r"other clips \(night/cam\)"):
        match_labels(Path("l.json"), [an_entry("night/cam")], [day])
    entries = [an_entry("night/cam", labelled=(1,)), an_entry("day/cam", labelled=(2,))]
    match = match_labels(Path("l.json"), entries, [day])
    assert match.labelled(day).tolist() == [False, False, True, False, False]
    assert match.others == ("night/cam",)


def test_of_two_entries_the_one_with_more_folders_is_the_clips():
    cam = placed("cam.mp4", "0000000a")
    entries = [an_entry("night/cam", labelled=(1,)), an_entry("clips/cam", labelled=(2,))]
    for order in (entries, entries[::-1]):
        match = match_labels(Path("l.json"), order, [cam])
        assert match.labelled(cam).tolist() == [False, False, True, False, False]
        assert match.others == ("night/cam",)
    with pytest.raises(LabelsMismatch, match="two entries belong to clip cam-0000000a"):
        match_labels(Path("l.json"), [an_entry("night/cam"), an_entry("dusk/cam")], [cam])


def test_labels_of_a_picture_of_another_size_are_refused_with_both_sizes():
    entry = replace(an_entry("city"), size=(60, 80))
    with pytest.raises(LabelsMismatch, match=r"at 80x60 pixels, but city\.mp4 is 40x30"):
        match_labels(Path("l.json"), [entry], [a_clip()])
    fitting = replace(an_entry("city"), size=(30, 40))
    assert match_labels(Path("l.json"), [fitting], [a_clip()]).annotations


def test_entries_of_clips_that_are_lost_are_told_and_not_taken():
    town = a_clip("town")
    match = match_labels(
        Path("l.json"), [an_entry("city"), an_entry("town")], [a_clip()], absent=[town]
    )
    assert list(match.annotations) == [a_clip().id]
    assert match.absent == (("town", town.id),)


def test_boxes_in_shares_of_the_picture_are_refused():
    entry = an_entry("city", labelled=(1, 2))
    shares = np.array([[0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]], np.float32)
    table = replace(
        entry.annotations,
        frame=np.array([1, 2]),
        boxes=shares,
        labels=np.zeros(2, np.int64),
        track=np.full(2, -1),
        ignore=np.zeros(2, bool),
    )
    with pytest.raises(LabelsMismatch, match="every box of 'city' lies within the first pixel"):
        match_labels(Path("l.json"), [replace(entry, annotations=table)], [a_clip()])
    larger = replace(table, boxes=shares * np.array([[1], [10]], np.float32))
    match = match_labels(Path("l.json"), [replace(entry, annotations=larger)], [a_clip()])
    assert match.labelled(a_clip()).sum() == 2
