"""What is almost surely a mistake is refused by name, with the way out; what is none is taken."""

import csv
import io
import json
import shutil
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

import vidal as door
from vidal.campaign.folder import open_campaign
from vidal.cli import main
from vidal.errors import LabelsMismatch, UnknownName, UsageError


def vidal(capsys, *arguments) -> tuple[int, str]:
    """Exit status and everything printed."""
    capsys.readouterr()
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as ending:
        code = int(ending.code or 0)
    printed = capsys.readouterr()
    return code, printed.out + printed.err


@pytest.fixture(scope="module")
def asked(rendered, tmp_path_factory):
    """A campaign whose first query was made by a detector: four frames, with pre-annotations."""
    work = tmp_path_factory.mktemp("asked") / "work"
    main(
        [
            *("init", str(work), "--videos", str(rendered / "clips"), "--initial", "4"),
            *("--detector", "scenes-tiny", "--set", "selection.initial_strategy=entropy"),
            *("--set", "workers=1", "--device", "cpu", "--classes", "car,pedestrian"),
        ]
    )
    main(["select", "--campaign", str(work), "--quiet", "--no-report"])
    return work


@pytest.fixture
def work(asked, tmp_path):
    shutil.copytree(asked, tmp_path / "work")
    return tmp_path / "work"


def query(work: Path) -> list[dict]:
    return json.loads((work / "queries/round-000/query.json").read_text())["frames"]


def names_of(work: Path) -> list[str]:
    return [Path(row["file"]).name for row in query(work)]


def size_of(work: Path) -> tuple[int, int]:
    picture = cv2.imread(str(work / "queries/round-000/frames" / names_of(work)[0]))
    return picture.shape[1], picture.shape[0]


def state(work: Path) -> list:
    """All of the record that counts, and its history."""
    with closing(sqlite3.connect(work / "campaign.sqlite")) as db:
        tables = ("rounds", "frames", "boxes", "events", "answers", "imports")
        return [db.execute(f"SELECT * FROM {name}").fetchall() for name in tables]


def boxes_of(work: Path) -> list[tuple]:
    with open_campaign(work, lock=False) as campaign:
        classes = campaign.record.classes
        rows = campaign.record.db.execute("SELECT clip, frame, label, x1, y1, x2, y2 FROM boxes")
        return [(r[0], r[1], "?" if r[2] < 0 else classes[r[2]], *r[3:]) for r in rows]


def refused(capsys, work, source, *options) -> str:
    before = state(work)
    code, said = vidal(capsys, "import", work, "--from", source, *options)
    assert code == 2, said
    assert "Traceback" not in said
    assert state(work) == before
    return said


def summary(capsys, work, source, *options) -> dict:
    code, said = vidal(capsys, "import", work, "--json", "--from", source, *options)
    assert code == 0, said
    return json.loads(said)


def cvat(work: Path, place: Path, label: str, attributes: dict[str, str]) -> Path:
    width, height = size_of(work)
    inner = "".join(f'<attribute name="{k}">{v}</attribute>' for k, v in attributes.items())
    box = 'occluded="0" xtl="10" ytl="20" xbr="50" ybr="60"'
    images = "".join(
        f'<image id="{at}" name="{name}" width="{width}" height="{height}">'
        f'<box label="{label}" {box}>{inner}</box></image>'
        for at, name in enumerate(names_of(work))
    )
    place.write_text(f"<annotations>{images}</annotations>")
    return place


def coco(work: Path, place: Path, label: str, attributes: dict) -> Path:
    width, height = size_of(work)
    named = [
        {"id": at, "file_name": name, "width": width, "height": height}
        for at, name in enumerate(names_of(work))
    ]
    objects = [
        {"id": at, "image_id": at, "category_id": 1, "bbox": [10, 20, 40, 40]}
        | {"attributes": attributes}
        for at in range(len(named))
    ]
    categories = [{"id": 1, "name": label}]
    value = {"images": named, "annotations": objects, "categories": categories}
    place.write_text(json.dumps(value))
    return place


