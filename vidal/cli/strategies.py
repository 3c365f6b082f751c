"""``vidal strategies``: what can be asked for."""

from __future__ import annotations

import json
from typing import Any

import click


@click.command("strategies")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(as_json: bool) -> None:
    """List the query strategies and their options, those of other packages too."""
    from vidal.assemble import strategy_names

    table = [_entry(name) for name in strategy_names()]
    if as_json:
        click.echo(json.dumps(table, indent=2))
        return
    for entry in table:
        for line in _lines(entry):
            click.echo(line)


def _entry(name: str) -> dict[str, Any]:
    """A strategy as JSON values; of a broken one only why it cannot be used."""
    from vidal.assemble import STRATEGIES, find_strategy
    from vidal.errors import PluginError
    from vidal.plugins import plugin
    from vidal.query.options import options_of, summary

    try:
        found = plugin("strategy", name, tuple(STRATEGIES))
        kind = find_strategy(name)
    except PluginError as error:
        return {"name": name, "package": error.package, "what": error.message, "options": None}
    package = "" if found is None else f"{found.package} {found.version}".strip()
    return {
        "name": name,
        "package": package,
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


def _lines(entry: dict[str, Any]) -> list[str]:
    if entry["options"] is None:
        return [f"{entry['name']}: cannot be used ({entry['what']})"]
    owner = f" ({entry['package']})" if entry["package"] else ""
    lines = [f"{entry['name']}: {entry['what']}{owner}"]
    for option in entry["options"]:
        choices = f" ({'|'.join(option['choices'])})" if option["choices"] else ""
        lines.append(f"    --option {option['name']}={option['default']}{choices}")
        if option["help"]:
            lines.append(f"        {option['help']}")
    return lines
