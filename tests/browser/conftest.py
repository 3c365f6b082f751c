"""A headless Chromium, and reports to open in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.types import Clip
from vidal.video import open_clip, write_video

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Chromium of the system (or ``CHROMIUM``); without it or playwright the test is skipped."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no Chromium here (looked for {', '.join(NAMES)}; CHROMIUM names one)")
    with driver.sync_playwright() as play:
        running = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def opened(browser):
    """Opens a file in a page of its own; whatever its script complains of fails the test."""
    contexts, said = [], []

    def open_page(path: Path, hash_: str = "", **options):
        context = browser.new_context(**({"viewport": {"width": 1300, "height": 850}} | options))
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(path.resolve().as_uri() + hash_)
        return page

    yield open_page
    for context in contexts:
        context.close()
    # A picture that is looked for beside the file, and is not there, is no fault.
    assert [text for text in said if "ERR_FILE_NOT_FOUND" not in text] == []


@pytest.fixture(scope="session")
def street(tmp_path_factory) -> Clip:
    """40 frames of 640 x 360, smooth, so that they are small."""
    path = tmp_path_factory.mktemp("street") / "drive <1>.mp4"
    across, down = np.meshgrid(np.arange(640), np.arange(360))
    images = (
        np.stack([(across + 4 * k) % 256, down % 256, np.full_like(down, 120)], 2).astype(np.uint8)
        for k in range(40)
    )
    write_video(path, images, Fraction(10), quality=4)
    return open_clip(path)
