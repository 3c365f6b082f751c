"""Print the oldest versions that pyproject.toml allows, one `name==version` a line, for pip.

    python -m venv .venv-oldest
    .venv-oldest/bin/pip install $(python tools/oldest.py) -e '.[dev]'

Required packages and those of the extras [maxflow] and [ray]; tools for development stay new.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*>=\s*([0-9.]+)")


def oldest(text: str) -> list[str]:
    """Of the content of a pyproject.toml.

    Raises:
        ValueError: a requirement without a lower bound.
    """
    project = tomllib.loads(text)["project"]
    pins = []
    extras = project["optional-dependencies"]
    for each in [*project["dependencies"], *extras["maxflow"], *extras["ray"]]:
        match = _REQUIREMENT.match(each)
        if match is None:
            raise ValueError(f"{each!r} states no oldest version")
        pins.append(f"{match[1]}=={match[2]}.*")
    return pins


if __name__ == "__main__":
    print("\n".join(oldest(PROJECT.read_text("utf-8"))))
