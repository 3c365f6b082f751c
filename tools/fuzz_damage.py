"""Ways to damage good files of answers; for ``fuzz_imports.py``."""

from __future__ import annotations

import gzip
import json
import random
import re
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzz_files import CLASSES, WRITERS, Good, packed

WILD = ("NaN", "-1", "1e999", "99999999999999999999", "-Infinity", "0", "1e-400", "null", '"7"', "")
ODD = ("\0", "\ufeff", "]]>", "<!--", "&x;", "٣", "\u2028", "\ud800", "'", '"', "{", "}", ",", "<")
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")
BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


def _flip(rng: random.Random, data: bytes) -> bytes:
    if not data:
        return b"\0"
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _chunk(rng: random.Random, data: bytes) -> bytes:
    at, width = rng.randrange(len(data) + 1), rng.randrange(1, 150)
    part = data[at : at + width]
    return data[:at] + (data[at + width :] if rng.random() < 0.5 else part + data[at:])


def _number(rng: random.Random, data: bytes) -> bytes:
    text = data.decode("utf-8", "surrogateescape")
    places = list(NUMBER.finditer(text))
    if not places:
        return _flip(rng, data)
    found = rng.choice(places)
    new = rng.choice(WILD) if rng.random() < 0.5 else str(rng.randrange(100))
    whole = text[: found.start()] + new + text[found.end() :]
    return whole.encode("utf-8", "surrogateescape")


