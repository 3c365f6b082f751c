"""The index of the tools names every tool and every result, and no others."""

import re
from pathlib import Path

TOOLS = Path(__file__).parents[2] / "tools"
TEXT = (TOOLS / "README.md").read_text("utf-8")


def test_every_tool_is_in_the_index_and_nothing_else_is():
    named = set(re.findall(r"`(\w+\.py)`", TEXT))
    assert named == {path.name for path in TOOLS.glob("*.py")}


def test_every_result_is_in_the_index_and_is_there():
    named = set(re.findall(r"`results/(\w+\.json)`", TEXT))
    assert named == {path.name for path in (TOOLS / "results").glob("*.json")}
