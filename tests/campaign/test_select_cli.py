"""`vidal select` as a user runs it, on rendered clips with the shipped detector."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidal.cli import main
from vidal.video import open_clip, read_frame


def vidal(*arguments: str | Path) -> int:
    """Run a command in this process; its exit code."""
    try:
        return int(main([str(argument) for argument in arguments]) or 0)
    except SystemExit as error:
        return int(error.code or 0)


def select(videos: Path, out: Path, *more: str | Path) -> int:
    return vidal(
        "select",
        "--videos",
        videos,
        "--out",
        out,
        "--detector",
        "scenes-tiny",
        "--device",
        "cpu",
        "--workers",
        "1",
        "--quiet",
        *more,
    )


def query_of(out: Path) -> dict:
    return json.loads((out / "query.json").read_text())


def refs(out: Path) -> list[tuple[str, int]]:
    return [(frame["clip"], frame["ordinal"]) for frame in query_of(out)["frames"]]


@pytest.fixture(scope="module")
def selected(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one plain selection; read only."""
    out = tmp_path_factory.mktemp("selected") / "out"
    assert select(rendered / "clips", out, "--budget", "5%", "--errors", "fp+fn") == 0
    return out


def test_selection_leaves_everything_the_readme_lists(selected):
    assert {path.name for path in selected.iterdir()} == {
        "query.json",
        "query.csv",
        "frames",
        "preannotations.coco.json",
        "report.html",
        ".vidal",
    }


def test_budget_is_a_share_of_all_readable_frames(selected):
    query = query_of(selected)
    assert query["budget"] == {
        "text": "5%",
        "base": "120 frames of 3 clips",
        "asked": 6,
        "selected": 6,
    }
    assert len(list((selected / "frames").iterdir())) == 6


def test_csv_and_json_list_the_same_frames_in_the_same_order(selected):
    with (selected / "query.csv").open(newline="") as file:
        rows = [(row["clip"], int(row["ordinal"])) for row in csv.DictReader(file)]
    assert rows == refs(selected)


def test_written_pictures_are_the_frames_they_are_named_after(selected, rendered):
    for frame in query_of(selected)["frames"]:
        clip = open_clip(rendered / "clips" / Path(frame["path"]).name, root=rendered / "clips")
        assert clip.id == frame["clip"]
        assert int(clip.pts[frame["ordinal"]]) == frame["pts"]
        stored = cv2.imread(str(selected / frame["file"]))[..., ::-1].astype(int)
        right = read_frame(clip, frame["ordinal"]).image.astype(int)
        assert np.abs(stored - right).mean() < 4
        other = (frame["ordinal"] + 20) % clip.frames
        assert np.abs(stored - read_frame(clip, other).image.astype(int)).mean() > 4


def test_neighbours_of_a_chosen_frame_are_not_chosen(selected):
    chosen = refs(selected)
    for clip, index in chosen:
        assert not any(c == clip and 0 < abs(i - index) <= 3 for c, i in chosen)


def test_no_two_chosen_frames_of_a_clip_are_less_than_half_a_second_apart(selected):
    frames = query_of(selected)["frames"]
    assert query_of(selected)["settings"]["gap"] == "0.5s"
    times = [(frame["clip"], frame["seconds"]) for frame in frames]
    for at, (clip, seconds) in enumerate(times):
        assert not any(c == clip and abs(s - seconds) < 0.5 for c, s in times[at + 1 :])


def test_clips_take_turns(selected):
    counts = {clip: 0 for clip, _ in refs(selected)}
    for clip, _ in refs(selected):
        counts[clip] += 1
    assert sorted(counts.values()) == [2, 2, 2]


