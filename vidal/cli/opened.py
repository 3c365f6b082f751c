"""Opening a campaign for a command: what was done to it on the way is said on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vidal.campaign.folder import Campaign


@contextmanager
def open_campaign(folder: Path, *, lock: bool = True, migrates: bool = True) -> Iterator[Campaign]:
    """As ``vidal.campaign.folder.open_campaign``; its notes are printed, one line each."""
    from vidal.campaign import folder as campaigns

    with campaigns.open_campaign(folder, lock=lock, migrates=migrates) as campaign:
        for note in campaign.notes:
            click.echo(f"vidal: {note}", err=True)
        yield campaign