def _odd(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(ODD).encode("utf-8", "surrogatepass") + data[at:]


def _words(good: Good) -> list[str]:
    names = [Path(name).stem for name in good.names]
    clips = {clip for clip, _ in good.names.values()}
    return [*names, *CLASSES, *clips, *map(str, good.size), "vehicle", "unknown", "clip9_000001"]


def _swap(rng: random.Random, data: bytes, good: Good) -> bytes:
    """Names of frames, classes or sizes in each other's place."""
    text = data.decode("utf-8", "surrogateescape")
    there = [word for word in _words(good) if word in text]
    if not there:
        return _number(rng, data)
    old, new = rng.choice(there), rng.choice(_words(good))
    if rng.random() < 0.5:
        text = text.replace(old, "\x07").replace(new, old).replace("\x07", new)
    else:
        text = text.replace(old, new, rng.choice((1, 1, -1)))
    return text.encode("utf-8", "surrogateescape")


def _nodes(value: Any, into: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        into.append((value, key))
        if isinstance(value[key], dict | list):
            _nodes(value[key], into)
    return into


def _tree(rng: random.Random, data: bytes) -> bytes:
    """One part of JSON removed, doubled, nested or of another kind; a part of XML removed."""
    try:
        value = json.loads(data)
        nodes = _nodes(value, [])
    except (ValueError, TypeError, AttributeError):
        return _element(rng, data)
    if not nodes:
        return data + b"[" * 5000
    parent, key = rng.choice(nodes)
    what = rng.randrange(5)
    if what == 0:
        del parent[key]
    elif what == 1:
        parent[key] = rng.choice((None, True, [], {}, "x", -1, 1e300, 2**70, [[1]], {"a": 1}, 1.5))
    elif what == 2 and isinstance(parent, list):
        parent.insert(key, parent[key])
    elif what == 3:
        return b"[" * rng.choice((50, 5000, 200_000)) + data
    else:
        other, place = rng.choice(nodes)
        parent[key] = (
            json.loads(json.dumps(other[place]))
            if place in other
            or (isinstance(other, list) and isinstance(place, int) and place < len(other))
            else None
        )
    return json.dumps(value).encode()


def _element(rng: random.Random, data: bytes) -> bytes:
    text = data.decode("utf-8", "surrogateescape")
    found = list(re.finditer(r"<(\w+)[^<>]*/>|<(box|image|track)\b.*?</\2>", text))
    if not found:
        return _chunk(rng, data)
    part = rng.choice(found)
    twice = part[0] * (2 if rng.random() < 0.5 else 0)
    whole = text[: part.start()] + twice + text[part.end() :]
    return whole.encode("utf-8", "surrogateescape")


def _hostile(rng: random.Random, data: bytes) -> bytes:
    """Attacks on parsers."""
    kind = rng.randrange(5)
    if kind == 0:
        return BOMB.encode() + data
    if kind == 1:
        return gzip.compress(data + b" " * (40 << 20))
    if kind == 2:
        return data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-32", "utf-7")))
    if kind == 3:
        return b'{"a":' * 100_000
    return data.replace(b'"id"', b'"id": 1, "id"', 1) if b'"id"' in data else data + data


def _text_damage(rng: random.Random, data: bytes, good: Good) -> tuple[bytes, str]:
    kinds: dict[str, Callable[[], bytes]] = {
        "a bit": lambda: _flip(rng, data),
        "cut short": lambda: _cut(rng, data),
        "a part lost or doubled": lambda: _chunk(rng, data),
        "a number": lambda: _number(rng, data),
        "an odd character": lambda: _odd(rng, data),
        "names and classes": lambda: _swap(rng, data, good),
        "structure": lambda: _tree(rng, data),
        "hostile": lambda: _hostile(rng, data),
    }
    weights = (2, 1, 2, 4, 1, 4, 4, 1)
    (name,) = rng.choices(list(kinds), weights)
    return kinds[name](), name


def _archive_damage(rng: random.Random, path: Path) -> str:
    """Damage of a zip as such: swapped members, hostile names, links, bombs, bytes."""
    with zipfile.ZipFile(path) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    pictures = [name for name in files if name.endswith(".jpg")]
    kind = rng.randrange(9)
    more: list[tuple[str | zipfile.ZipInfo, bytes]] = []
    if kind == 0:
        path.write_bytes(_cut(rng, path.read_bytes()))
        return "zip cut short"
    if kind == 1:
        path.write_bytes(_flip(rng, path.read_bytes()))
        return "a bit of the zip"
    if kind in (2, 3) and pictures:
        first, second = rng.sample(pictures, 2)
        if kind == 2:
            files[first], files[second] = files[second], files[first]
        else:
            files[first] = files[second]
    elif kind == 4:
        labels = [name for name in files if name.startswith("labels/")] or pictures
        first, second = rng.sample(labels, 2)
        files[first], files[second] = files[second], files[first]
    elif kind == 5:
        odd = rng.choice(
            ("../../x.xml", "/etc/x.json", "C:\\x.txt", "labels/../../y.txt", "..\\z.xml")
        )
        more.append((odd, b"0 .5 .5 .1 .1\n"))
    elif kind == 6:
        link = zipfile.ZipInfo(rng.choice(("annotations.xml", "labels/x_000001.txt", "a.json")))
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        more.append((link, b"/etc/passwd"))
        files.pop(str(link.filename), None)
    elif kind == 7:
        name = rng.choice([each for each in files if each not in pictures])
        files[name] += b" " * (60 << 20)
    else:
        name = rng.choice(list(files))
        more.append((name, _flip(rng, files[name])))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [*files.items(), *more]:
            archive.writestr(name, data)
    names = {2: "pictures swapped", 3: "a picture twice", 4: "members swapped", 5: "leads out"}
    return {**names, 6: "a link", 7: "a bomb", 8: "a member twice"}.get(kind, "nothing")


def damaged(rng: random.Random, good: Good, kind: str, folder: Path) -> tuple[Path, str]:
    """Write a file of a kind, and damage it: where it lies, and what was done, in words."""
    path = WRITERS[kind](good, folder)
    if path.suffix == ".zip" and rng.random() < 0.5:
        return path, _archive_damage(rng, path)
    if path.is_dir():
        file = rng.choice(sorted(each for each in path.rglob("*") if each.is_file()))
        data, words = _text_damage(rng, file.read_bytes(), good)
        file.write_bytes(data)
        if rng.random() < 0.1:
            others = sorted(each for each in path.rglob("*") if each.is_file())
            file.write_bytes(rng.choice(others).read_bytes())
            words = "a file in another's place"
        return path, words
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            files = {info.filename: archive.read(info) for info in archive.infolist()}
        name = rng.choice([each for each in files if not each.endswith(".jpg")])
        files[name], words = _text_damage(rng, files[name], good)
        packed(path, files)
        return path, words
    data, words = _text_damage(rng, path.read_bytes(), good)
    path.write_bytes(data)
    return path, words