def test_a_reason_counts_the_boxes_that_the_picture_shows_by_the_same_estimate(selected):
    query = query_of(selected)
    assert query["expected_by"]["by"] == "prior"
    coco = json.loads((selected / "preannotations.coco.json").read_text())
    names = {image["id"]: at for at, image in enumerate(coco["images"])}
    shown: list[Counter] = [Counter() for _ in names]
    for box in coco["annotations"]:
        shown[names[box["image_id"]]][box["attributes"]["verdict"]] += 1
        assert box["attributes"]["by"] == "expected errors"
        assert 0 <= box["attributes"]["certainty"] <= 1
    words = {
        "likely_miss": r"likely miss(?:es)?\b",
        "likely_false_alarm": r"likely false alarms?",
        "unsure": r"unsure box(?:es)?\b",
    }
    assert sum(sum(each.values()) for each in shown) > 0
    for frame, counts in zip(query["frames"], shown, strict=True):
        assert counts["likely_false_alarm"] == 0  # nothing is called one before there are labels
        for verdict, word in words.items():
            found = re.search(rf"(\d+) {word}", frame["reason"])
            assert counts[verdict] == (0 if found is None else int(found[1]))
        assert "false_positives" in frame["parts"]


def test_the_summary_says_where_rank_is_not_score(selected):
    query = query_of(selected)
    scores = [frame["score"] for frame in query["frames"]]
    said = [note for note in query["notes"] if note.startswith("Rank is not score")]
    assert len(said) == int(scores != sorted(scores, reverse=True))


def test_report_is_one_file_that_fetches_nothing(selected):
    page = (selected / "report.html").read_text()
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("<img") + page.count("data:image/jpeg") >= 6


def test_preannotations_carry_verdicts(selected):
    coco = json.loads((selected / "preannotations.coco.json").read_text())
    assert len(coco["images"]) == 6
    verdicts = {note["attributes"]["verdict"] for note in coco["annotations"]}
    assert verdicts <= {"likely_correct", "unsure", "likely_miss"}
    assert "likely_correct" in verdicts


def test_two_workers_choose_what_one_chooses(selected, rendered, tmp_path):
    out = tmp_path / "out"
    code = vidal(
        "select",
        "--videos",
        rendered / "clips",
        "--out",
        out,
        "--detector",
        "scenes-tiny",
        "--device",
        "cpu",
        "--workers",
        "2",
        "--quiet",
        "--budget",
        "5%",
        "--errors",
        "fp+fn",
    )
    assert code == 0
    # Frames of a multi-threaded and a single-threaded pass may differ in the last bit; the
    # choice must not.
    assert refs(out) == refs(selected)


def test_another_strategy_reuses_the_evidence(selected, rendered, tmp_path, monkeypatch):
    import vidal.evidence.windowed as evidence

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a clip was scanned again")

    monkeypatch.setattr(evidence, "scan_clip", fail)
    for strategy in ("entropy", "margin", "least-confidence"):
        out = tmp_path / strategy
        more = ("--strategy", strategy, "--cache", selected / ".vidal", "--no-report")
        assert select(rendered / "clips", out, *more) == 0
        assert len(refs(out)) == 2
        assert not (out / "report.html").exists()


def test_random_runs_no_detector(rendered, tmp_path):
    program = (
        "import sys; from vidal.cli import main; main(sys.argv[1:]);"
        "assert 'torch' not in sys.modules"
    )
    out = tmp_path / "out"
    subprocess.run(
        [
            sys.executable,
            "-c",
            program,
            "select",
            "--videos",
            rendered / "clips",
            "--out",
            out,
            "--strategy",
            "random",
            "--quiet",
            "--seed",
            "4",
        ],
        check=True,
        capture_output=True,
    )
    assert len(refs(out)) == 2
    assert query_of(out)["classes"] == []


@pytest.mark.parametrize("strategy", ["random", "random-r", "every-nth"])
def test_same_seed_gives_the_same_query(strategy, rendered, tmp_path):
    for name in ("a", "b"):
        assert select(rendered / "clips", tmp_path / name, "--strategy", strategy) == 0
    assert query_of(tmp_path / "a") == query_of(tmp_path / "b")


