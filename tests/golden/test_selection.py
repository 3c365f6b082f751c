"""From pixels to query on three seeded scenes: the result is the one that was looked at."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made() -> dict:
    spec = importlib.util.spec_from_file_location("refresh", ROOT / "tools" / "refresh_golden.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.golden()


@pytest.fixture(scope="module")
def golden() -> dict:
    return json.loads((ROOT / "tests" / "golden" / "selection.json").read_text())


def test_links_and_verdicts_are_the_golden_ones(made, golden):
    assert made["clips"] == golden["clips"]


def test_queries_are_the_golden_ones(made, golden):
    assert made["queries"] == golden["queries"]