def region(work: Path, label: str, name: str = "r") -> dict:
    width, height = size_of(work)
    value = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": [label]}
    return {
        "id": name,
        "type": "rectanglelabels",
        "from_name": "label",
        "original_width": width,
        "original_height": height,
        "value": value,
    }


def studio(work: Path, place: Path, label: str, attributes: dict) -> Path:
    tasks = []
    for name in names_of(work):
        results = [region(work, label)]
        results += [
            {"id": "r", "type": "choices", "from_name": key, "value": {"choices": [value]}}
            for key, value in attributes.items()
        ]
        tasks.append({"data": {"image": name}, "annotations": [{"id": 1, "result": results}]})
    place.write_text(json.dumps(tasks))
    return place


WRITERS = {"cvat.xml": cvat, "coco.json": coco, "studio.json": studio}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("rule", ["vehicle.type", "vehicle.type=class", "vehicle.type=car"])
def test_the_class_is_taken_from_an_attribute_and_the_refusal_says_how(
    capsys, work, tmp_path, name, rule
):
    source = WRITERS[name](work, tmp_path / name, "vehicle", {"type": "car"})
    said = refused(capsys, work, source)
    assert "none of its 4 boxes is of a class of the campaign (vehicle)" in said
    if name != "studio.json":  # choices are read where a rule names them
        assert "--map vehicle.type=class takes the class from that attribute" in said
    assert "--unknown-ok" in said
    done = summary(capsys, work, source, "--map", rule)
    assert (done["labelled"], done["unknown"]) == (4, {})
    assert {row[2] for row in boxes_of(work)} == {"car"}


@pytest.mark.parametrize("name", WRITERS)
def test_classes_are_renamed_after_attributes_are_taken(capsys, work, tmp_path, name):
    source = WRITERS[name](work, tmp_path / name, "vehicle", {"type": "van"})
    assert "--map vehicle=car says which" in refused(capsys, work, source)
    done = summary(capsys, work, source, "--map", "vehicle.type", "--map", "van=Car")
    assert (done["labelled"], done["unknown"]) == (4, {})
    assert {row[2] for row in boxes_of(work)} == {"car"}