def test_another_seed_draws_other_frames(rendered, tmp_path):
    for seed in ("1", "2"):
        select(
            rendered / "clips",
            tmp_path / seed,
            "--strategy",
            "random",
            "--budget",
            "10",
            "--seed",
            seed,
        )
    assert refs(tmp_path / "1") != refs(tmp_path / "2")


def test_labelled_frames_and_their_neighbours_are_not_chosen(rendered, tmp_path):
    labels = json.loads((rendered / "labels.coco.json").read_text())
    kept = [image for image in labels["images"] if 10 <= image["frame_id"] < 30]
    ids = {image["id"] for image in kept}
    labels["images"] = kept
    labels["annotations"] = [a for a in labels["annotations"] if a["image_id"] in ids]
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    out = tmp_path / "out"
    assert (
        select(
            rendered / "clips",
            out,
            "--strategy",
            "random-r",
            "--budget",
            "9",
            "--gap",
            "3",
            "--labels",
            tmp_path / "labels.json",
        )
        == 0
    )
    chosen = refs(out)
    assert chosen
    assert all(index < 7 or index > 32 for _, index in chosen)


def test_unreadable_clip_is_named_and_the_run_goes_on(rendered, tmp_path, capsys):
    shutil.copytree(rendered / "clips", tmp_path / "clips")
    (tmp_path / "clips" / "broken.mp4").write_text("not a video")
    out = tmp_path / "out"
    assert select(tmp_path / "clips", out, "--strategy", "random") == 0
    skipped = query_of(out)["skipped"]
    assert [Path(entry["path"]).name for entry in skipped] == ["broken.mp4"]
    assert skipped[0]["cause"]
    assert "broken.mp4" in capsys.readouterr().out


def test_truncated_clip_keeps_its_readable_part(rendered, tmp_path):
    source = next((rendered / "clips").glob("*.mp4"))
    clips = tmp_path / "clips"
    clips.mkdir()
    stream = clips / "cut.ts"
    subprocess_free_remux(source, stream)
    data = stream.read_bytes()
    stream.write_bytes(data[: len(data) * 6 // 10])
    out = tmp_path / "out"
    assert select(clips, out, "--budget", "2") == 0
    assert all(index < 40 for _, index in refs(out))
    assert len(refs(out)) == 2


def subprocess_free_remux(source: Path, target: Path) -> None:
    """Copy the packets of an mp4 into a transport stream, which can be cut anywhere."""
    import av

    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)


def test_interrupted_run_ends_with_the_result_of_an_undisturbed_one(selected, rendered, tmp_path):
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "vidal",
        "select",
        "--videos",
        str(rendered / "clips"),
        "--out",
        str(out),
        "--detector",
        "scenes-tiny",
        "--device",
        "cpu",
        "--workers",
        "1",
        "--quiet",
        "--budget",
        "5%",
        "--errors",
        "fp+fn",
    ]
    process = subprocess.Popen(command, start_new_session=True)
    store = out / ".vidal"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if len(list(store.rglob("*.npz"))) >= 5:  # three opened clips, and evidence of the first
            break
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "query.json").exists()
    assert select(rendered / "clips", out, "--budget", "5%", "--errors", "fp+fn") == 0
    assert query_of(out)["frames"] == query_of(selected)["frames"]


def test_dry_run_looks_at_the_detector_that_is_named_whatever_the_strategy_needs(
    rendered, tmp_path, capsys
):
    given = ("--strategy", "random", "--dry-run")
    clips, out = rendered / "clips", tmp_path / "out"
    assert select(clips, out, *given, "--classes", "car,typo") == 2
    assert "unknown class 'typo'" in capsys.readouterr().err
    for more in (given, given[:2]):
        assert select(clips, out, *more, "--weights", tmp_path / "nope.pt") == 2
        assert "no such checkpoint" in capsys.readouterr().err


