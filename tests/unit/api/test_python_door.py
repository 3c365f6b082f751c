"""The Python door: its names, what an import costs, and the examples of the documentation."""

import copy
import doctest
import inspect
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vidal
from vidal.api import options, selections
from vidal.assemble.config import KEYS
from vidal.assemble.request import SelectionRequest
from vidal.errors import UnknownName, UsageError

ROOT = Path(__file__).parents[3]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def test_the_public_names_are_these():
    assert vidal.__all__ == [
        "Campaign",
        "SelectedFrame",
        "Selection",
        "VidalError",
        "__version__",
        "cache",
        "export",
        "gather",
        "push",
        "read_labels",
        "select",
        "simulate",
    ]
    for name in vidal.__all__:
        assert getattr(vidal, name) is not None
        assert name in dir(vidal)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = vidal.nonsense


def test_every_public_method_has_a_docstring():
    for owner in (vidal.Campaign, vidal.Selection, vidal.SelectedFrame):
        for name, member in inspect.getmembers(owner):
            if not name.startswith("_") and callable(member):
                assert inspect.getdoc(member), f"{owner.__name__}.{name}"


def test_importing_vidal_imports_nothing_heavy():
    code = "import sys, vidal; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "cv2", "av", "rich", "click", "yaml"} & set(done.stdout.split())


def test_the_options_of_select_are_those_of_the_plan_and_of_the_command_line():
    from vidal.cli.select import command

    own = {"videos", "out", "budget", "strategy"}
    names = set(options.SelectOptions.__annotations__)
    assert names == set(inspect.signature(SelectionRequest).parameters) - own
    shown = {"campaign", "same_detector", "no_report", "dry_run", "as_json", "quiet"}
    assert names | own == {each.name for each in command.params} - shown


def test_gather_has_the_options_of_select_in_python_and_on_the_command_line():
    from vidal.cli.gather import command
    from vidal.cli.select import command as select

    names = {each.name for each in command.params}
    assert names == {each.name for each in select.params} - {"no_report", "dry_run"} | {"shard"}
    assert set(inspect.signature(vidal.gather).parameters) == {
        *("videos", "shard", "budget", "strategy", "out", "progress", "options")
    }
    own = {"self", "progress"}
    given = set(inspect.signature(vidal.Campaign.gather).parameters) - own
    assert given == set(inspect.signature(vidal.Campaign.select).parameters) - own - {"report"} | {
        "shard"
    }


def test_detections_of_a_next_round_are_given_by_the_names_of_the_command_line():
    from vidal.cli.select_campaign import NEW

    assert set(NEW) < set(inspect.signature(vidal.Campaign.select).parameters)


def test_the_options_of_create_are_those_of_the_command_line():
    from vidal.cli.init import command

    shown = {"folder", "file", "changes", "initial_labels", "as_json", "quiet"}
    given = {each.name.rstrip("_") for each in command.params} - shown
    assert set(KEYS) == given


