"""Strategies, detectors and trackers of another package, registered by real entry points."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from vidal import plugins
from vidal.assemble import find_strategy, strategy_names
from vidal.assemble.tracking import build_tracker
from vidal.detect.load import load_detector
from vidal.detect.spec import DetectorSpec
from vidal.errors import PluginError, UnknownName, UsageError

CODE = '''
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vidal.detect.load import load_detector
from vidal.types import Explanation


@dataclass(frozen=True, slots=True)
class Latest:
    """Late frames first.

    Attributes:
        step: of the score.
    """

    step: float = 1.0
    needs: ClassVar[frozenset[str]] = frozenset()

    def score(self, pool):
        return pool.frames.index * self.step

    def explain(self, pool, positions):
        late = self.score(pool)[positions]
        return Explanation(tuple(f"late by {value:.0f}" for value in late), {"late": late})


@dataclass(frozen=True, slots=True)
class Drift:
    """Boxes that drift to the right.

    Attributes:
        pixels: a step.
    """

    pixels: float = 2.0

    def step(self, before, after, boxes):
        return boxes + np.float32([self.pixels, 0, self.pixels, 0]), np.ones(len(boxes))


@dataclass(frozen=True)
class Liar:
    """Too few boxes."""

    def step(self, before, after, boxes):
        return boxes[:1], np.ones(1)


def tiny(*, weights, classes, device, options):
    return load_detector("scenes-tiny", classes=classes, device=device, options=options)


def empty(*, weights, classes, device, options):
    return object()


NO_STRATEGY = 3
'''
ENTRIES = """
[vidal.strategies]
latest = other_package:Latest
number = other_package:NO_STRATEGY
gone = other_package:Missing
entropy = other_package:Latest

[vidal.trackers]
drift = other_package:Drift
liar = other_package:Liar

[vidal.detectors]
tiny = other_package:tiny
empty = other_package:empty
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What `pip install` of another package leaves behind."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "other_package.py").write_text(CODE)
    info = folder / "other_package-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-package\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    return folder


@pytest.fixture
def installed(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    plugins._found.cache_clear()
    yield folder
    plugins._found.cache_clear()


def vidal(folder, *arguments, cwd):
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "vidal", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def test_a_strategy_is_listed_and_loaded_by_its_name(installed):
    assert strategy_names()[-3:] == ("gone", "latest", "number")
    assert find_strategy("latest").__name__ == "Latest"
    with pytest.raises(UnknownName, match="latest"):
        find_strategy("lastest")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gone", "cannot be used: AttributeError"),
        ("number", "it is no dataclass"),
        ("entropy", "vidal has one of that name itself"),
    ],
)
def test_a_strategy_that_cannot_be_used_is_refused_by_name(installed, name, why):
    with pytest.raises(PluginError, match=why) as caught:
        find_strategy(name)
    assert (caught.value.kind, caught.value.name) == ("strategy", name)
    assert caught.value.package == "other-package"