def test_a_renamed_class_keeps_the_others_and_unknown_is_a_class_to_rename_to(
    capsys, work, tmp_path
):
    source = cvat(work, tmp_path / "a.xml", "van", {})
    text = source.read_text().replace('label="van"', 'label="pedestrian"', 1)
    source.write_text(text)
    summary(capsys, work, source, "--map", "van=car")
    assert sorted(row[2] for row in boxes_of(work)) == ["car"] * 3 + ["pedestrian"]
    done = summary(capsys, work, source, "--map", "van=unknown", "--replace")
    assert done["replaced"] == 3
    assert sorted(row[2] for row in boxes_of(work)) == ["?"] * 3 + ["pedestrian"]


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("van=lorry", "unknown class 'lorry'"),
        ("bus=car", "has no class 'bus'"),
        ("bus.type", "has no object of class 'bus'"),
        ("van.colour", "a 'van' without the attribute 'colour' (it has 'type')"),
        ("van", "not a rule"),
        ("=car", "not a rule"),
        ("van=", "not a rule"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_by_name(capsys, work, tmp_path, rule, why):
    source = cvat(work, tmp_path / "a.xml", "van", {"type": "x"})
    assert why in refused(capsys, work, source, "--map", rule)


def test_yolo_has_no_attributes_and_says_so(capsys, work, tmp_path):
    (tmp_path / "y").mkdir()
    (tmp_path / "y/classes.txt").write_text("van\n")
    for name in names_of(work):
        (tmp_path / "y" / f"{Path(name).stem}.txt").write_text("0 .5 .5 .2 .2\n")
    said = refused(capsys, work, tmp_path / "y", "--map", "van.type")
    assert "YOLO has no attributes" in said
    assert summary(capsys, work, tmp_path / "y", "--map", "van=car")["labelled"] == 4


def test_unknown_ok_takes_them_in_both_spellings(capsys, work, tmp_path):
    source = cvat(work, tmp_path / "a.xml", "van", {})
    assert summary(capsys, work, source, "--unknown", "ok", "--dry-run")["unknown"] == {"van": 4}
    assert summary(capsys, work, source, "--unknown-ok")["unknown"] == {"van": 4}


def test_ok_and_refuse_do_not_go_together(capsys, work, tmp_path):
    source = cvat(work, tmp_path / "a.xml", "van", {})
    said = refused(capsys, work, source, "--unknown", "refuse", "--unknown-ok")
    assert "--unknown refuse and --unknown-ok contradict each other" in said


def test_refuse_refuses_other_classes_also_beside_the_campaigns(capsys, work, tmp_path):
    source = cvat(work, tmp_path / "a.xml", "car", {})
    tram = '<box label="tram" occluded="0" xtl="60" ytl="20" xbr="90" ybr="60"/>'
    source.write_text(source.read_text().replace("</image>", f"{tram}</image>", 1))
    assert summary(capsys, work, source, "--dry-run")["unknown"] == {"tram": 1}
    for way in (["--strict"], ["--unknown", "refuse"]):
        said = refused(capsys, work, source, *way)
        assert "classes that the campaign does not have: tram" in said


@pytest.mark.parametrize("name", [" car ", "CAR", "Car "])
def test_case_and_blanks_around_a_class_do_not_matter(capsys, work, tmp_path, name):
    source = cvat(work, tmp_path / "a.xml", name, {})
    assert summary(capsys, work, source, "--dry-run", "--strict")["unknown"] == {}


@pytest.mark.parametrize(
    ("label", "rule", "told"),
    [
        ("unknown", (), "unknown"),
        ("Unknown", (), "Unknown"),
        ("UNKNOWN ", (), "UNKNOWN"),
        ("van", ("--map", "van=unknown"), "unknown"),
        ("van", ("--map", "van=Unknown"), "unknown"),
    ],
)
def test_strict_takes_what_is_called_unknown_on_purpose(capsys, work, tmp_path, label, rule, told):
    source = cvat(work, tmp_path / "a.xml", label, {})
    done = summary(capsys, work, source, "--strict", "--dry-run", *rule)
    found = {name.strip(): count for name, count in done["unknown"].items()}
    assert (done["labelled"], found) == (4, {told: 4})
    assert summary(capsys, work, source, "--dry-run", *rule)["labelled"] == 4
    said = refused(capsys, work, cvat(work, tmp_path / "b.xml", "tram", {}), "--strict")
    assert "classes that the campaign does not have: tram" in said


# -- empty -----------------------------------------------------------------------------------


def sure(work: Path, count: int = 4) -> None:
    """Make the detector sure of an object on the first frames."""
    place = work / "queries/round-000/preannotations.coco.json"
    value = json.loads(place.read_text())
    value["annotations"] = [
        {"id": at, "image_id": image["id"], "category_id": 1, "bbox": [1, 1, 9, 9], "score": 0.9}
        for at, image in enumerate(value["images"][:count])
    ]
    place.write_text(json.dumps(value))


def empty_tasks(work: Path, place: Path, **more) -> Path:
    tasks = [
        {"data": {"image": name}, "annotations": [{"id": 1, "result": [], **more}]}
        for name in names_of(work)
    ]
    place.write_text(json.dumps(tasks))
    return place


def test_frames_that_come_empty_where_the_detector_is_sure_wait_also_from_label_studio(
    capsys, work, tmp_path
):
    sure(work, 3)
    source = empty_tasks(work, tmp_path / "t.json")
    code, said = vidal(capsys, "import", work, "--from", source)
    assert code == 0
    assert "1 frame labelled (1 of them empty), 0 skipped, 3 still waiting" in said
    first = query(work)[0]
    assert f"3 frames wait: {first['clip']}@{first['ordinal']:06d}" in said
    assert "where the detector is sure of objects (--empty-ok takes" in said
    done = summary(capsys, work, source, "--empty-ok")
    assert (done["labelled"], done["empty"], done["waiting"]) == (3, 3, 0)


@pytest.mark.parametrize(
    "box",
    [
        {"score": 0.5},
        {"score": 0.9, "attributes": {"verdict": "likely_false_alarm"}},
        {"score": 0.9, "attributes": {"verdict": "unsure"}},
        {"attributes": {"verdict": "likely_miss"}},
    ],
)
def test_a_detector_that_doubts_itself_is_no_reason_to_wait(capsys, work, tmp_path, box):
    sure(work)
    place = work / "queries/round-000/preannotations.coco.json"
    value = json.loads(place.read_text())
    for each in value["annotations"]:
        del each["score"]
        each |= box
    place.write_text(json.dumps(value))
    assert summary(capsys, work, empty_tasks(work, tmp_path / "t.json"))["labelled"] == 4


def test_a_task_that_was_skipped_is_a_frame_that_is_skipped(capsys, work, tmp_path):
    sure(work)
    source = empty_tasks(work, tmp_path / "t.json", was_cancelled=True)
    done = summary(capsys, work, source)
    assert (done["labelled"], done["skipped"], done["waiting"]) == (0, 4, 0)
    again = summary(capsys, work, source, "--replace")
    assert (again["skipped"], again["replaced"], again["again"]) == (0, 0, 4)
    labelled = studio(work, tmp_path / "s.json", "car", {})
    done = summary(capsys, work, labelled)
    assert (done["again"], len(done["differ"])) == (4, 4)
    assert summary(capsys, work, labelled, "--replace")["replaced"] == 4
    assert summary(capsys, work, source, "--replace")["replaced"] == 4
    assert boxes_of(work) == []


# -- pictures --------------------------------------------------------------------------------


def packed(work: Path, place: Path, pictures: dict[str, bytes], *more: tuple[str, str]) -> Path:
    """A zip as CVAT makes it, with pictures."""
    text = cvat(work, place.with_suffix(".xml"), "car", {}).read_text()
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("annotations.xml", text)
        for name, data in pictures.items():
            archive.writestr(f"images/{name}", data)
        for name, content in more:
            archive.writestr(name, content)
    return place


def own(work: Path) -> dict[str, bytes]:
    folder = work / "queries/round-000/frames"
    return {name: (folder / name).read_bytes() for name in names_of(work)}


def anew(data: bytes, quality: int = 60, scale: float = 1.0) -> bytes:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if scale != 1:
        image = cv2.resize(image, None, fx=scale, fy=scale)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def test_pictures_of_their_frames_are_compared_also_where_a_tool_wrote_them_anew(
    capsys, work, tmp_path
):
    done = summary(capsys, work, packed(work, tmp_path / "a.zip", own(work)), "--dry-run")
    assert (done["labelled"], done["pictures"]) == (4, 4)
    new = {name: anew(data) for name, data in own(work).items()}
    code, said = vidal(capsys, "import", work, "--from", packed(work, tmp_path / "b.zip", new))
    assert code == 0
    assert "4 pictures are of the frames that they are named for" in said


@pytest.mark.parametrize("written", ["as they are", "anew"])
def test_a_picture_of_another_frame_is_refused_with_both(capsys, work, tmp_path, written):
    pictures = own(work)
    first, second, *_ = pictures
    pictures[first], pictures[second] = pictures[second], pictures[first]
    if written == "anew":
        pictures = {name: anew(data) for name, data in pictures.items()}
    said = refused(capsys, work, packed(work, tmp_path / "a.zip", pictures))
    refs = [f"{row['clip']}@{row['ordinal']:06d}" for row in query(work)]
    assert "is named for frame" in said
    assert refs[0] in said
    assert refs[1] in said
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(folder)
    assert "is named for frame" in refused(capsys, work, folder)


def test_a_picture_of_something_else_or_of_another_size_is_refused(capsys, work, tmp_path):
    pictures = own(work)
    noise = np.random.default_rng(0).integers(0, 255, (*size_of(work)[::-1], 3), np.uint8)
    other = {**pictures, names_of(work)[0]: cv2.imencode(".png", noise)[1].tobytes()}
    said = refused(capsys, work, packed(work, tmp_path / "a.zip", other))
    assert "does not show frame" in said
    small = {name: anew(data, scale=0.5) for name, data in pictures.items()}
    said = refused(capsys, work, packed(work, tmp_path / "b.zip", small))
    width, height = size_of(work)
    assert f"{width // 2}x{height // 2} pixels, but frame" in said
    assert f"has {width}x{height}" in said


def test_without_the_written_pictures_the_clip_itself_is_looked_at(capsys, work, tmp_path):
    pictures = own(work)
    good = packed(work, tmp_path / "a.zip", {n: anew(d) for n, d in pictures.items()})
    first, second, *_ = pictures
    swapped = {**pictures, first: pictures[second], second: pictures[first]}
    bad = packed(work, tmp_path / "b.zip", swapped)
    shutil.rmtree(work / "queries/round-000/frames")
    refused(capsys, work, bad)
    assert summary(capsys, work, good)["pictures"] == 4


def test_a_picture_that_cannot_be_read_is_listed_and_not_compared(capsys, work, tmp_path):
    pictures = dict.fromkeys(own(work), b"no picture")
    done = summary(capsys, work, packed(work, tmp_path / "a.zip", pictures))
    assert (done["pictures"], len(done["left_out"])) == (0, 4)
    assert "not compared" in done["left_out"][0][2]


def frame_map(work: Path, context: int | None = None, shift: int = 0) -> list[dict]:
    rows = query(work)
    return [
        {
            "rank": at + 1,
            "clip": row["clip"],
            "ordinal": row["ordinal"] + shift,
            "file": f"images/{Path(row['file']).name}",
            "context": at == context,
        }
        for at, row in enumerate(rows)
    ]


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_pictures_of_the_context_are_never_answers(capsys, work, tmp_path, kind):
    rows = frame_map(work, context=1)
    text = json.dumps({"frames": rows})
    if kind == "csv":
        stream = io.StringIO()
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
        text = stream.getvalue()
    source = packed(work, tmp_path / "a.zip", {}, (f"frame_map.{kind}", text))
    done = summary(capsys, work, source)
    assert (done["labelled"], done["waiting"]) == (3, 1)
    assert [each["why"] for each in done["held"]] == ["context"]


@pytest.mark.parametrize("unpacked", [False, True])
def test_a_frame_map_beside_coco_is_no_second_file_of_labels(capsys, work, tmp_path, unpacked):
    text = coco(work, tmp_path / "c.json", "car", {}).read_text()
    source = tmp_path / "c.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("annotations/instances_default.json", text)
        archive.writestr("frame_map.json", json.dumps({"frames": frame_map(work, context=1)}))
    if unpacked:
        with zipfile.ZipFile(source) as archive:
            archive.extractall(tmp_path / "c")
    done = summary(capsys, work, tmp_path / "c" if unpacked else source, "--empty-ok")
    assert (done["format"], done["labelled"], done["waiting"]) == ("coco-video", 3, 1)


def test_a_frame_map_that_contradicts_names_is_refused(capsys, work, tmp_path):
    rows = frame_map(work, shift=1)
    source = packed(work, tmp_path / "a.zip", {}, ("frame_map.json", json.dumps(rows)))
    assert "and is named for" in refused(capsys, work, source)
    source = packed(work, tmp_path / "b.zip", {}, ("frame_map.json", '[{"clip": 3}]'))
    assert "expected clip, ordinal and file" in refused(capsys, work, source)


# -- formats ---------------------------------------------------------------------------------


def minimal(work: Path) -> list[dict]:
    rows = []
    for at, name in enumerate(names_of(work)):
        result = region(work, "car")
        mark = {**result["value"], "original_width": result["original_width"]}
        mark["original_height"] = result["original_height"]
        rows.append(
            {"image": f"/data/upload/1/0a1b2c3d-{name}", "id": at, "label": [mark]}
            | {"annotator": 1, "annotation_id": at, "updated_at": f"2026-01-0{at + 1}T00:00:00Z"}
        )
    return rows


def test_json_min_csv_and_tsv_say_what_the_json_of_label_studio_says(capsys, work, tmp_path):
    whole = studio(work, tmp_path / "whole.json", "car", {})
    summary(capsys, work, whole)
    expected = boxes_of(work)
    rows = minimal(work)
    (tmp_path / "min.json").write_text(json.dumps(rows))
    for name, delimiter in (("min.csv", ","), ("min.tsv", "\t")):
        with (tmp_path / name).open("w", newline="") as stream:
            writer = csv.writer(stream, delimiter=delimiter)
            writer.writerow(rows[0])
            writer.writerows(
                [json.dumps(v) if isinstance(v, list) else v for v in row.values()] for row in rows
            )
    bare = [{name: row[name] for name in ("id", "image", "label")} for row in rows]
    (tmp_path / "bare.json").write_text(json.dumps(bare))
    for name in ("min.json", "min.csv", "min.tsv", "bare.json"):
        done = summary(capsys, work, tmp_path / name, "--replace")
        assert (done["format"], done["again"], done["replaced"]) == ("label-studio", 4, 0)
        assert boxes_of(work) == expected


def test_of_several_rows_of_one_task_the_newest_counts_and_one_without_marks_is_empty(
    capsys, work, tmp_path
):
    rows = minimal(work)
    rows.append({**rows[0], "label": [], "annotation_id": 9, "updated_at": "2026-02-01T00:00:00Z"})
    del rows[1]["label"]
    (tmp_path / "min.json").write_text(json.dumps(rows))
    done = summary(capsys, work, tmp_path / "min.json", "--empty-ok")
    assert (done["labelled"], done["empty"]) == (4, 2)
    rows[-1] = {**rows[0], "image": "other.jpg"}
    (tmp_path / "two.json").write_text(json.dumps(rows))
    assert "another task has the id '0' too" in refused(capsys, work, tmp_path / "two.json")


@pytest.mark.parametrize(
    "broken",
    [[{"x": 1, "width": 3}], [{"hl_width": 3}], [None], {"x": 1}, "car", 3, [[]]],
)
def test_a_row_whose_marks_are_broken_is_no_empty_frame(capsys, work, tmp_path, broken):
    rows = minimal(work)
    rows[2]["label"] = broken
    (tmp_path / "min.json").write_text(json.dumps(rows))
    assert "row 2" in refused(capsys, work, tmp_path / "min.json") or "task 2" in refused(
        capsys, work, tmp_path / "min.json"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,b\n1,2\n", "no column annotation_id"),
        ("", "no column annotation_id"),
        ("image,annotator,annotator\n", "a column twice"),
        ("image,annotator\n1\n", "1 cells under 2 columns"),
        ('image,annotator,label\nx,1,"[{]"\n', "line 2: not JSON"),
        ('image,annotator\nx,"1\n', "not CSV"),
        ("image,annotator\nx,\0\n", "control character"),
    ],
)
def test_a_broken_table_is_refused_by_line(capsys, work, tmp_path, text, why):
    (tmp_path / "a.csv").write_text(text)
    assert why in refused(capsys, work, tmp_path / "a.csv")