def test_dry_run_computes_and_writes_nothing(rendered, tmp_path, capsys):
    out = tmp_path / "out"
    cache = tmp_path / "cache"
    assert select(rendered / "clips", out, "--dry-run", "--json", "--cache", cache) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["frames"], plan["budget_frames"], plan["clips"]) == (120, 2, 3)
    assert not out.exists()


def test_json_summary_is_all_that_stands_on_stdout(rendered, tmp_path, capsys):
    assert select(rendered / "clips", tmp_path / "o", "--strategy", "random", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["selected"] == 2
    assert Path(summary["files"]["query.json"]).is_file()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--budget", "0%"), "budget '0%'"),
        (("--budget", "-3"), "budget '-3'"),
        (("--budget", "abc"), "budget 'abc'"),
        (("--budget", "121"), "only 120 can be selected"),
        (("--strategy", "tempral"), "unknown strategy 'tempral'"),
        (("--strategy", "entropy", "--option", "aggregat=max"), "unknown option 'aggregat'"),
        (("--classes", "car,tram"), "tram"),
        (("--weights", "absent.safetensors"), "no such checkpoint"),
        (("--labels", "absent.json"), "absent.json"),
        (("--coherence", "theta"), "is not KEY=VALUE"),
        (("--coherence", "window=0"), "window"),
        (("--image-rate", "0"), "--image-rate '0'"),
        (("--gap", "x"), "--gap"),
        (("--no-such-option",), "--no-such-option"),
    ],
)
def test_user_error_is_one_clear_line_and_leaves_no_result(more, words, rendered, tmp_path, capsys):
    out = tmp_path / "out"
    assert select(rendered / "clips", out, *more) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.startswith("vidal: ")
    assert "Traceback" not in said.err
    assert said.out == ""
    assert not (out / "query.json").exists()


def test_labels_for_other_clips_are_refused(rendered, tmp_path, capsys):
    labels = json.loads((rendered / "labels.coco.json").read_text())
    for video in labels["videos"]:
        video["name"] = f"mars-{video['id']}"
        video.pop("file_name", None)
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    code = select(rendered / "clips", tmp_path / "o", "--labels", tmp_path / "labels.json")
    assert code == 2
    assert "labels for other clips (mars-" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"junk", b"\x80\x02}q\x00."])
def test_corrupt_weights_are_refused(content, rendered, tmp_path, capsys):
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(content)
    out = tmp_path / "out"
    assert (
        vidal(
            "select",
            "--videos",
            rendered / "clips",
            "--out",
            out,
            "--weights",
            weights,
            "--device",
            "cpu",
            "--workers",
            "1",
        )
        == 2
    )
    assert "w.safetensors" in capsys.readouterr().err
    assert not (out / "query.json").exists()


@pytest.mark.parametrize("kind", ["absent", "empty", "texts"])
def test_folder_without_clips_is_refused(kind, tmp_path, capsys):
    folder = tmp_path / "clips"
    if kind != "absent":
        folder.mkdir()
    if kind == "texts":
        (folder / "readme.txt").write_text("hello")
    assert select(folder, tmp_path / "out") == 2
    assert str(folder) in capsys.readouterr().err


def test_folder_where_no_clip_can_be_read_is_refused(tmp_path, capsys):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").write_text("not a video")
    assert select(tmp_path / "clips", tmp_path / "out") == 2
    assert "its one clip cannot be read: " in capsys.readouterr().err


def test_output_that_cannot_be_written_is_refused_before_any_work(rendered, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert select(rendered / "clips", tmp_path / "file" / "out") == 2
    assert "cannot write" in capsys.readouterr().err


def test_overview_and_version_import_nothing_heavy():
    program = (
        "import sys; from vidal.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'numpy', 'torch', 'cv2', 'av'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_help_of_select_does_not_import_torch():
    program = (
        "import sys; from vidal.cli import main\n"
        "try: main(['select', '--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
