"""Detection files in the layouts that other programs write, and what becomes of broken ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidal.errors import FormatError, InputError, UsageError, VidalError
from vidal.formats.detections import read

KITTI = (
    "0 -1 Car -1 -1 -1.57 10.5 20 30.5 40 1.5 1.6 4 1 1.6 13 -1.6 0.9\n"
    "2 -1 DontCare -1 -1 -10 0 0 5 5 -1 -1 -1 -1 -1 -1 -1 0.5\n"
    "1 -1 Pedestrian -1 -1 0 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10 0.25\n"
)
MOT = "1,-1,11,21,20,30,0.75,-1,-1,-1\n3,-1,1,1,4,5,0.5,-1,-1,-1\n"
CSV = "frame,x1,y1,x2,y2,score\n0,1,2,3,4,0.5\n"
POINTS = "4,2,10,20,30,40,1.5,1,1,1,0,0,9,0,0\n"
LINES = (
    '{"frame": 0, "dets": [{"xyxy": [1, 2, 3, 4], "label": "car", "score": 0.5}]}\n'
    '{"frame": 3, "dets": []}\n'
)
SINK = [
    {
        "x_min": 1.0,
        "y_min": 2.0,
        "x_max": 3.0,
        "y_max": 4.0,
        "class_id": 2,
        "confidence": 0.5,
        "tracker_id": "",
        "class_name": "car",
        "frame_index": 7,
    }
]
RESULTS = [
    {"image_id": 11, "category_id": 3, "bbox": [1, 2, 10, 20], "score": 0.75},
    {"image_id": 10, "category_id": 1, "bbox": [5, 5, 5, 5], "score": 0.25},
]
IMAGES = {
    "images": [
        {"id": 10, "file_name": "drive/000000.jpg", "width": 64, "height": 48},
        {"id": 11, "file_name": "drive/000004.jpg", "width": 64, "height": 48},
        {"id": 12, "file_name": "other/000004.jpg", "width": 64, "height": 48},
    ],
    "categories": [{"id": 3, "name": "car"}, {"id": 1, "name": "person"}],
}


def save(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def only(found):
    assert len(found.clips) == 1
    return found.clips[0]


def test_kitti_results_have_names_and_the_score_last(tmp_path):
    found = read(save(tmp_path / "0004.txt", KITTI))
    clip = only(found)
    assert found.classes == ("Car", "Pedestrian")
    assert clip.names[0] == "0004"
    assert clip.number.tolist() == [0, 1]
    assert clip.boxes.tolist() == [[10.5, 20, 30.5, 40], [1, 2, 3, 4]]
    assert clip.scores.tolist() == pytest.approx([0.9, 0.25])
    assert clip.labels.tolist() == [0, 1]
    assert clip.listed is None
    assert clip.first == 0


def test_mot_frames_and_pixels_count_from_one(tmp_path):
    found = read(save(tmp_path / "MOT17-02" / "det" / "det.txt", MOT))
    clip = only(found)
    assert clip.names == ("MOT17-02", "det")
    assert found.classes == ("object",)
    assert clip.first == 1
    assert clip.number.tolist() == [1, 3]
    assert clip.boxes.tolist() == [[10, 20, 30, 50], [0, 0, 4, 5]]


def test_plain_columns_may_have_a_header_and_be_compressed(tmp_path):
    file = tmp_path / "a.csv.gz"
    file.write_bytes(gzip.compress(CSV.encode()))
    found = read(file, classes=["Car"])
    assert found.classes == ("Car",)
    assert only(found).boxes.tolist() == [[1, 2, 3, 4]]


def test_an_empty_text_file_is_a_clip_without_detections(tmp_path):
    clip = only(read(save(tmp_path / "a.txt", "")))
    assert len(clip.number) == 0
    assert clip.boxes.shape == (0, 4)


def test_scores_of_3d_trackers_are_refused_until_the_sigmoid_is_asked_for(tmp_path):
    file = save(tmp_path / "0000.txt", POINTS)
    with pytest.raises(FormatError, match=r"line 1: score 1\.5 .*--score-transform sigmoid"):
        read(file)
    found = read(file, transform="sigmoid")
    assert found.classes == ("Car",)
    assert only(found).scores.tolist() == pytest.approx([1 / (1 + np.exp(-1.5))])
    assert not found.unlike_logits


def test_a_sigmoid_on_probabilities_is_noticed(tmp_path):
    assert read(save(tmp_path / "a.csv", CSV), transform="sigmoid").unlike_logits


def test_json_lines_list_their_frames(tmp_path):
    found = read(save(tmp_path / "a.jsonl", LINES))
    clip = only(found)
    assert found.classes == ("car",)
    assert clip.listed.tolist() == [0, 3]
    assert clip.number.tolist() == [0]


def test_supervision_records_state_their_frame_and_class(tmp_path):
    found = read(save(tmp_path / "a.json", SINK))
    clip = only(found)
    assert found.classes == ("car",)
    assert clip.number.tolist() == [7]
    assert clip.listed is None


def test_supervision_records_of_old_versions_are_text_and_have_class_numbers(tmp_path):
    record = {key: str(value) for key, value in SINK[0].items() if key != "class_name"}
    file = save(tmp_path / "a.json", [record])
    assert read(file).classes == ("class 2",)
    found = read(file, classes=["person", "bicycle", "car"])
    assert only(found).labels.tolist() == [2]
    with pytest.raises(FormatError, match="class 2, but 1 names"):
        read(file, classes=["person"])


def test_a_supervision_list_for_each_frame_lists_empty_frames(tmp_path):
    record = {key: value for key, value in SINK[0].items() if key != "frame_index"}
    clip = only(read(save(tmp_path / "a.json", [[], [record], []])))
    assert clip.listed.tolist() == [0, 1, 2]
    assert clip.number.tolist() == [1]


def test_a_supervision_record_without_frame_is_refused_with_the_way_out(tmp_path):
    record = {key: value for key, value in SINK[0].items() if key != "frame_index"}
    with pytest.raises(FormatError, match=r"\[0\]: does not state its frame.*custom_data"):
        read(save(tmp_path / "a.json", [record]))


def fiftyone_detections(*boxes, name="predictions"):
    items = [
        {"_cls": "Detection", "label": label, "bounding_box": box, "confidence": score}
        for label, box, score in boxes
    ]
    return {name: {"_cls": "Detections", "detections": items}}


def test_fiftyone_videos_have_relative_boxes_and_frames_from_one(tmp_path):
    sample = {
        "filepath": "/data/a.mp4",
        "metadata": {
            "frame_width": 64,
            "frame_height": 48,
            "frame_rate": 25,
            "total_frame_count": 4,
        },
        "frames": {
            "1": fiftyone_detections(("car", [0.25, 0.5, 0.5, 0.25], 0.5)),
            "3": {"frame_number": 3},
        },
    }
    found = read(save(tmp_path / "samples.json", {"samples": [sample]}))
    clip = only(found)
    assert clip.names == ("data/a", "a")
    assert clip.relative
    assert clip.boxes.tolist() == [[0.25, 0.5, 0.75, 0.75]]
    assert clip.number.tolist() == [1]
    assert clip.listed.tolist() == [1, 3]
    assert (clip.size, clip.length, clip.rate) == ((48, 64), 4, 25)


def test_frames_beside_an_exported_fiftyone_data_set_are_found(tmp_path):
    sample = {"_id": {"$oid": "5f"}, "filepath": "data/a.mp4", "_media_type": "video"}
    frame = {"_sample_id": {"$oid": "5f"}, "frame_number": 2}
    frame |= fiftyone_detections(("car", [0, 0, 1, 1], 0.5))
    save(tmp_path / "frames.json", {"frames": [frame]})
    clip = only(read(save(tmp_path / "samples.json", {"samples": [sample]})))
    assert clip.number.tolist() == [2]


def test_fiftyone_images_form_the_clip_of_their_folder(tmp_path):
    samples = [
        {"filepath": f"/data/drive/{n:06d}.jpg", **fiftyone_detections(("car", [0, 0, 1, 1], 0.5))}
        for n in (4, 2)
    ]
    clip = only(read(save(tmp_path / "s.json", {"samples": samples})))
    assert clip.names == ("data/drive",)
    assert clip.by_image
    assert clip.number.tolist() == [2, 4]


def test_of_several_fiftyone_fields_the_one_with_confidences_is_read(tmp_path):
    truth = fiftyone_detections(("car", [0, 0, 1, 1], None), name="ground_truth")
    mine = fiftyone_detections(("bus", [0, 0, 1, 1], 0.5), name="yolo")
    file = save(tmp_path / "s.json", {"samples": [{"filepath": "d/1.jpg", **truth, **mine}]})
    assert read(file).classes == ("bus",)
    two = {"filepath": "d/1.jpg", **mine, **fiftyone_detections(("car", [0, 0, 1, 1], 1), name="b")}
    with pytest.raises(FormatError, match="fields b, yolo: which is meant"):
        read(save(tmp_path / "two.json", {"samples": [two]}))


def test_coco_results_find_their_images_and_keep_empty_ones(tmp_path):
    images = save(tmp_path / "images.json", IMAGES)
    found = read(save(tmp_path / "results.json", RESULTS), images=images)
    assert found.classes == ("car", "person")
    drive, other = found.clips
    assert drive.names == ("drive",)
    assert drive.number.tolist() == [0, 4]
    assert drive.boxes.tolist() == [[5, 5, 10, 10], [1, 2, 11, 22]]
    assert drive.labels.tolist() == [1, 0]
    assert drive.listed.tolist() == [0, 4]
    assert drive.size == (48, 64)
    assert len(other.number) == 0
    assert other.listed.tolist() == [4]
    assert not found.distributions
    assert drive.probs[1].tolist() == [0.75, 0, 0.25]


def test_a_folder_names_a_clip_only_where_its_images_have_one_prefix(tmp_path):
    files = ["all/a_01.jpg", "all/b_01.jpg", "drive/frame_7.jpg", "3.jpg"]
    images = [{"id": at, "file_name": file} for at, file in enumerate(files)]
    content = {"images": images, "categories": IMAGES["categories"], "annotations": []}
    found = read(save(tmp_path / "coco.json", content))
    assert [clip.names for clip in found.clips] == [
        ("all/a", "a"),
        ("all/b", "b"),
        ("drive/frame", "frame", "drive"),
        ("images",),
    ]


def test_coco_results_alone_are_refused_with_the_way_out(tmp_path):
    with pytest.raises(FormatError, match="--detections-images"):
        read(save(tmp_path / "results.json", RESULTS))


def test_a_whole_coco_file_with_videos_and_scores_is_read(tmp_path):
    content = {
        "videos": [{"id": 1, "name": "cam/a"}],
        "images": [{"id": 1, "video_id": 1, "frame_id": 5, "width": 64, "height": 48}],
        "categories": IMAGES["categories"],
        "annotations": [{**RESULTS[0], "image_id": 1}],
    }
    clip = only(read(save(tmp_path / "coco.json", content)))
    assert clip.names == ("cam/a", "a")
    assert not clip.by_image
    assert clip.number.tolist() == [5]


def test_ground_truth_is_not_taken_for_detections(tmp_path):
    content = {**IMAGES, "annotations": [{"image_id": 10, "category_id": 3, "bbox": [0, 0, 1, 1]}]}
    with pytest.raises(FormatError, match=r"annotations\[0\]: no score"):
        read(save(tmp_path / "coco.json", content))


def with_probs(*rows):
    return [
        {**RESULTS[0], "probs": probs, "features": [1.0, 2.0, float(at)]}
        for at, probs in enumerate(rows)
    ]


def coco(tmp_path, results, **options):
    images = save(tmp_path / "images.json", IMAGES)
    return read(save(tmp_path / "results.json", results), images=images, **options)


def test_distributions_and_features_are_kept(tmp_path):
    found = coco(tmp_path, with_probs([0.75, 0.05, 0.2], [0.5, 0.5]))
    clip = found.clips[0]
    assert found.distributions
    assert found.features == 3
    assert clip.probs == pytest.approx(np.array([[0.75, 0.05, 0.2], [0.5, 0.5, 0]]))
    assert clip.features.tolist() == [[1, 2, 0], [1, 2, 1]]


def test_the_mass_of_classes_left_out_goes_to_the_background(tmp_path):
    found = coco(tmp_path, with_probs([0.7, 0.1, 0.2]), classes=["car"])
    assert found.classes == ("car",)
    assert found.clips[0].probs == pytest.approx(np.array([[0.7, 0.3]]))


def test_detections_of_classes_left_out_are_counted(tmp_path):
    found = coco(tmp_path, RESULTS, classes=["car"])
    assert found.others == (("person", 1),)
    assert found.clips[0].number.tolist() == [4]


@pytest.mark.parametrize(
    ("probs", "why"),
    [
        ([0.5], "1 numbers for 2 classes"),
        ([0.9, 0.9, 0.1], "not a distribution"),
        ([0.1, 0.1, 0.1], "do not sum to 1"),
        ([-0.1, 0.5, 0.6], "not a distribution"),
        (["a", 0.5, 0.5], r"probs\[0\]: 'a' is not a number"),
    ],
)
def test_probs_that_are_no_distribution_are_refused_by_place(tmp_path, probs, why):
    with pytest.raises(FormatError, match=r"\[0\].*" + why):
        coco(tmp_path, with_probs(probs))


def test_probs_in_some_detections_only_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"\[1\]: probs: missing, unlike elsewhere"):
        coco(tmp_path, [*with_probs([0.75, 0.05, 0.2]), RESULTS[1]])


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.txt", KITTI.replace("0.9\n", "\n"), "line 1: 17 columns .*no score"),
        ("a.txt", KITTI + CSV, "line 4: 6 columns, 18 before"),
        ("a.txt", KITTI.replace("0.9", "x"), "line 1: column 18: 'x' is not a number"),
        ("a.txt", KITTI.replace("0.25", "nan"), "line 3: score nan"),
        ("a.txt", MOT.replace("3,", "0,", 1), "line 2: frame: '0' is not a whole number from 1"),
        ("a.csv", CSV.replace("0,1", "1e99,1"), "frame: '1e99'|cannot be right"),
        ("a.txt", POINTS.replace("4,2,", "4,7,"), "type: '7' is not 1, 2 or 3"),
        ("a.jsonl", LINES + LINES, "line 3: frame 0 is there already"),
        ("a.jsonl", LINES.replace("dets", "boxes"), "line 1: no object with 'frame'"),
        ("a.jsonl", LINES.replace('"car"', "3"), r"line 1, dets\[0\]: label: not text"),
        ("a.jsonl", LINES.replace("[1, 2, 3, 4]", "[1, 2]"), "xyxy: a box needs four numbers"),
        ("a.json", [{**SINK[0], "confidence": ""}], r"\[0\]: confidence is missing"),
        ("a.json", [{**SINK[0], "frame_index": 1.5}], r"frame_index: frame: 1.5"),
        ("a.json", {"samples": [{}]}, r"samples\[0\]: no object with a 'filepath'"),
        ("a.json", {"a": 1}, "none of the known kinds"),
        ("a.json", "[", "line 1, column 2: not JSON"),
        ("a.json", {**IMAGES, "annotations": [{**RESULTS[0], "image_id": 99}]}, "no image 99"),
        ("a.json", {**IMAGES, "annotations": [{**RESULTS[0], "category_id": 9}]}, "no category 9"),
    ],
)
def test_broken_files_are_refused_with_their_place(tmp_path, name, content, why):
    file = save(tmp_path / name, content)
    with pytest.raises(FormatError, match=why) as caught:
        read(file)
    assert caught.value.path == file


def test_boxes_that_cannot_be_meant_are_left_out_and_listed(tmp_path):
    found = read(save(tmp_path / "a.csv", CSV + "0,5,5,5,9,0.5\n0,inf,1,2,3,0.5\n"))
    assert only(found).number.tolist() == [0]
    assert [entry[1:] for entry in found.skipped.entries] == [
        ("line 3", "box is inverted or empty"),
        ("line 4", "box is not finite"),
    ]


def test_a_folder_holds_one_clip_a_file_over_one_list_of_classes(tmp_path):
    save(tmp_path / "b.jsonl", LINES.replace("car", "bus"))
    save(tmp_path / "a.jsonl", LINES)
    found = read(tmp_path)
    assert found.classes == ("bus", "car")
    assert [clip.names[0] for clip in found.clips] == ["a", "b"]
    assert [clip.labels.tolist() for clip in found.clips] == [[1], [0]]


def test_files_of_one_name_are_named_by_their_folders(tmp_path):
    for name in ("one", "two"):
        save(tmp_path / name / "yolo.jsonl", LINES)
        save(tmp_path / name / "gt.jsonl", '{"frame": 0, "boxes": []}')
    found = read(tmp_path / "*" / "yolo.jsonl")
    assert [clip.names for clip in found.clips] == [("one", "yolo"), ("two", "yolo")]


def test_missing_files_and_misplaced_options_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no detection files"):
        read(tmp_path)
    with pytest.raises(UsageError, match="COCO results only"):
        read(save(tmp_path / "a.csv", CSV), images=tmp_path / "a.csv")


SAMPLES = {
    "a.txt": KITTI,
    "b.txt": MOT,
    "c.csv": CSV,
    "d.jsonl": LINES,
    "e.json": json.dumps(SINK),
    "f.json": json.dumps({**IMAGES, "annotations": RESULTS}),
    "g.json": json.dumps(
        {
            "samples": [
                {"filepath": "a.mp4", "frames": {"1": fiftyone_detections(("a", [0, 0, 1, 1], 1))}}
            ]
        }
    ),
}
PIECES = [b"", b"-", b"9" * 30, b"nan", b"1e999", b"\n", b" ", b",", b"{", b"\0", b"null", b"\xff"]
edits = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 3), st.sampled_from(PIECES)), min_size=1, max_size=4
)


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=edits)
def test_a_mutated_file_gives_detections_or_one_error_of_ours(tmp_path, name, changes):
    data = SAMPLES[name].encode()
    for place, width, piece in changes:
        at = int(place * len(data))
        data = data[:at] + piece + data[at + width :]
    file = tmp_path / name
    file.write_bytes(data)
    try:
        found = read(file)
    except VidalError:
        return
    for clip in found.clips:
        assert np.isfinite(clip.boxes).all()
        assert ((clip.scores >= 0) & (clip.scores <= 1)).all()
        assert np.allclose(clip.probs.sum(axis=1), 1, atol=1e-3)


def test_the_csv_of_supervision_is_read_as_its_json_is(tmp_path):
    text = ",".join(SINK[0]) + "\r\n" + ",".join(map(str, SINK[0].values())) + "\r\n"
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "b.json").write_text(json.dumps(SINK))
    (one,), (other,) = read(tmp_path / "a.csv").clips, read(tmp_path / "b.json").clips
    assert read(tmp_path / "a.csv").classes == ("car",)
    for name in ("number", "boxes", "scores", "labels"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x_min,y_min,x_max,y_max,confidence\n1,2,3,4,.5\n", "does not state its frame"),
        ("x_min,y_min,x_max,y_max,confidence,frame\n1,2,3,4,.5\n", "line 2: 5 columns, 6 in"),
        ("x_min,y_min,x_max,y_max,confidence,frame\n1,2,3,4,,0\n", "confidence is missing"),
        ('x_min,y_min,x_max,y_max,confidence,frame\n1,2,3,4,".5"x,0\n', "line 2: not CSV"),
        ("a,b,c\n1,2,3\n", "line 1: a header of no known format"),
        ("image,label\n1,2\n", "COCO results, supervision or FiftyOne JSON"),
    ],
)
def test_tables_that_cannot_be_meant_are_refused_and_the_formats_named(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(FormatError) as caught:
        read(tmp_path / "a.csv")
    assert message in str(caught.value)


def test_images_of_one_clip_with_different_sizes_are_refused(tmp_path):
    images = [dict(image) for image in IMAGES["images"]]
    images[1]["width"] = 60
    file, beside = tmp_path / "r.json", tmp_path / "i.json"
    file.write_text(json.dumps(RESULTS))
    beside.write_text(json.dumps({**IMAGES, "images": images}))
    with pytest.raises(FormatError, match=r"images\[1\]: 60x48 pixels, but .* has 64x48"):
        read(file, images=beside)


@pytest.mark.parametrize(
    "value",
    [
        {"images": [], "categories": [], "annotations": [], "videos": [{}]},
        {"samples": [{"filepath": "a.mp4", "frames": 5}]},
        {"samples": [{"filepath": "/"}]},
        {"samples": [{"filepath": ".", "frames": {}}]},
        {"samples": [{"filepath": "a.mp4", "frames": {"1_0": {}}}]},
        {"samples": [{"filepath": "a.mp4", "frames": {}, "metadata": {"frame_rate": 1e300}}]},
        [{"image_id": 10**4000}],
        [{**SINK[0], "frame_index": 10**9}],
        [{**SINK[0], "frame_index": 10**4000}],
        [{**SINK[0], "x_min": 10**4000}],
        [{**SINK[0], "class_id": -(10**22), "class_name": ""}],
    ],
)
def test_wild_values_are_one_error_of_ours(tmp_path, value):
    (tmp_path / "a.json").write_text(json.dumps(value))
    with pytest.raises(VidalError) as caught:
        read(tmp_path / "a.json")
    assert len(caught.value.message) < 300 + len(str(tmp_path))


def test_hidden_files_are_passed_over(tmp_path):
    (tmp_path / "a.txt").write_text(KITTI)
    for name in ("._a.txt", "__MACOSX/a.txt", ".cache/b.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    assert len(read(tmp_path).clips) == 1
    assert len(read(tmp_path / "*.txt").clips) == 1


def test_an_archive_that_holds_gigabytes_is_refused(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"0" * (40 << 20)))
    with pytest.raises(FormatError, match="expands to more than"):
        read(tmp_path / "a.txt.gz")


def test_fiftyone_detections_without_their_list_are_refused_rather_than_lost(tmp_path):
    sample = {"filepath": "d/1.jpg", "predictions": {"_cls": "Detections", "detectionS": []}}
    with pytest.raises(FormatError, match="no list of 'detections'"):
        read(save(tmp_path / "s.json", {"samples": [sample]}))


@pytest.mark.parametrize("frames", [1.5, 3, "x", True])
def test_fiftyone_frames_that_are_none_are_refused(tmp_path, frames):
    sample = {"filepath": "a.mp4", "frames": frames}
    with pytest.raises(FormatError, match="frames: neither an object nor a list"):
        read(save(tmp_path / "s.json", {"samples": [sample]}))
