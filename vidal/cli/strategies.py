"""``vidal strategies``: what can be asked for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import click

_MANY = 4
"""Strategies with an option of the same help, from which on it is told once."""


@click.command("strategies")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(names: tuple[str, ...], as_json: bool) -> None:
    """List the query strategies, where they come from, and their options.

    Those of other packages too. With names: these only.
    """
    from vidal.assemble import strategy_names
    from vidal.errors import UnknownName

    for name in names:
        if name not in strategy_names():
            raise UnknownName("strategy", name, strategy_names())
    table = [_entry(name) for name in names or strategy_names()]
    if as_json:
        click.echo(json.dumps(table, indent=2))
        return
    common = _common(table)
    for entry in table:
        for line in _lines(entry, common):
            click.echo(line)
    if common:
        click.echo("Options of many strategies:")
    for name, text in common.items():
        click.echo(f"    {name}: {text}")


def _common(table: list[dict[str, Any]]) -> dict[str, str]:
    """Option -> help, where many strategies have it with the same help: told once, at the end."""
    told = [(o["name"], o["help"]) for entry in table for o in entry["options"] or ()]
    return {name: text for (name, text), count in Counter(told).items() if count >= _MANY}


def _entry(name: str) -> dict[str, Any]:
    """A strategy as JSON values; of a broken one only why it cannot be used."""
    from vidal.assemble import STRATEGIES, find_strategy
    from vidal.assemble.sources import SOURCES
    from vidal.errors import PluginError
    from vidal.plugins import plugin
    from vidal.query.options import options_of, summary

    try:
        found = plugin("strategy", name, tuple(STRATEGIES))
        kind = find_strategy(name)
    except PluginError as error:
        why = {"what": error.message, "source": "", "options": None}
        return {"name": name, "package": error.package, **why}
    package = "" if found is None else f"{found.package} {found.version}".strip()
    return {
        "name": name,
        "package": package,
        "what": summary(kind),
        "source": "" if found is not None else SOURCES[name],
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


def _lines(entry: dict[str, Any], common: Mapping[str, str]) -> list[str]:
    if entry["options"] is None:
        return [f"{entry['name']}: cannot be used ({entry['what']})"]
    owner = f" ({entry['package']})" if entry["package"] else ""
    lines = [f"{entry['name']}: {entry['what']}{owner}"]
    if entry["source"]:
        lines.append(f"    source: {entry['source']}")
    for option in entry["options"]:
        choices = f" ({'|'.join(option['choices'])})" if option["choices"] else ""
        lines.append(f"    --option {option['name']}={option['default']}{choices}")
        if option["help"] and common.get(option["name"]) != option["help"]:
            lines.append(f"        {option['help']}")
    return [*lines, ""]