def test_a_project_of_cvat_for_video_is_read_task_by_task(capsys, work, tmp_path):
    width, height = size_of(work)
    clips = sorted({row["clip"] for row in query(work)})
    tasks, tracks = "", ""
    for at, clip in enumerate(clips):
        tasks += (
            f"<task><id>{at + 5}</id><name>{clip}</name><size>40</size><start_frame>0</start_frame>"
            f"<stop_frame>39</stop_frame><frame_filter></frame_filter><original_size>"
            f"<width>{width}</width><height>{height}</height></original_size></task>"
        )
        keys = "".join(
            f'<box frame="{n}" outside="0" occluded="0" keyframe="1" xtl="{at + 1}" ytl="2"'
            f' xbr="30" ybr="40"/>'
            for n in (0, 39)
        )
        tracks += f'<track id="{at}" label="car" task_id="{at + 5}" subset="x">{keys}</track>'
    head = f"<meta><project><id>1</id><name>p</name><tasks>{tasks}</tasks></project></meta>"
    (tmp_path / "p.xml").write_text(f"<annotations>{head}{tracks}</annotations>")
    done = summary(capsys, work, tmp_path / "p.xml")
    assert (done["format"], done["labelled"]) == ("cvat", 4)
    assert {(row[0], row[3]) for row in boxes_of(work)} == {
        (clip, at + 1.0) for at, clip in enumerate(clips)
    }
    text = (tmp_path / "p.xml").read_text()
    (tmp_path / "q.xml").write_text(text.replace('task_id="5"', 'task_id="99"'))
    assert "tracks of task '99'" in refused(capsys, work, tmp_path / "q.xml")
    (tmp_path / "r.xml").write_text(text.replace(' task_id="5"', ""))
    assert "task_id" in refused(capsys, work, tmp_path / "r.xml")


