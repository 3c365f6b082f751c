"""YAML that users hand in: plain values, or a refusal that says where; never a bomb."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from vidal.errors import FormatError, InputError
from vidal.formats._files import check_regular

LONGEST = 2**20
"""Characters of a file; a list of ten thousand class names has a fifth of that."""
MOST = 100_000
"""Values after every alias is written out."""


def load_values(path: Path) -> dict[str, Any]:
    """The plain values of a YAML file of settings.

    Raises:
        FormatError: as of ``parse_yaml``.
        InputError: no such file, or no keys at its top.
    """
    try:
        if path.exists():
            check_regular(path)
        text = path.read_text("utf-8")
    except OSError as error:
        raise InputError(path, (error.strerror or str(error)).lower()) from error
    except UnicodeDecodeError as error:
        raise InputError(path, "not a YAML file (not UTF-8)") from error
    values = parse_yaml(text, path)
    if not isinstance(values, dict):
        raise InputError(path, "expected keys such as data, detector and selection")
    return values


def parse_yaml(text: str, path: Path | str) -> Any:
    """The plain values of a YAML text.

    Args:
        text: one document; only the tags of plain values are known.
        path: where it comes from, for messages.

    Raises:
        FormatError: not YAML, a key twice, a tag that does not fit its value, an alias that holds
            itself, or aliases that would expand to more than ``MOST`` values; says the line.
    """
    if len(text) > LONGEST:
        raise FormatError(path, "", f"not a YAML file of at most {LONGEST:,} characters")
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MOST:
            raise FormatError(path, "", f"aliases that stand for more than {MOST:,} values")
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}" if mark else ""
        raise FormatError(path, where, f"not a YAML file ({error.problem})") from error
    except yaml.YAMLError as error:
        raise FormatError(path, "", f"not a YAML file ({str(error).splitlines()[0]})") from error
    except RecursionError as error:
        raise FormatError(path, "", "not a YAML file (nested too deeply)") from error
    except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
        # PyYAML takes the tag's word: ``!!bool foo`` is a KeyError, ``!!timestamp x`` worse.
        raise FormatError(path, "", "not a YAML file (a value does not fit its tag)") from error
    finally:
        if loader is not None:
            loader.dispose()


def _check_keys(node: yaml.MappingNode) -> None:
    """Refuse a key that is there twice: PyYAML would take the last and say nothing."""
    seen = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
            if (key.tag, key.value) in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value} is there twice", problem_mark=key.start_mark
                )
            seen.add((key.tag, key.value))


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Values below a node with aliases written out.

    Raises:
        ValueError: a node that holds itself.
    """
    if id(node) in known:
        if not known[id(node)]:
            raise ValueError("an alias that holds itself")
        return known[id(node)]
    known[id(node)] = 0
    total = 1
    if isinstance(node, yaml.SequenceNode):
        total += sum(_size(each, known) for each in node.value)
    elif isinstance(node, yaml.MappingNode):
        _check_keys(node)
        total += sum(_size(key, known) + _size(value, known) for key, value in node.value)
    known[id(node)] = total
    return total
