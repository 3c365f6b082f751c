"""Options that may be given once."""

from __future__ import annotations

from typing import Any

import click

from vidal.errors import UsageError


class Once(click.Option):
    """An option that names one thing, as a file: of two, the first would be lost in silence.

    Of an option with several names (``--cache``, ``--store``) both count.
    """

    def __init__(self, *args: Any, **given: Any) -> None:
        given["multiple"] = True
        super().__init__(*args, **given)

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """The one value, or None.

        Raises:
            UsageError: several, or an empty one, which would be the folder at hand.
        """
        if isinstance(value, list | tuple) and "" in value:
            raise UsageError(f"{self.opts[0]} is empty.", hint="Was a variable not set?")
        values = super().process_value(ctx, value) or ()
        if len(values) > 1:
            folder = "name a folder that holds them all, or " * isinstance(self.type, click.Path)
            raise UsageError(
                f"{' or '.join(self.opts)} is given {len(values)} times.",
                hint=f"One run takes one: {folder}run it for each.",
            )
        return values[0] if values else None
