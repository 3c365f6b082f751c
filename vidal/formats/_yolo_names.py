"""The names that the numbers of YOLO labels stand for, wherever an exporter has put them.

``data.yaml`` (ultralytics; under any name), ``obj.names`` (Darknet, CVAT, Datumaro),
``classes.txt`` and ``notes.json`` (Label Studio, LabelImg), ``_darknet.labels`` (Roboflow). Several
lists in one data set have to agree.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidal.errors import FormatError
from vidal.formats._tree import Tree, decoded, is_file, is_zip, shallowest
from vidal.formats._yaml import parse_yaml

YAML = ("*.yaml", "*.yml")
LISTS = ("classes.txt", "*.names", "*.labels")
NOTES = "notes.json"
_INNER = frozenset(("labels", "obj_train_data", "obj_valid_data", "train", "val", "valid", "test"))
HINT = "Put a classes.txt beside the labels: one name a line, in the order of the numbers."


@dataclass(frozen=True, slots=True)
class Description:
    """What a data set says of itself.

    Attributes:
        root: where its paths count from.
        names: of the numbers; None where nothing states them.
        source: the file that states them.
        keys: of the YAML file.
        stated_root: ``path`` of the YAML file, where there is no such folder.
        outside: ``path`` leads out of the folder of the YAML file.
    """

    root: Path
    names: tuple[str, ...] | None = None
    source: Path | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)
    stated_root: str | None = None
    outside: bool = False


def describe(tree: Tree, path: Path) -> Description:
    """What lies beside the labels.

    Args:
        tree: of the files.
        path: a folder, a zip, or the YAML file.

    Raises:
        InputError: a file that cannot be read.
        FormatError: a broken list, or lists that do not agree.
    """
    given = is_file(path) and not is_zip(path)
    folder = path.parent if given else path
    lists: dict[Path, tuple[str, ...]] = {}
    keys: dict[str, Any] = {}
    described: Path | None = None
    for file in [path] if given else shallowest(tree.files(folder, *YAML)):
        value = _keys(file, decoded(file, tree.read(file)), required=given)
        if given or "names" in value or file.name == "data.yaml":
            described, keys = (described, keys) if described else (file, value)
        if "names" in value:
            lists[file] = value["names"]
    if not (given and lists):
        lists.update(_listed(tree, folder, deep=True))
    above = folder.absolute()
    while not lists and above.name in _INNER and not is_zip(path):
        above = above.parent
        lists.update(_listed(tree, above, deep=False))
    source = next(iter(lists), None)
    for file, names in lists.items():
        if source is not None and names != lists[source]:
            hint = "Leave the right one, or name the YAML file that has it."
            raise FormatError(file, "", f"other names of classes than {source}", hint=hint)
    home = folder if described is None else described.parent
    root, stated = _root(tree, home, keys, described)
    outside = not Path(os.path.abspath(root)).is_relative_to(os.path.abspath(home))  # noqa: PTH100
    own = None if source is None else lists[source]
    return Description(root, own, source, keys, stated, outside)


def _root(
    tree: Tree, folder: Path, keys: Mapping[str, Any], described: Path | None
) -> tuple[Path, str | None]:
    """The folder that ``path`` names; that of the file where there is none (another machine's)."""
    stated = keys.get("path")
    if stated in (None, "", "."):
        return folder, None
    if not isinstance(stated, str):
        raise FormatError(described or folder, "path", "not text")
    root = folder / stated
    return (root, None) if tree.is_dir(root) else (folder, stated)


def _keys(file: Path, text: str, *, required: bool) -> dict[str, Any]:
    """The keys of a YAML file, ``names`` as a tuple."""
    value = parse_yaml(text, file)
    if not isinstance(value, dict):
        if required or file.name == "data.yaml":
            raise FormatError(file, "", "expected keys such as 'names' and 'train'")
        return {}
    if "names" not in value:
        return value
    names = _names(file, value["names"])
    count = value.get("nc")
    if isinstance(count, int) and not isinstance(count, bool) and count != len(names):
        raise FormatError(file, "nc", f"{count:.4g} classes, but {len(names)} names")
    return {**value, "names": names}


def _names(file: Path, names: Any) -> tuple[str, ...]:
    if isinstance(names, dict):
        if {str(key) for key in names} != {str(number) for number in range(len(names))}:
            raise FormatError(file, "names", f"expected the numbers 0..{len(names) - 1}")
        names = [names.get(number, names.get(str(number))) for number in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FormatError(file, "names", "expected a list of texts, or a number for each")
    return checked(file, names)


def checked(file: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Names that can be told apart.

    Raises:
        FormatError: one is empty or there twice.
    """
    if len(set(names)) < len(names):
        twin = next(name for at, name in enumerate(names) if name in names[:at])
        raise FormatError(file, "names", f"a name twice ({twin!r:.60})")
    if not all(name.strip() for name in names):
        raise FormatError(file, "names", "an empty name")
    return tuple(names)


def _listed(tree: Tree, folder: Path, *, deep: bool) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The lists that are no YAML below a folder, or (not ``deep``) in it; with those that are."""
    for file in shallowest(tree.files(folder, *LISTS, deep=deep)):
        text = decoded(file, tree.read(file))
        if names := [line.strip() for line in text.strip().splitlines()]:
            yield file, checked(file, names)
    for file in shallowest(tree.files(folder, NOTES, deep=deep)):
        if (noted := _noted(file, decoded(file, tree.read(file)))) is not None:
            yield file, noted
    if not deep:
        for file in tree.files(folder, *YAML, deep=False):
            value = _keys(file, decoded(file, tree.read(file)), required=False)
            if "names" in value:
                yield file, value["names"]


def _noted(file: Path, text: str) -> tuple[str, ...] | None:
    """The ``categories`` of Label Studio's ``notes.json``; None where it has none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(file, "", "not JSON") from error
    items = value.get("categories") if isinstance(value, dict) else None
    if not isinstance(items, list):
        return None
    if not all(isinstance(item, dict) for item in items):
        raise FormatError(file, "categories", "not a list of objects")
    named = {str(item.get("id")): item.get("name") for item in items}
    if len(named) < len(items):
        raise FormatError(file, "categories", "an id twice")
    return _names(file, named)
