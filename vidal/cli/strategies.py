"""``vidal strategies``: what can be asked for."""

from __future__ import annotations

import json
from typing import Any

import click


@click.command("strategies")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(as_json: bool) -> None:
    """List the query strategies and their options."""
    from vidal.assemble import STRATEGIES
    from vidal.query.options import options_of, summary

    table: list[dict[str, Any]] = [
        {
            "name": name,
            "what": summary(kind),
            "options": [
                {
                    "name": option.name,
                    "default": option.default,
                    "choices": list(option.choices),
                    "help": option.help,
                }
                for option in options_of(kind)
            ],
        }
        for name, kind in STRATEGIES.items()
    ]
    if as_json:
        click.echo(json.dumps(table, indent=2))
        return
    for entry in table:
        click.echo(f"{entry['name']}: {entry['what']}")
        for option in entry["options"]:
            choices = f" ({'|'.join(option['choices'])})" if option["choices"] else ""
            click.echo(f"    --option {option['name']}={option['default']}{choices}")
            if option["help"]:
                click.echo(f"        {option['help']}")
