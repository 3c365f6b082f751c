"""What the options of ``vidal select`` and ``vidal gather`` ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vidal.assemble.balance import lambda_of, weights_of
from vidal.cli.pairs import pairs

if TYPE_CHECKING:
    from vidal.api.selections import SelectionAhead


def coming_of(given: dict[str, Any]) -> SelectionAhead:
    """What the options of a command that selects from clips, or gathers for it, ask for.

    Raises:
        click.UsageError: neither clips nor detections; or an option that only a campaign has.
    """
    if given.pop("same_detector"):
        raise click.UsageError("--same-detector needs a campaign (--campaign).")
    if given["videos"] is None and given["detections"] is None:
        raise click.UsageError("Missing option '--videos' (or '--detections', or '--campaign').")
    from vidal.api.selections import ahead

    for name in ("options", "coherence", "flow", "expected", "tracker_options"):
        given[name] = pairs(name, given[name])
    given["balance"] = lambda_of(given["balance"])
    given["class_weights"] = weights_of(given["class_weights"])
    return ahead(given.pop("videos"), **given)
