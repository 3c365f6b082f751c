"""Paths, the profile of Hypothesis, and rendered clips that several test files share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

# Several test processes share the cores: threads of torch, scikit-learn and OpenBLAS would only
# wait for each other. Before any of them is imported, and for the commands that tests start.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# Where the tests were started with interrupts ignored (`nohup make test &`), the commands that they
# start, and interrupt, would ignore them too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile(
    "ci", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests run when they are asked for: `make test-slow`."""
    if os.environ.get("VIDAL_SLOW") == "1":
        return
    skip = pytest.mark.skip(reason="slow: runs with VIDAL_SLOW=1 (make test-slow)")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _interrupts_are_heard_again() -> Iterator[None]:
    """What a test changes of the interrupt ends with it, and is not passed on to later commands.

    A command that is interrupted ignores a second interrupt until its process ends; where a test
    runs one in its own process, all processes that later tests start would ignore it, too.
    """
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``clips/`` (three of 40 frames) and ``labels.coco.json``; do not change it."""
    from vidal.scenes import plan
    from vidal.scenes.scene_files import write_scenes

    out = tmp_path_factory.mktemp("rendered")
    write_scenes(out, plan(3, 5, frames=(40, 40)))
    return out
