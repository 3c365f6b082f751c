"""What pydantic refuses in a configuration, as one line that a user can act on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from vidal.errors import UsageError


def refusal(name: Path | str, error: ValidationError, root: type[BaseModel]) -> UsageError:
    """The first of pydantic's complaints in one line.

    Args:
        name: of the file, for the message.
        error: what pydantic says.
        root: the model that was validated.
    """
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    kind, context = first["type"], first.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(name, first["loc"], root)
    if kind == "missing":
        return UsageError(f"{name}: {place} is missing.")
    why = str(context.get("error", first["msg"])).rstrip(".")
    if kind == "literal_error":
        why = f"choose from {context['expected']}"
    given = "" if isinstance(first["input"], Mapping | BaseModel) else f" {first['input']!r}"
    return UsageError(f"{name}: {place or 'config'}{given}: {why[0].lower()}{why[1:]}.")


def _unknown_key(name: Path | str, where: Sequence[int | str], root: type[BaseModel]) -> UsageError:
    model: Any = root
    named = False  # of a mapping of sections the next part is a name, not a field
    for part in where[:-1]:
        if named:
            named = False
            continue
        annotation = model.model_fields[str(part)].annotation
        model, named = _section(annotation), get_origin(annotation) is dict
    choices = list(model.model_fields)
    key, section = str(where[-1]), ".".join(map(str, where[:-1])) or "the file"
    close = get_close_matches(key, choices, n=1)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    return UsageError(
        f"{name}: unknown key {key!r} in {section}.",
        hint=f"{guess}Choose from: {', '.join(choices)}.",
    )


def _section(annotation: Any) -> Any:
    """The model of a field that may be optional."""
    return next(
        kind
        for kind in (annotation, *get_args(annotation))
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    )
