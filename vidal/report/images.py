"""What a choice of pictures leaves on disk: query files, the model, and a contact sheet."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from vidal.images.choose import Choice, of_pictures
from vidal.images.training import save_model
from vidal.report import figures
from vidal.selection.notes import versions
from vidal.store import atomic
from vidal.store.own import OwnFiles
from vidal.video.images import encode_jpeg, thumbnail
from vidal.words import counted, printable

FILES = ("query.csv", "query.json", "model.safetensors", "report.html")
FORMAT = "vidal-image-query"
MOST = 500
"""Pictures in the report."""
_SIDE = 160
_LISTED = 20


def own_files(out: Path) -> OwnFiles:
    """The files of a choice in a folder that exists."""
    return OwnFiles(out, FILES)


def write_choice(choice: Choice, out: Path) -> dict[str, Path]:
    """Write everything; each file appears whole, and those of other people are never replaced.

    Raises:
        OutputError: the folder cannot be written.
    """
    own, rows = own_files(out), table(choice)
    with own.replacing("query.csv") as path:
        atomic.write_text(path, _csv(rows))
    with own.replacing("query.json") as path:
        atomic.write_text(path, json.dumps(as_dict(choice, rows), indent=1, allow_nan=False) + "\n")
    with own.replacing("model.safetensors") as path:
        save_model(path, choice.model, choice.classes)
    with own.replacing("report.html") as path:
        atomic.write_text(path, _report(choice, rows))
    return {name: out / name for name in FILES}


def table(choice: Choice) -> list[dict[str, Any]]:
    """One row a picture, the most wanted first; JSON values."""
    rows = []
    for rank, place in enumerate(choice.places):
        score, probs = float(choice.query.scores[rank]), choice.probs[rank]
        rows.append(
            {
                "rank": rank + 1,
                "file": str(choice.pictures.names[place]),
                "score": score if np.isfinite(score) else None,
                "predicted": choice.classes[int(probs.argmax())],
                "probability": round(float(probs.max()), 6),
                "reason": choice.query.explanation.words[rank],
                "label": "",
            }
        )
    return rows


def as_dict(choice: Choice, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """JSON values."""
    return {
        "format": FORMAT,
        "version": 1,
        "pool": len(choice.pictures),
        "classes": list(choice.classes),
        "labelled": dict(choice.labelled),
        "labelled_unknown": choice.unknown,
        "settings": dict(choice.settings),
        "skipped": list(choice.skipped),
        "balance": None if choice.balance is None else choice.balance.as_dict(),
        "notes": notes_of(choice),
        "versions": versions(),
        "pictures": [{k: v for k, v in row.items() if k != "label"} for row in rows],
    }


def _csv(rows: list[dict[str, Any]]) -> str:
    """With an empty column ``label``: filled in, it is what ``--labelled`` reads."""
    stream = io.StringIO()
    heads = ["rank", "file", "label", "score", "predicted", "probability", "reason"]
    writer = csv.DictWriter(stream, heads, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _report(choice: Choice, rows: list[dict[str, Any]]) -> str:
    environment = Environment(
        loader=PackageLoader("vidal.report"),
        autoescape=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("images.html").render(_page(choice, rows))


def _page(choice: Choice, rows: list[dict[str, Any]]) -> dict[str, Any]:
    settings = choice.settings
    trained = sum(choice.labelled.values())
    read = settings["training"].get("model")
    return {
        "headline": f"{counted(len(rows), 'picture')} to label",
        "strategy": settings["strategy"] + (", known only" if settings.get("known_only") else ""),
        "pool": counted(len(choice.pictures), "picture"),
        "how": f"trained on {counted(trained, 'labelled picture')}{_beside(choice)}"
        if read is None
        else f"from {printable(read)}",
        "tiles": [
            figures.tile(len(rows), "picture chosen", "pictures chosen"),
            (figures.share(len(rows), len(choice.pictures)), "of the pool"),
            (f"{trained:,}", "labelled so far"),
            (f"{min(choice.labelled.values()):,}", "labelled of the rarest class"),
        ],
        "notes": [*notes_of(choice), *_left_out(choice)],
        "hidden": len(rows) > MOST,
        "pictures": [
            {
                "rank": row["rank"],
                "file": printable(row["file"]),
                "image": _picture(choice, place),
                "said": f"{row['predicted']}, {row['probability']:.2f}",
                "score": "" if row["score"] is None else f"score {figures.short(row['score'])}: ",
                "reason": row["reason"],
            }
            for row, place in zip(rows[:MOST], choice.places, strict=False)
        ],
    }


def notes_of(choice: Choice) -> list[str]:
    """What a reader has to know of the choice, in sentences."""
    said = [] if choice.balance is None else [choice.balance.sentence]
    if choice.unknown:
        told = counted(choice.unknown, "labelled picture is", "labelled pictures are")
        said.append(f"{told} of unknown classes.")
    said += choice.remarks
    return [printable(of_pictures(each, choice.pictures.names)) for each in said]


def _beside(choice: Choice) -> str:
    return f", beside {choice.unknown:,} of unknown classes" if choice.unknown else ""


def _left_out(choice: Choice) -> list[str]:
    lines = [printable(f"left out: {line}") for line in choice.skipped[:_LISTED]]
    more = len(choice.skipped) - len(lines)
    return [*lines, f"and {more:,} more; query.json has all."] if more else lines


def _picture(choice: Choice, place: int) -> str:
    """A thumbnail as a data URI."""
    pixels = choice.pictures.pixels[place]
    colour = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    data = base64.b64encode(encode_jpeg(thumbnail(np.ascontiguousarray(colour), _SIDE)))
    return f"data:image/jpeg;base64,{data.decode('ascii')}"
