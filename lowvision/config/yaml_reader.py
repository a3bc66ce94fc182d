"""A strict YAML reader that keeps line numbers, and a writer whose output it reads back.

YAML 1.1 is ambiguous in places; this reader resolves them as follows:

    1e-4  1E5            numbers
    true  false          the only booleans; yes, no, on and off are text
    12:30:45  2024-01-01 text
    010  0o10  0x10      errors: YAML readers disagree on their value
    key: 1 / key: 2      an error that names both lines
    !tag  &name  *name   errors; recipes share values by `extends`
    [a, b]               a tuple
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yaml.error import MarkedYAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from lowvision.errors import RecipeError

KeyPath = tuple[str | int, ...]
"""The keys and indices that lead to a value, e.g. ("branches", 0, "weights")."""


class Mark(NamedTuple):
    """A position in a text: the file and the line, from 1; line 0 means the whole file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Source:
    """The value of a text, and the positions of its parts."""

    value: Any
    marks: Mapping[KeyPath, Mark]
    """The position of each key and list item."""
    blank: frozenset[KeyPath] = frozenset()
    """Keys without a value in the text; their value is None, like that of an explicit null."""


def read(path: Path) -> Source:
    """Read a YAML file. Raises RecipeError, with the line if there is one, if it cannot be read."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe waits for a writer, a device never ends
            raise RecipeError(f"{path}: is a pipe or a device, not a regular file; give a recipe file")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise RecipeError(f"{path}: is a folder; give a recipe file") from None
    except UnicodeDecodeError:
        raise RecipeError(f"{path}: is not a text in UTF-8; give a recipe file") from None
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}") from None
    return parse(text, str(path))


def parse(text: str, file: str) -> Source:
    """Parse a YAML text. Raises RecipeError with the message `file:line: ...`."""
    try:
        root = _Composer(text).get_single_node()
        if root is None:
            return Source(None, {(): Mark(file, 1)}, frozenset({()}))
        nodes = dict(_nodes(root, ()))
        return Source(
            _value(root),
            {path: Mark(file, node.start_mark.line + 1) for path, (node, _) in nodes.items()},
            frozenset(path for path, (_, value) in nodes.items() if _is_blank(value)),
        )
    except MarkedYAMLError as error:
        raise RecipeError(f"{Mark(file, _line(error))}: {_message(error)}") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise RecipeError(f"{Mark(file, line)}: contains a character that YAML forbids; {error.reason}") from None
    except RecursionError:
        raise RecipeError(f"{file}: is nested too deeply to be a recipe") from None


def dump(value: Any) -> str:
    """Return mappings, sequences and plain values as a YAML text that `parse` reads back unchanged."""
    return yaml.dump(
        value, Dumper=_Writer, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110, indent=2
    )


# The type of a plain (unquoted) scalar: the first pattern that matches, otherwise text.
_NULL, _BOOL, _INT, _FLOAT, _DOUBTFUL = (f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "?"))
_PLAIN = (
    (_NULL, r"null|Null|NULL|~|", "nN~"),
    (_BOOL, r"true|True|TRUE|false|False|FALSE", "tTfF"),
    (_INT, r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    (_FLOAT, r"[-+]?((0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+|(0|[1-9][0-9]*)(?=[eE]))([eE][-+]?[0-9]+)?", "-+.0123456789"),
    (_DOUBTFUL, r"[-+]?(0[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|0b[01]+)", "-+0"),
)


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Return the table above in PyYAML's form: by the first character of a scalar, "" for an empty one."""
    table: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, pattern, initials in _PLAIN:
        for initial in [*initials, *([""] if tag == _NULL else [])]:
            table.setdefault(initial, []).append((tag, re.compile(f"(?:{pattern})\\Z")))
    return table


class _Composer(yaml.SafeLoader):
    """A loader that rejects tags, anchors and aliases."""

    yaml_implicit_resolvers = _resolvers()

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _problem(f"*{event.anchor} is an alias, which recipes do not allow; quote it if it is text", event)
        if event.anchor is not None:
            raise _problem(f"&{event.anchor} is an anchor, which recipes do not allow; write the value out", event)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise _problem(f"{tag} is a tag, which recipes do not allow; quote it if it is text", event)
        return super().compose_node(parent, index)


class _Writer(yaml.SafeDumper):
    """A writer that quotes text which this reader, or a YAML 1.1 reader, would convert to another type."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML declares it so
        first: [*_resolvers().get(first, []), *table]
        for first, table in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_scalar(self, tag: str, value: str, style: str | None = None) -> ScalarNode:
        # Only double quotes keep all kinds of line breaks unchanged.
        return super().represent_scalar(tag, value, style if value.isprintable() else '"')


def _value(node: Node) -> Any:
    if isinstance(node, SequenceNode):
        return tuple(_value(item) for item in node.value)
    if isinstance(node, MappingNode):
        _reject_duplicates(node)
        return {key.value: _value(value) for key, value in node.value}
    return _scalar(node)


def _scalar(node: Node) -> Any:
    text: str = node.value
    if node.tag == _NULL:
        return None
    if node.tag == _BOOL:
        return text.lower() == "true"
    if node.tag == _DOUBTFUL:
        raise _problem(f"{text} is ambiguous between YAML readers; write it in decimal, or quote it", node)
    if node.tag not in (_INT, _FLOAT):
        return text
    number = float(text)
    if not math.isfinite(number):
        raise _problem(f"{text:.20} is too large for a number; give a finite one", node)
    return int(text) if node.tag == _INT else number


def _reject_duplicates(node: MappingNode) -> None:
    first_keys: dict[str, Node] = {}
    for key, _ in node.value:
        if not isinstance(key, ScalarNode):
            raise _problem("a key must be text", key)
        if key.value in first_keys:
            line = first_keys[key.value].start_mark.line + 1
            raise _problem(f"'{key.value}' is given twice, first in line {line}; keep one of them", key)
        first_keys[key.value] = key


def _nodes(node: Node, path: KeyPath) -> Iterator[tuple[KeyPath, tuple[Node, Node]]]:
    """Yield (path, (node whose position to report, node of the value)) for a node and all nodes below it."""
    if not path:
        yield path, (node, node)
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), (item, item)
            yield from _nodes(item, (*path, index))
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode):
                yield (*path, key.value), (key, value)
                yield from _nodes(value, (*path, key.value))


def _is_blank(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.tag == _NULL and node.value == ""


def _problem(message: str, at: Any) -> MarkedYAMLError:
    """Return an error at the position of a node or an event."""
    return MarkedYAMLError(problem=message, problem_mark=at.start_mark)


def _line(error: MarkedYAMLError) -> int:
    # PyYAML detects a key without a colon one line later.
    is_key = error.context == "while scanning a simple key"
    mark = error.context_mark if is_key else error.problem_mark
    return mark.line + 1 if mark else 0


def _message(error: MarkedYAMLError) -> str:
    """Return PyYAML's message, or a clearer one for the most frequent mistakes."""
    problem = error.problem or "is not YAML"
    if "'\\t'" in problem:
        return "a tab; indent with spaces"
    if "mapping values are not allowed" in problem:
        return "a second ':' in one line, or a line indented too far"
    if "could not find expected ':'" in problem:
        return "a key without ': '; write 'key: value' with a space after the colon"
    return f"{error.context}, {problem}" if error.context else problem
