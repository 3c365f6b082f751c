"""JSON-MIN, CSV and TSV as Label Studio 1.23 writes them: numbers, and tasks without answers."""

import json

import pytest

from vidal.errors import FormatError
from vidal.formats import label_studio

BOX = {
    **{"x": 10.0, "y": 20.0, "width": 30.0, "height": 40.0, "rotation": 0},
    **{"rectanglelabels": ["car"], "original_width": 200, "original_height": 100},
}


def row(number, answer, **more):
    """A row as JSON-MIN has it; ``answer`` is an id or None."""
    return {
        "image": f"/data/upload/4/0a1b2c3d-cam_{number:06d}.jpg",
        **{"clip": "cam", "index": number, "rank": number + 1, "id": 10 + number},
        **{"annotator": None if answer is None else 1, "annotation_id": answer},
        **{"created_at": None, "updated_at": None, "lead_time": None},
        **more,
    }


def as_table(rows, sign):
    names = sorted({name for each in rows for name in each})

    def cell(value):
        text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
        return '"' + text.replace('"', '""') + '"'

    lines = [names, *([each.get(name) for name in names] for each in rows)]
    return "".join(sign.join(map(cell, line)) + "\n" for line in lines)


@pytest.fixture(params=[".json", ".csv", ".tsv"])
def written(request, tmp_path):
    def write(rows):
        path = tmp_path / f"project{request.param}"
        sign = {".csv": ",", ".tsv": "\t"}.get(request.param)
        path.write_text(json.dumps(rows) if sign is None else as_table(rows, sign))
        return path

    return write


def test_a_task_that_nobody_annotated_is_not_annotated_and_empty(written):
    rows = [row(0, 3, label=[BOX]), row(1, 4), row(2, None)]
    (clip,) = label_studio.read(written(rows), frames={"cam": 5})
    assert clip.annotations.labelled.tolist() == [True, True, False, False, False]
    assert clip.annotations.boxes.tolist() == [[20, 20, 80, 60]]


def test_the_index_of_a_table_is_a_number(written):
    (clip,) = label_studio.read(written([row(3, 3, label=[BOX])]), frames={"cam": 5})
    assert clip.annotations.frame.tolist() == [3]


@pytest.mark.parametrize("control", ["vidal", "weather"])
def test_two_annotations_that_differ_in_a_choice_are_of_one_task(written, control):
    rows = [
        row(0, 3, label=[BOX], updated_at="2026-11-29T05:00:00Z", **{control: "unsure"}),
        row(0, 4, label=[], updated_at="2026-11-29T06:00:00Z", **{control: "likely_correct"}),
    ]
    (clip,) = label_studio.read(written(rows), frames={"cam": 1})
    assert clip.annotations.labelled.tolist() == [True]
    assert not len(clip.annotations)


def test_rows_of_two_pictures_are_not_of_one_task(written):
    other = row(1, 4, label=[BOX]) | {"id": 10}
    with pytest.raises(FormatError, match="another task has the id '10'"):
        list(label_studio.read(written([row(0, 3, label=[BOX]), other]), frames={"cam": 5}))
