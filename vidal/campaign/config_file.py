"""``campaign.yaml``: the configuration of a campaign on disk, with paths that move with it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from vidal.campaign.config import (
    CampaignConfig,
    dump_config,
    parse_config,
    with_paths,
)
from vidal.campaign.places import located, place
from vidal.formats._yaml import load_values, parse_yaml
from vidal.store import atomic

CONFIG = "campaign.yaml"


def write_config(folder: Path, config: CampaignConfig) -> None:
    """Write ``campaign.yaml``: paths relative to the campaign where they lie in its project."""
    stored = with_paths(config, lambda path: Path(place(path, folder)))
    atomic.write_text(folder / CONFIG, dump_config(stored))


def read_config(folder: Path, home: Path | None) -> CampaignConfig:
    """The configuration of a campaign, with absolute paths.

    Raises:
        InputError, UsageError: it was changed to something that cannot be meant.
    """
    path = folder / CONFIG
    config = parse_config(load_values(path), path)
    return with_paths(config, lambda written: located(written, folder, home))


def change_paths(folder: Path, home: Path | None, change: Callable[[Path], Path]) -> None:
    """Write paths of ``campaign.yaml`` anew; all else in it stays as it was written.

    Args:
        folder: of the campaign, where relative paths count from afterwards.
        home: where they counted from until now.
        change: from an absolute path to the one to write.

    Raises:
        InputError, UsageError: it was changed to something that cannot be meant.
        OutputError: it cannot be written.
    """
    path = folder / CONFIG
    pairs: dict[str, str] = {}

    def note(written: Path) -> Path:
        new = place(change(located(written, folder, home)), folder)
        pairs[str(written)] = new
        return Path(new)

    wanted = with_paths(parse_config(load_values(path), path), note)
    text = path.read_text("utf-8")
    olds = "|".join(re.escape(old) for old in sorted(pairs, key=len, reverse=True))
    if olds:
        text = re.sub(rf"(?<=[\s:])({olds})(?=[\s,}}]|$)", lambda at: _scalar(pairs[at[1]]), text)
    if parse_config(parse_yaml(text, path), path) != wanted:
        text = dump_config(wanted)  # written in a way that is not found as text
    if text != path.read_text("utf-8"):
        atomic.write_text(path, text)


def _scalar(text: str) -> str:
    """As YAML: plain where that cannot be mistaken, else quoted."""
    return (
        text if re.fullmatch(r"[\w./][\w./ -]*\w", text) else json.dumps(text, ensure_ascii=False)
    )