def test_formats_have_the_same_names_everywhere(capsys, work, tmp_path, rendered):
    source = cvat(work, tmp_path / "a.xml", "car", {})
    for name in ("auto", "cvat-images"):
        assert summary(capsys, work, source, "--format", name, "--dry-run")["labelled"] == 4
        code, said = vidal(
            capsys,
            *("init", tmp_path / name, "--videos", rendered / "clips", "--labels", source),
            *("--format", name, "--detector", "scenes-tiny", "--device", "cpu"),
        )
        assert code == 0, said
    code, said = vidal(capsys, "import", work, "--from", source, "--format", "cvat_images")
    assert code == 2
    assert "kitti-tracking" in said
    with pytest.raises(UnknownName, match="format"):
        door.Campaign(work).import_labels(source, format="cvat_images")


def test_select_takes_labels_of_every_format_that_import_reads(capsys, work, tmp_path, rendered):
    rows = minimal(work)
    (tmp_path / "min.json").write_text(json.dumps(rows))
    sources = [
        cvat(work, tmp_path / "a.xml", "car", {}),
        coco(work, tmp_path / "b.json", "car", {}),
    ]
    sources += [studio(work, tmp_path / "c.json", "car", {}), tmp_path / "min.json"]
    for number, source in enumerate(sources):
        chosen = door.select(
            rendered / "clips", strategy="random", budget=2, labels=source, progress=False
        )
        assert any("4 frames labelled" in note for note in chosen.result.notes), number


def test_the_python_door_takes_rules_as_a_mapping(work, tmp_path):
    source = cvat(work, tmp_path / "a.xml", "van", {})
    campaign = door.Campaign(work)
    with pytest.raises(LabelsMismatch, match="--map van=car"):
        campaign.import_labels(source)
    assert campaign.import_labels(source, map={"van": "car"}, dry_run=True).labelled == 4
    assert campaign.import_labels(source, map=["van=car"]).labelled == 4
    with pytest.raises(UsageError, match="map"):
        campaign.import_labels(source, map=5)
