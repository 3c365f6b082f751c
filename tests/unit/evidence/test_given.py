"""Detections from files: matched to clips, fitted to their frames, and what is said of them."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.errors import (
    EvidenceLost,
    FormatError,
    InputError,
    LabelsMismatch,
    NoClips,
    UnknownName,
    UsageError,
)
from vidal.evidence.given import GivenDetections
from vidal.evidence.given_clips import take_in
from vidal.store import MemoryStore, from_arrays, to_arrays
from vidal.types import Clip, Detections

LINE = "{n},2,3,10,12,0.5\n"


def clip(name="a-00000000", path="videos/a.mp4", frames=4, size=(48, 64), reader="pts", pts=None):
    times = np.arange(frames) if pts is None else np.array(pts)
    return Clip(name, Path(path), times, Fraction(1, 25), Fraction(25), size, reader=reader)


def write(path: Path, frames=(0, 2), line=LINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line.format(n=n) for n in frames))
    return path


def key_of(clip):
    return hashlib.blake2b(clip.id.encode(), digest_size=16).hexdigest()


def take(path, clips, *, needs=("regions",), **options):
    given = GivenDetections.of(path, **options)
    store = MemoryStore()
    taken = take_in(
        given,
        clips,
        needs=frozenset(needs),
        strategy="entropy",
        keep=lambda clip, table: store.put(key_of(clip), to_arrays(table)),
        rate=Fraction(10),
    )
    return taken, {
        each.id: from_arrays(Detections, store.get(key_of(each))) for each in taken.clips
    }


def test_a_clip_is_found_by_the_name_of_the_file(tmp_path):
    taken, tables = take(write(tmp_path / "a.csv").parent, [clip()])
    table = tables["a-00000000"]
    assert table.frame.tolist() == [0, 2]
    assert table.scanned.tolist() == [True] * 4
    assert table.probs.tolist() == [[0.5, 0.5]] * 2
    assert taken.skipped == ()
    assert "2 of 4 frames are not in the detections: taken as looked at and empty" in taken.notes[0]
    assert "no class distributions" in taken.notes[1]


def test_unlisted_frames_may_be_taken_as_never_looked_at(tmp_path):
    taken, tables = take(write(tmp_path / "a.csv"), [clip()], frames="listed")
    assert tables["a-00000000"].scanned.tolist() == [True, False, True, False]
    assert "never looked at" in taken.notes[0]


def test_where_the_format_lists_frames_the_others_were_not_looked_at(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"frame": 1, "dets": []}\n')
    assert take(file, [clip()])[1]["a-00000000"].scanned.tolist() == [False, True, False, False]
    every = take(file, [clip()], frames="all")[1]["a-00000000"]
    assert every.scanned.tolist() == [True] * 4


def test_notes_on_distributions_are_made_only_where_they_are_used(tmp_path):
    taken, _ = take(write(tmp_path / "a.csv", range(4)), [clip()], needs=("errors",))
    assert taken.notes == ()


def test_numbers_are_those_of_the_images_where_the_clip_is_a_folder_of_them(tmp_path):
    images = clip(path="videos/a", reader="images", pts=[1, 3, 5])
    table = take(write(tmp_path / "a.csv", (1, 5)), [images])[1]["a-00000000"]
    assert table.frame.tolist() == [0, 2]
    with pytest.raises(LabelsMismatch, match=r"detections in frame 2, but a has 3 .*images 1 to 5"):
        take(write(tmp_path / "a.csv", (2,)), [images])


def test_frames_of_mot_count_from_one(tmp_path):
    file = write(tmp_path / "a.txt", (1, 4), "{n},-1,1,1,5,5,0.5,-1,-1,-1\n")
    table = take(file, [clip()])[1]["a-00000000"]
    assert table.frame.tolist() == [0, 3]
    assert table.boxes[0].tolist() == [0, 0, 5, 5]


def test_frames_that_the_clip_does_not_have_are_refused(tmp_path):
    with pytest.raises(LabelsMismatch, match=r"frame 4, but a\.mp4 has 4 frames \(0 to 3\)"):
        take(write(tmp_path / "a.csv", (4,)), [clip()])


def test_relative_boxes_take_the_size_of_the_clip(tmp_path):
    box = {"label": "car", "bounding_box": [0.5, 0.25, 0.25, 0.5], "confidence": 0.5}
    sample = {"filepath": "a.mp4", "frames": {"2": {"p": {"detections": [box]}}}}
    file = tmp_path / "samples.json"
    file.write_text(json.dumps({"samples": [sample]}))
    table = take(file, [clip()])[1]["a-00000000"]
    assert table.frame.tolist() == [1]
    assert table.boxes.tolist() == [[32, 12, 48, 36]]


def test_boxes_are_cut_to_the_frame_and_those_outside_are_counted(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("0,-5,-5,10,100,0.5\n1,70,5,80,9,0.5\n")
    taken, tables = take(file, [clip(frames=2)], needs=("errors",))
    assert tables["a-00000000"].boxes.tolist() == [[0, 0, 10, 48]]
    assert taken.notes == ("1 box outside of the frame left out.",)


def test_a_stated_size_has_to_be_the_clips(tmp_path):
    content = {
        "images": [{"id": 1, "file_name": "a/0.jpg", "width": 640, "height": 480}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [],
    }
    file = tmp_path / "coco.json"
    file.write_text(json.dumps(content))
    with pytest.raises(LabelsMismatch, match=r"640x480 pixels large, but a\.mp4 is 64x48"):
        take(file, [clip()])


def test_clips_in_folders_of_their_own_are_found_by_the_folder(tmp_path):
    clips = [clip(f"{n}__video-0", f"videos/{n}/video.mp4") for n in ("one", "two")]
    for name in ("one", "two"):
        write(tmp_path / name / "yolo.csv")
    taken, _ = take(tmp_path, clips)
    assert taken.clips == tuple(clips)


def test_one_nameless_file_belongs_to_the_only_clip(tmp_path):
    assert len(take(write(tmp_path / "whatever.csv"), [clip()])[0].clips) == 1


def test_classes_that_match_no_detection_are_refused_with_those_that_are_there(tmp_path):
    record = {"frame": 0, "dets": [{"xyxy": [1, 2, 9, 9], "label": "car", "score": 0.5}]}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(UnknownName, match="lorry") as caught:
        take(path.parent, [clip()], classes=("lorry", "tram"))
    assert "car" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes.txt", "Recorded on a rainy day.\n"),
        ("query.json", '{"format": "vidal-query", "schema": 1}'),
        ("package.json", '{"name": "x"}'),
        ("table.csv", "a;b;c\n1;2;3\n"),
    ],
)
def test_another_file_among_the_detections_is_refused_by_name_with_the_way_out(
    tmp_path, name, text
):
    write(tmp_path / "a.csv")
    (tmp_path / name).write_text(text)
    with pytest.raises(FormatError) as caught:
        take(tmp_path, [clip()])
    assert caught.value.path.name == name
    assert "move it away, or name the others by a pattern" in caught.value.hint


def test_clips_and_files_without_partner_are_told(tmp_path):
    write(tmp_path / "a.csv")
    write(tmp_path / "z.csv")
    other = clip("b-00000000", "videos/b.mp4")
    taken, _ = take(tmp_path, [clip(), other])
    assert [each.path for each in taken.skipped] == [other.path]
    assert taken.notes[-1] == "The detections name 1 clip that is not here, such as z."
    with pytest.raises(LabelsMismatch, match=r"detections for other clips \(a, z\)"):
        take(tmp_path, [other, clip("c-0", "videos/c.mp4")])


def test_two_files_of_one_clip_are_refused(tmp_path):
    write(tmp_path / "a.csv")
    write(tmp_path / "a.txt", (1,), "{n},-1,1,1,5,5,0.5,-1,-1,-1\n")
    with pytest.raises(LabelsMismatch, match="two entries belong to clip a-00000000"):
        take(tmp_path, [clip(), clip("b-0", "videos/b.mp4")])


@pytest.mark.parametrize("needs", ["features", "embedding"])
def test_a_strategy_that_needs_what_the_file_lacks_is_refused_by_name(tmp_path, needs):
    with pytest.raises(UsageError, match=f"strategy 'entropy' needs {needs}, which the detections"):
        take(write(tmp_path / "a.csv"), [clip()], needs=(needs,))


def test_features_in_the_file_satisfy_a_strategy_that_needs_them(tmp_path):
    line = {"frame": 0, "dets": [{"xyxy": [1, 2, 3, 4], "label": "a", "score": 1, "features": [7]}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(line))
    table = take(tmp_path / "a.jsonl", [clip()], needs=("features",))[1]["a-00000000"]
    assert table.features.tolist() == [[7]]


def test_without_videos_the_files_describe_the_clips(tmp_path):
    taken, tables = take(write(tmp_path / "a.csv"), None, size=(48, 64))
    (described,) = taken.clips
    assert described.id.startswith("a-")
    assert described.frames == 3
    assert described.size == (48, 64)
    assert described.rate == 10
    assert not described.pixels
    assert tables[described.id].frame.tolist() == [0, 2]
    assert taken.notes[0].startswith("No videos were given")


def test_the_listed_images_are_the_frames_of_a_described_clip(tmp_path):
    content = {
        "images": [
            {"id": n, "file_name": f"a/{n:06d}.jpg", "width": 64, "height": 48} for n in (9, 3)
        ],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [{"image_id": 9, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    taken, tables = take(tmp_path / "coco.json", None)
    assert taken.clips[0].pts.tolist() == [3, 9]
    assert tables[taken.clips[0].id].frame.tolist() == [1]


def test_a_described_clip_needs_a_size(tmp_path):
    with pytest.raises(UsageError, match=r"does not say how large .*--size"):
        take(write(tmp_path / "a.csv"), None)


def test_detections_of_nothing_are_refused(tmp_path):
    with pytest.raises(NoClips, match="no clip with detections"):
        take(write(tmp_path / "a.csv", ()), None, size=(48, 64))
    with pytest.raises(InputError, match="no such file"):
        GivenDetections.of(tmp_path / "nowhere")


def test_the_key_follows_the_content_and_the_options_not_the_place(tmp_path):
    first = GivenDetections.of(write(tmp_path / "one" / "a.csv"))
    moved = GivenDetections.of(write(tmp_path / "two" / "a.csv"))
    changed = GivenDetections.of(write(tmp_path / "three" / "a.csv", (0, 3)))
    assert first.key == moved.key
    assert first.key != changed.key
    assert first.key != GivenDetections.of(first.path, transform="sigmoid").key
    with pytest.raises(EvidenceLost, match="vanished"):
        first.load()