def test_two_packages_with_one_name_are_refused(installed, tmp_path, monkeypatch):
    info = tmp_path / "third-2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third\nVersion: 2\n")
    (info / "entry_points.txt").write_text("[vidal.strategies]\nlatest = third:Latest\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins._found.cache_clear()
    with pytest.raises(PluginError, match="both have one of that name"):
        find_strategy("latest")


def test_a_tracker_has_its_package_in_its_key_and_its_shapes_checked(installed):
    from vidal.testing.trackers import BOXES, view

    tracker = build_tracker("drift", {"pixels": "3"})
    moved, trust = tracker.step(view(0), view(1), BOXES)
    assert (moved - BOXES)[:, 0].tolist() == [3, 3, 3]
    assert trust.dtype == "float32"
    assert dict(tracker.key) == {
        "tracker": "drift",
        "package": "other-package",
        "version": "1.2",
        "options": {"pixels": 3.0},
    }
    with pytest.raises(UsageError, match="pixel"):
        build_tracker("drift", {"pixel": "3"})
    with pytest.raises(PluginError, match=r"for 3 boxes"):
        build_tracker("liar", {}).step(view(0), view(1), BOXES)


def test_a_detector_has_its_package_in_its_key_and_is_not_trained_by_vidal(installed):
    import numpy as np

    from vidal.testing.detectors import a_frame

    spec = DetectorSpec("tiny", classes=("car",), device="cpu")
    assert (spec.key["package"], spec.key["package_version"]) == ("other-package", "1.2")
    assert spec.key["weights"] is None
    detector = spec.load()
    assert detector.classes == ("car",)
    assert detector.detect([a_frame(0)]).scanned.tolist() == [True]
    with pytest.raises(UsageError, match="not trained by vidal"):
        detector.fit([], np.random.default_rng(0))
    with pytest.raises(PluginError, match="lacks"):
        load_detector("empty", device="cpu")


def test_they_run_in_a_selection_in_worker_processes(folder, rendered, tmp_path):
    done = vidal(
        folder,
        *("select", "--videos", rendered / "clips", "--budget", "3", "--strategy", "latest"),
        *("--option", "step=2", "--out", "late", "--no-report", "--quiet"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    query = json.loads((tmp_path / "late/query.json").read_text())
    assert [frame["reason"] for frame in query["frames"]] == ["late by 78"] * 3
    done = vidal(
        folder,
        *("select", "--videos", rendered / "clips", "--budget", "3", "--detector", "tiny"),
        *("--tracker", "drift", "--out", "drift", "--no-report", "--quiet", "--workers", "2"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    settings = json.loads((tmp_path / "drift/query.json").read_text())["settings"]
    assert settings["tracker"]["package"] == "other-package"
    assert settings["detector"]["name"] == "tiny"


def test_a_broken_plug_in_is_one_line(folder, tmp_path):
    done = vidal(folder, "select", "--videos", ".", "--strategy", "gone", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "strategy 'gone' of other-package cannot be used" in done.stderr


def test_strategies_lists_them_with_their_package_and_those_that_are_broken(folder, tmp_path):
    done = vidal(folder, "strategies", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "latest: Late frames first. (other-package 1.2)" in done.stdout
    assert "gone: cannot be used" in done.stdout
    table = json.loads(vidal(folder, "strategies", "--json", cwd=tmp_path).stdout)
    mine = next(entry for entry in table if entry["name"] == "latest")
    assert mine["package"] == "other-package 1.2"
    assert mine["options"][0]["name"] == "step"


def test_a_strategy_of_another_package_passes_the_shipped_suite(folder, tmp_path):
    (tmp_path / "test_latest.py").write_text(
        textwrap.dedent("""
            from other_package import Latest
            from vidal.testing import StrategyContract


            class TestLatest(StrategyContract):
                strategy = Latest
        """)
    )
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


FAULTY = """
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vidal.types import Explanation

print("hello from the package")


@dataclass(frozen=True, slots=True)
class Short:
    needs: ClassVar[frozenset[str]] = frozenset()

    def score(self, pool):
        return np.zeros(len(pool))

    def explain(self, pool, positions):
        return Explanation((), {})


class Wide(Short):
    def score(self, pool):
        return np.zeros((len(pool), 2))


class Raising(Short):
    def score(self, pool):
        raise ZeroDivisionError("boom")


class Nans(Short):
    def score(self, pool):
        return np.full(len(pool), np.nan)


@dataclass(frozen=True)
class Bare:
    x: int
    needs: ClassVar[frozenset[str]] = frozenset()
"""


def test_what_a_strategy_of_another_package_does_wrong_is_one_line(rendered, tmp_path):
    (tmp_path / "faulty.py").write_text(FAULTY)
    info = tmp_path / "faulty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    names = ("Short", "Wide", "Raising", "Nans", "Bare")
    lines = [f"{name.lower()} = faulty:{name}" for name in names]
    (info / "entry_points.txt").write_text("\n".join(["[vidal.strategies]", *lines]))
    why = ("0 words for 2 frames", "score", "boom", "NaN", "without options")
    given = ("--detector", "scenes-tiny", "--out", "out", "--quiet", "--json", "--budget", "2")
    for name, cause in zip(names, why, strict=True):
        select = ("select", "--videos", str(rendered / "clips"), *given, "--strategy", name.lower())
        done = vidal(tmp_path, *select, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert f"strategy '{name.lower()}' of faulty cannot be used" in done.stderr
        assert cause in done.stderr
        assert "Traceback" not in done.stderr
        assert not done.stdout
    listed = json.loads(vidal(tmp_path, "strategies", "--json", cwd=tmp_path).stdout)
    assert {each["name"]: each["options"] for each in listed}["bare"] is None
