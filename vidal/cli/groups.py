"""Help in groups: a command with many options lists them under headings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

_TOLD = ("as_json", "quiet")
HEADINGS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "init": {
        "Clips and labels": (
            *("file", "videos", "labels", "format_", "initial_labels", "classes"),
            *("test", "validation", "test_videos", "test_labels"),
        ),
        "Detector": ("detector", "weights", "backbone", "device"),
        "Your own detections instead of a detector": (
            *("detections", "detections_images", "detections_frames", "score_transform"),
        ),
        "Rounds": ("strategy", "budget", "initial", "cost", "rounds", "seed"),
        "Tracker": ("tracker", "tracker_options"),
        "All else": ("changes", "as_json"),
    },
    "import": {
        "Input": ("source", "format_", "split", "class_map"),
        "What counts as an answer": (
            *("empty_ok", "unchanged_ok", "unknown_ok", "unknown", "strict"),
            *("skipped", "skip_rest", "replace"),
        ),
        "Output": ("dry_run", "as_json"),
    },
    "evaluate": {
        "A campaign": ("split", "number", "detections", "no_queries"),
        "Clips with labels instead": ("videos", "labels", "data_format", "image_rate"),
        "Detector": ("detector", "weights", "classes", "device", "precision"),
        "Measure": ("score_floor", "iou"),
        "Output and machine": ("cache", "workers", *_TOLD),
    },
    "simulate": {
        "What is compared": ("strategies", "seeds", "rounds", "no_all_data"),
        "Output and machine": ("out", "report_only", "workers", *_TOLD),
    },
    "images simulate": {
        "Pictures": ("data", "imbalance", "openness", "noise"),
        "What is compared": ("strategies", "seeds", "rounds", "no_all_data"),
        "Output and machine": ("out", "report_only", "workers", *_TOLD),
    },
    "images select": {
        "Pictures": ("pool", "labelled", "unknown", "size"),
        "Budget and strategy": ("budget", "strategy", "options", "balance", "known_only", "seed"),
        "Classifier": ("model", "recipe", "device"),
        "Output": ("out", *_TOLD),
    },
    "pretrain": {
        "Input": ("videos", "frames", "neighbours", "image_rate"),
        "Network": ("method", "detector", "weights", "start"),
        "Training": ("epochs", "batch", "lr", "size", "seed", "device"),
        "Output": ("out", *_TOLD),
    },
    "train-tracker": {
        "Clips with tracks": ("videos", "labels", "format", "image_rate", "clips", "every"),
        "Tracker": ("tracker", "start", "divisor"),
        "Training": ("steps", "batch", "seed", "device"),
        "Output": ("out", *_TOLD),
    },
    "scenes": {
        "What is rendered": ("clips", "split", "subset", "frames", "rate", "size", "seed"),
        "Output and machine": ("out", "layout", "workers", *_TOLD),
    },
}
"""Command -> heading -> names of parameters, of commands with many options but ``select``."""


class Grouped(click.Command):
    """A command whose help lists options under headings, in the order of the headings.

    Args:
        headings: heading -> names of parameters. Those that no heading names come last, under
            "Options".
    """

    def __init__(
        self, *args: Any, headings: Mapping[str, Sequence[str]] | None = None, **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self.headings = headings or {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options by heading."""
        records = {
            param.name: record
            for param in self.get_params(ctx)
            if isinstance(param, click.Option)
            and (record := param.get_help_record(ctx)) is not None
        }
        for heading, names in self.headings.items():
            found = [records.pop(name) for name in names if name in records]
            if found:
                with formatter.section(heading):
                    formatter.write_dl(found)
        if records:
            with formatter.section("Options"):
                formatter.write_dl(list(records.values()))
