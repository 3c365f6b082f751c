"""Unknown objects in the report and the proposals: their own word, sign and colour."""

import json

import numpy as np

from vidal.report import write_outputs
from vidal.report.evidence import gather
from vidal.report.figures import STYLES
from vidal.report.marks import ALARM, LIKELY_UNKNOWN, UNKNOWN_OBJECT
from vidal.types import FrameRef

FOUR = FrameRef("drive-0a", 4)


def open_result(build, video):
    return build.result(
        video,
        unknown={FOUR: np.array([0.1, 0.8]), FrameRef("drive-0a", 17): np.zeros(0)},
        called_unknown={FOUR: np.array([[40, 5, 50, 25]], np.float32)},
    )


def test_a_detection_is_a_likely_unknown_object_above_one_half_whatever_the_verdict(build, video):
    marks = gather(open_result(build, video)).marks[FOUR]
    assert LIKELY_UNKNOWN in marks.kind
    assert ALARM not in marks.kind
    row = marks.kind.tolist().index(LIKELY_UNKNOWN)
    assert marks.scores[row] == np.float64(np.float32(0.6))
    assert marks.certainty[row] == 0.8
    called = marks.kind.tolist().index(UNKNOWN_OBJECT)
    assert marks.labels[called] == -1
    assert marks.boxes[called].tolist() == [40, 5, 50, 25]


def test_kinds_differ_in_word_sign_and_line_and_are_in_the_legend_where_they_are(
    build, video, tmp_path
):
    files = write_outputs(open_result(build, video), tmp_path / "open")
    text = files["report.html"].read_text("utf-8")
    page = build.Page(text)
    for words in ("likely unknown object", "unknown object, annotated"):
        assert words in page.text
    assert 'data-kind="likely-unknown"' in text
    marks = {a["class"]: a["data-m"] for tag, a in page.tags if tag == "g" and "data-m" in a}
    assert marks["mark likely-unknown"].split(",")[1:3] == ["0", "60"]  # a car by the detector
    assert marks["mark unknown"].split(",")[1:3] == ["-1", ""]
    assert ".no-unknown .mark.unknown" in text
    signs = [style.sign for style in STYLES if style.sign]
    assert len(set(signs)) == len(signs)
    closed = write_outputs(build.result(video), tmp_path / "closed")["report.html"].read_text(
        "utf-8"
    )
    assert "unknown object" not in build.Page(closed).text


def test_proposals_say_which_are_likely_unknown_and_hold_no_answers(build, video, tmp_path):
    write_outputs(open_result(build, video), tmp_path / "out")
    found = json.loads((tmp_path / "out" / "preannotations.coco.json").read_text())
    assert {each["attributes"]["verdict"] for each in found["annotations"]} == {
        "likely_correct",
        "likely_unknown",
        "likely_miss",
    }
    assert all(each["category_id"] > 0 for each in found["annotations"])
