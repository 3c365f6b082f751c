"""`vidal push label-studio` and `vidal pull`, against Label Studio's real server."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import vidal
from vidal.campaign.folder import open_campaign
from vidal.cli import main
from vidal.formats import coco_video

pytestmark = pytest.mark.peers
CLASSES = ("car", "pedestrian", "cyclist")
FRAMES = 45
"""Three requests of twenty pictures at most."""


def _proxy():
    spec = importlib.util.spec_from_file_location("proxy", Path(__file__).with_name("proxy.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.proxy


proxy = _proxy()


@pytest.fixture(scope="module")
def asked(server, rendered, tmp_path_factory):
    """A campaign whose first query was made by a detector; do not change it."""
    work = tmp_path_factory.mktemp("asked") / "work"
    main(
        [
            *("init", str(work), "--videos", str(rendered / "clips"), "--initial", str(FRAMES)),
            *("--detector", "scenes-tiny", "--set", "selection.initial_strategy=entropy"),
            *("--set", "workers=1", "--set", "selection.gap=0", "--device", "cpu"),
            *("--classes", ",".join(CLASSES)),
        ]
    )
    main(["select", "--campaign", str(work), "--quiet", "--no-report"])
    return work


@pytest.fixture
def work(asked, tmp_path):
    shutil.copytree(asked, tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture(scope="module")
def pushed(server, asked):
    """(project, summary) of a push that nothing disturbed."""
    done = push(server, asked, "undisturbed", "--json")
    assert done.returncode == 0, done.stderr
    return server.project("undisturbed"), json.loads(done.stdout)


def push(server, work, title, *more, url=None, **env):
    return server.vidal(
        *("push", "label-studio", work, "--url", url or server.url, "--project", title, *more),
        **env,
    )


def pull(server, work, title, *more):
    return server.vidal(
        "pull", "label-studio", work, "--url", server.url, "--project", title, *more
    )


def query(work):
    return work / "queries" / "round-000"


def test_a_push_makes_a_project_whose_tasks_show_pictures_and_predictions(server, asked, pushed):
    number, summary = pushed
    assert (summary["tasks"], summary["added"], summary["project"]["made"]) == (
        FRAMES,
        FRAMES,
        True,
    )
    tasks = server.tasks(number)
    frames = json.loads((query(asked) / "query.json").read_text())["frames"]
    assert [task["data"]["rank"] for task in tasks] == list(range(1, FRAMES + 1))
    proposals = {
        (entry.name, index): entry.annotations
        for entry in coco_video.read(query(asked) / "preannotations.coco.json")
        for index in np.flatnonzero(entry.annotations.labelled).tolist()
    }
    boxes = 0
    for task, frame in zip(tasks, frames, strict=True):
        data = task["data"]
        assert (data["clip"], data["index"]) == (frame["clip"], frame["ordinal"])
        assert data["reason"] == frame["reason"]
        assert server("GET", data["image"]) == (query(asked) / frame["file"]).read_bytes()
        table = proposals[frame["clip"], frame["ordinal"]]
        every = np.arange(len(table))[table.on(frame["ordinal"])]
        rows = every[[table.classes[at] in CLASSES for at in table.labels[every]]]
        (prediction,) = task["predictions"]
        found = regions(prediction["result"])
        np.testing.assert_allclose(
            np.array([box for _, box in found]).reshape(-1, 4), table.boxes[rows], atol=1e-3
        )
        assert [name for name, _ in found] == [table.classes[at] for at in table.labels[rows]]
        boxes += len(found)
    assert boxes > FRAMES


def regions(result):
    """(label, box in pixels) of each rectangle."""
    found = []
    for each in result:
        if each["type"] == "rectanglelabels":
            v, w, h = each["value"], each["original_width"] / 100, each["original_height"] / 100
            box = (v["x"] * w, v["y"] * h, (v["x"] + v["width"]) * w, (v["y"] + v["height"]) * h)
            found.append((v["rectanglelabels"][0], box))
    return found


def test_a_second_push_changes_nothing(server, asked, pushed):
    number, _ = pushed
    before = server.tasks(number)
    done = push(server, asked, "undisturbed", "--json")
    assert json.loads(done.stdout)["added"] == 0
    assert json.loads(push(server, asked, str(number), "--json").stdout)["added"] == 0
    assert [each["id"] for each in server.tasks(number)] == [each["id"] for each in before]
    assert len(server("GET", f"/api/projects/{number}/file-uploads?all=true")) == FRAMES


def whole(server, title):
    """The project holds every task once, and every picture once."""
    number = server.project(title)
    keys = [task["data"]["vidal_key"] for task in server.tasks(number)]
    uploads = server("GET", f"/api/projects/{number}/file-uploads?all=true")
    return len(keys) == len(set(keys)) == FRAMES == len(uploads)


def importing(method, path):
    return method == "POST" and path.partition("?")[0].endswith("/import")


@pytest.mark.parametrize("fate", ["refuse", "lose"])
def test_a_request_that_fails_is_done_again_and_nothing_is_there_twice(server, asked, fate):
    done = []

    def rule(method, path, _):
        if importing(method, path):
            done.append(path)
            return fate if len(done) in (1, 4, 6) else "pass"
        return "pass"

    with proxy(server.url, rule) as url:
        result = push(server, asked, f"fails: {fate}", url=url)
    assert result.returncode == 0, result.stderr
    # What was refused is asked again; what was done, and only its answer lost, is not.
    assert len(done) == {"refuse": 9, "lose": 6}[fate]
    assert whole(server, f"fails: {fate}")


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6])
def test_a_push_that_was_killed_goes_on_where_it_was(server, asked, at):
    title, killed, seen = f"killed at {at}", [], []

    def rule(method, path, _):
        if importing(method, path):
            seen.append(path)
            if len(seen) == at:
                killed[0].send_signal(signal.SIGKILL)
                return "lose"
        return "pass"

    with proxy(server.url, rule) as url:
        killed.append(
            subprocess.Popen(
                server.command("push", "label-studio", asked, "--url", url, "--project", title),
                env=server.environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        assert killed[0].wait(120) == -signal.SIGKILL
    assert push(server, asked, title).returncode == 0
    assert whole(server, title)


def test_a_server_that_goes_away_is_told_with_what_is_there(server, asked):
    seen = []

    def rule(method, path, _):
        seen.extend([path] * importing(method, path))
        return "refuse" if len(seen) > 2 else "pass"

    with proxy(server.url, rule) as url:
        done = push(server, asked, "goes away", url=url)
    assert done.returncode == 2
    assert "status 503" in done.stderr
    assert f"holds 20 of {FRAMES} tasks; run it again to go on" in done.stderr
    assert "Traceback" not in done.stderr
    assert push(server, asked, "goes away").returncode == 0
    assert whole(server, "goes away")


def test_pull_takes_submitted_and_skipped_tasks_and_no_drafts(server, work):
    assert push(server, work, "answers").returncode == 0
    number = server.project("answers")
    tasks = server.tasks(number)
    region = {"from_name": "label", "to_name": "image", "type": "rectanglelabels"}
    size = {"original_width": 320, "original_height": 192}
    value = {"x": 10.0, "y": 20.0, "width": 25.0, "height": 30.0, "rotation": 0}

    def result(label):
        return [{**region, **size, "id": "a", "value": {**value, "rectanglelabels": [label]}}]

    def annotate(task, found, **more):
        place = f"/api/tasks/{task['id']}/annotations"
        server("POST", place, {"result": found, **more})

    (width, height) = regions_size(tasks)
    size.update(original_width=width, original_height=height)
    annotate(tasks[0], result("car"))
    annotate(tasks[1], result("unknown"))
    annotate(tasks[2], [])
    annotate(tasks[3], [], was_cancelled=True)
    server("POST", f"/api/tasks/{tasks[4]['id']}/drafts", {"result": result("car")})
    annotate(tasks[5], [], was_cancelled=True)
    annotate(tasks[5], result("pedestrian"))
    dry = pull(server, work, "answers", "--empty-ok", "--dry-run")
    assert "nothing was changed" in dry.stdout
    done = pull(server, work, "answers", "--empty-ok", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    pulled = told["pulled"]
    assert (pulled["tasks"], pulled["answered"], pulled["skipped"]) == (FRAMES, 4, 1)
    assert (pulled["drafts"], pulled["others"]) == (1, 0)
    assert (told["labelled"], told["empty"], told["skipped"]) == (4, 1, 1)
    assert told["waiting"] == FRAMES - 5
    assert told["next"]["command"]
    with open_campaign(work) as campaign:
        where = [(task["data"]["clip"], task["data"]["index"]) for task in tasks]
        waiting = {(ref.clip, ref.index) for ref in campaign.record.waiting()}
        assert waiting == set(where[4:5] + where[6:])
        clip, index = where[0]
        table = campaign.record.annotations(clip, 40)
        (row,) = range(*table.on(index).indices(len(table)))
        expected = np.array([10, 20, 35, 50]) / 100 * (width, height, width, height)
        np.testing.assert_allclose(table.boxes[row], expected, atol=1e-3)
        assert table.labels[row] == 0
    before = (work / "pulled" / f"label-studio-{number}.json").read_bytes()
    again = json.loads(pull(server, work, "answers", "--json").stdout)
    assert (again["labelled"], again["skipped"], again["waiting"]) == (0, 0, FRAMES - 5)
    assert (work / "pulled" / f"label-studio-{number}.json").read_bytes() == before


def regions_size(tasks):
    for task in tasks:
        for each in task["predictions"][0]["result"]:
            return each["original_width"], each["original_height"]
    raise AssertionError("no boxes")


def test_tasks_of_other_queries_in_the_same_project_are_left_out(server, work, rendered, tmp_path):
    vidal.select(
        rendered / "clips", budget="2", strategy="entropy", detector="scenes-tiny", progress=False
    ).save(tmp_path / "lone", report=False)
    assert push(server, tmp_path / "lone", "shared").returncode == 0
    assert push(server, work, "shared").returncode == 0
    told = json.loads(pull(server, work, "shared", "--json").stdout)
    assert (told["pulled"]["tasks"], told["pulled"]["others"]) == (FRAMES, 2)


def test_a_project_of_more_tasks_than_a_page_is_listed_whole(server, asked):
    assert push(server, asked, "many").returncode == 0
    number = server.project("many")
    more = [{"data": {"image": f"/data/x/{at}.jpg", "reason": ""}} for at in range(1300)]
    server("POST", f"/api/projects/{number}/import", more)
    told = json.loads(push(server, asked, "many", "--json").stdout)
    assert (told["tasks"], told["added"]) == (FRAMES, 0)
    code = (
        "import sys; from vidal.servers.connection import Connection as C; c = C(sys.argv[1]);"
        "print(len({n for n, _ in c.tasks(int(sys.argv[2]))}))"
    )
    done = subprocess.run(
        [str(server.python), "-c", code, server.url, str(number)],
        env=server.environment(),
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(FRAMES + 1300), done.stderr


def test_both_kinds_of_tokens_are_taken_and_none_is_shown(server, asked, pushed):
    personal = server("POST", "/api/token/", {})["token"]
    assert push(server, asked, "undisturbed", LABEL_STUDIO_API_KEY=personal).returncode == 0
    wrong = [("f" * 40, "Invalid token"), (personal[:-6] + "aaaaaa", "Token is invalid")]
    for token, why in wrong:
        done = push(server, asked, "undisturbed", LABEL_STUDIO_API_KEY=token)
        assert done.returncode == 2
        assert why in done.stderr
        assert "LABEL_STUDIO_API_KEY" in done.stderr
        assert token not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert not [path for path in asked.rglob("*") if path.is_file() and _holds(path, server.token)]


def _holds(path, text):
    return text.encode() in path.read_bytes()


def test_what_is_wrong_is_said_in_one_line(server, asked, work, pushed):
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{place.getsockname()[1]}"
    cases = [
        (push(server, asked, "x y z", url=nobody), "nobody answers"),
        (push(server, asked, "999999"), "not found"),
        (push(server, asked, "ab"), "at least 3 characters"),
        (push(server, asked, "undisturbed", "--round", "7"), "there is no round 7"),
        (pull(server, work, "never made"), "no project is called 'never made'"),
        (push(server, asked, "x y z", url=f"{server.url}/nowhere"), "not found"),
    ]
    for done, why in cases:
        assert done.returncode == 2, why
        assert why in done.stderr
        assert done.stderr.startswith("vidal: ")
        assert "Traceback" not in done.stderr
        assert server.token not in done.stderr


def test_what_is_no_label_studio_or_too_old_a_one_is_said(server, asked):
    """A server of this test's own: what answers at that address is something else."""
    pages = {"html": b"<html>hello</html>", "old": b'{"release": "1.9.2", "edition": "Community"}'}
    for kind, why in (("html", "not what Label Studio answers"), ("old", "1.20 or newer")):

        class Other(BaseHTTPRequestHandler):
            page = pages[kind]

            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(self.page)

            def log_message(self, *_):
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Other) as served:
            threading.Thread(target=served.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{served.server_address[1]}"
            done = push(server, asked, "x y z", url=url)
            served.shutdown()
        assert done.returncode == 2
        assert why in done.stderr
        assert "Traceback" not in done.stderr


def test_a_project_that_is_set_up_otherwise_is_refused_with_what_it_lacks(server, asked):
    config = (
        '<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">'
        '<Label value="car"/></RectangleLabels></View>'
    )
    server("POST", "/api/projects", {"title": "otherwise", "label_config": config})
    server("POST", "/api/projects", {"title": "no interface yet"})
    done = push(server, asked, "otherwise")
    assert done.returncode == 2
    assert "'cyclist'" in done.stderr
    assert not server.tasks(server.project("otherwise"))
    assert push(server, asked, "no interface yet").returncode == 0
    for _ in range(2):
        server("POST", "/api/projects", {"title": "two of a name"})
    assert "2 projects are called" in push(server, asked, "two of a name").stderr


def test_push_does_not_import_torch(server, asked, pushed):
    code = (
        "import sys; from vidal.cli import main; main(sys.argv[1:]);"
        "print(sorted({'torch', 'torchvision'} & set(sys.modules)))"
    )
    arguments = ("push", "label-studio", asked, "--url", server.url, "--project", "undisturbed")
    done = subprocess.run(
        [str(server.python), "-c", code, *map(str, arguments)],
        env=server.environment(),
        capture_output=True,
        text=True,
    )
    assert done.stdout.rstrip().endswith("[]"), done.stdout + done.stderr
    assert sys.executable != str(server.python)