def test_an_unknown_option_is_refused_with_a_guess(tmp_path):
    with pytest.raises(UnknownName, match="threshold"):
        vidal.select(tmp_path, treshold=0.3, progress=False)
    with pytest.raises(UnknownName, match="classes"):
        vidal.Campaign.create(tmp_path / "work", videos=tmp_path, clases=["car"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("gap", value) for value in ("3 apples", None, 2.5, True, -1)),
        *(("seed", value) for value in ("1", 1.5, -1, None)),
        *(("batch", "x"), ("batch", -2), ("workers", "2"), ("workers", -1)),
        *(("threshold", "0.5"), ("threshold", float("nan")), ("random_share", "0.1")),
        *(("known_only", "yes"), ("known_only", 1), ("known_only", None)),
        *(("classes", [1]), ("classes", 5), ("classes", {"car": 1}), ("classes", [])),
        *(("strategy", 5), ("detector", None), ("tracker", 5), ("device", 0), ("errors", 1)),
        *(("options", "x"), ("coherence", 5), ("flow", [1])),
        *(("videos", 5), ("videos", ["clips"]), ("cache", 5), ("labels", 5), ("out", 5)),
        ("size", (1, 2)),
        *(("turns", value) for value in (5, "turns of clips", True)),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name(tmp_path, name, value):
    given = {"videos": tmp_path, "progress": False, "strategy": "entropy", name: value}
    with pytest.raises(UsageError, match=name.rstrip("s")):
        vidal.select(**given, **({} if name == "detector" else {"detector": "scenes-tiny"}))


def test_values_of_another_kind_are_refused_by_every_function(tmp_path):
    for call in (
        lambda: vidal.Campaign.open(5),
        lambda: vidal.Campaign.create(5, videos=tmp_path),
        lambda: vidal.read_labels(5),
        lambda: vidal.read_labels(tmp_path, format=5),
        lambda: vidal.simulate(5),
        lambda: vidal.simulate(ROOT / "configs/scenes-quick.yaml", seeds="x"),
        lambda: vidal.simulate(ROOT / "configs/scenes-quick.yaml", rounds=0),
        lambda: vidal.simulate(ROOT / "configs/scenes-quick.yaml", strategies=5),
    ):
        with pytest.raises(UsageError, match=" is not "):
            call()
    with pytest.raises(UnknownName, match="'entorpy'"):
        vidal.simulate(ROOT / "configs/scenes-quick.yaml", strategies="entorpy")


@pytest.fixture(scope="module")
def here(rendered, tmp_path_factory):
    """The working directory of the examples."""
    folder = tmp_path_factory.mktemp("door")
    shutil.copytree(rendered / "clips", folder / "clips")
    shutil.copy(rendered / "labels.coco.json", folder)
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def run(text, name):
    parsed = doctest.DocTestParser().get_doctest(text, {"vidal": vidal}, name, name, 0)
    assert parsed.examples
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    told = []
    runner.run(parsed, out=told.append)
    assert not runner.failures, "".join(told)


def test_the_examples_of_the_page_give_what_it_says(here):
    run((ROOT / "docs/python.md").read_text("utf-8"), "python.md")


@pytest.mark.parametrize(
    "member", [vidal.select, vidal.gather, vidal.read_labels], ids=lambda each: each.__name__
)
def test_the_examples_of_docstrings_give_what_they_say(here, member):
    run(inspect.getdoc(member), member.__name__)


def test_the_example_of_a_campaign_gives_what_it_says(here):
    shutil.rmtree(here / "work", ignore_errors=True)
    run(inspect.getdoc(vidal.Campaign), "Campaign")


def test_a_selection_from_python_is_that_of_the_command_line(here):
    from vidal.cli import main
    from vidal.report import read_query

    chosen = vidal.select(
        "clips", budget=4, detector="scenes-tiny", cache=".vidal", seed=3, progress=False
    )
    options = {"--budget": "4", "--detector": "scenes-tiny", "--cache": ".vidal", "--seed": "3"}
    given = [text for pair in options.items() for text in pair]
    line = ["select", "--videos", "clips", "--out", "line", "--no-report", "--quiet", *given]
    assert not main(line)
    query = read_query(Path("line/query.json"))
    assert [str(frame.ref) for frame in query.frames] == [str(frame) for frame in chosen]
    assert [frame.reason for frame in query.frames] == [frame.reason for frame in chosen]


def test_frames_of_a_selection_can_be_copied_sent_to_processes_and_put_in_sets(here):
    chosen = vidal.select(
        b"clips", budget=np.int64(2), detector="scenes-tiny", cache=".vidal", progress=False
    )
    back = pickle.loads(pickle.dumps(chosen))  # noqa: S301 (its own)
    assert back.frames == chosen.frames
    assert copy.deepcopy(chosen[0]) == chosen[0]
    assert len(set(chosen)) == 2


def test_a_selection_without_frames_has_an_empty_table(here):
    chosen = vidal.select("clips", strategy="random", budget=1, progress=False)
    result = chosen.result
    nothing = type(result.query)(
        0, (), result.query.scores[:0], type(result.query.explanation)((), {}), 1
    )
    empty = selections.Selection(
        type(result)(**{n: getattr(result, n) for n in result.__slots__} | {"query": nothing})
    )
    table = empty.to_dataframe()
    assert len(table) == 0
    assert list(table.columns)[:3] == ["rank", "clip", "index"]


def test_push_and_pull_have_the_options_of_the_command_line():
    from vidal.cli import pull, push

    def options(function):
        names = set(inspect.signature(function).parameters) - {"self"}
        return names - {"to", "source", "query", "progress", "options"}

    shown = {"folder", "as_json", "quiet"}
    given = {each.name for each in push.label_studio.params} - shown
    assert options(vidal.Campaign.push) == {n.replace("number", "round") for n in given}
    assert options(vidal.push) == given - {"number"}
    own = {each.name for each in pull.label_studio.params} - shown
    imports = {each.name for each in pull.import_command.params}
    assert options(vidal.Campaign.pull) == own - imports
    assert imports - {"folder", "source", "format_"} <= own | shown
