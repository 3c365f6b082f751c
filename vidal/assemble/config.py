"""From the options of ``vidal init`` to the configuration of a campaign."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidal.campaign.config import CampaignConfig, parse_config
from vidal.errors import UnknownName, UsageError
from vidal.formats._yaml import load_values
from vidal.track.raft import DOWNLOAD

KEYS: Mapping[str, str] = {
    "videos": "data.videos",
    "labels": "data.labels",
    "format": "data.format",
    "test_videos": "data.test_videos",
    "test_labels": "data.test_labels",
    "test": "data.split.test",
    "validation": "data.split.validation",
    "classes": "data.classes",
    "detections": "data.detections",
    "detections_images": "data.detections_images",
    "detections_frames": "data.detections_frames",
    "score_transform": "data.score_transform",
    "detector": "detector.name",
    "weights": "detector.weights",
    "backbone": "detector.backbone",
    "device": "detector.device",
    "strategy": "selection.strategy",
    "tracker": "selection.tracker",
    "tracker_options": "selection.tracker_options",
    "budget": "selection.budget",
    "initial": "selection.initial",
    "cost": "selection.cost",
    "rounds": "rounds",
    "seed": "seed",
}
"""Option -> key of the configuration."""

_PATHS = (
    *("videos", "labels", "test_videos", "test_labels", "weights", "backbone"),
    *("detections", "detections_images"),
)


def campaign_config(
    folder: Path,
    config: str | os.PathLike[str] | Mapping[str, Any] | None,
    options: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
) -> CampaignConfig:
    """A file's or mapping's configuration with the changes of options, or the options' alone.

    Args:
        folder: of the campaign; names it where nothing else does.
        config: a YAML file, whose relative paths count from its folder; or its content, or None.
        options: keys of ``KEYS``; None = not given. Paths count from the working directory.
        settings: any key of the configuration, by its dotted name; they change all the rest.

    Raises:
        UsageError: neither a configuration nor videos; or a key or value that cannot be meant.
        InputError: the file cannot be read.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if config is None and "videos" not in given:
        raise UsageError("neither --config nor --videos is given.", hint="One is needed.")
    file = None if config is None or isinstance(config, Mapping) else Path(config)
    if file is not None:
        values = load_values(file)
    else:
        values = copy.deepcopy(dict(config)) if isinstance(config, Mapping) else {}
    for name, value in given.items():
        if name not in KEYS:
            raise UnknownName("option", name, sorted(KEYS))
        _put(values, KEYS[name], _value(name, value))
    for key, value in (settings or {}).items():
        _put(values, key, value)
    values.setdefault("name", folder.absolute().name)
    return parse_config(values, file or "options", base=Path() if file is None else file.parent)


def _value(name: str, value: Any) -> Any:
    """An option's value as the configuration wants it."""
    if name in _PATHS:
        return str(Path(value).absolute())
    if name in ("test", "validation"):
        return _share(value)
    if name == "classes":
        names = value.split(",") if isinstance(value, str) else value
        return [name.strip() for name in names if name.strip()]
    if name == "tracker_options":
        return _tracker_options(value)
    if name in ("budget", "initial"):
        return str(value)
    return value


def _share(value: Any) -> Any:
    """``0.2`` as a number, patterns as a list."""
    if not isinstance(value, str):
        return list(value) if isinstance(value, Sequence) else value
    try:
        return float(value)
    except ValueError:
        return [part.strip() for part in value.split(",")]


def _tracker_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """A file of weights counts from the working directory, not from the YAML file."""
    plain = dict(options)
    if plain.get("weights", DOWNLOAD) != DOWNLOAD:
        plain["weights"] = str(Path(plain["weights"]).absolute())
    return plain


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if inner is None:
            inner = values[section] = {}
        if not isinstance(inner, dict):
            raise UsageError(f"{key}: {section} is not a section.")
        values = inner
    old = values.get(last)
    values[last] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
