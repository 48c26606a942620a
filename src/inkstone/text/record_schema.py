"""Records that JSON holds, as a JSON schema sees them: the schema that some records have, and a record in its order.

A schema is induced from what is seen: the types, which properties are always there, and the values where they are few. Values are
few where hardly one of them was seen once only, so that a new one is not to be expected (Good 1953: the share of what was seen once
estimates the chance of what was never seen).
"""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

MOST_CHOICES = 64  # different values of a property that may be listed
LONGEST_CHOICE = 60  # characters
SEEN_ONCE = 0.01  # of all values, at most, are values that were seen once

KINDS = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (Mapping, "object"), (list, "array"))


def finite(text: str) -> float:
    """A number as JSON spells it, or the nearest one that a float can be: JSON knows no infinity.

    >>> finite("2.5e3"), finite("-1e999")
    (2500.0, -1.7976931348623157e+308)
    """
    return max(-sys.float_info.max, min(sys.float_info.max, float(text)))


def kind_of(value: Any) -> str:
    """The type of a value as JSON schemas name it.

    >>> kind_of(True), kind_of(3), kind_of(None)
    ('boolean', 'integer', 'null')
    """
    return next((name for kind, name in KINDS if isinstance(value, kind)), "null")


def schema_of(values: Sequence[Any]) -> dict[str, Any]:
    """The schema that these values have.

    >>> schema_of([{"a": 1, "b": "x"}, {"a": 2.5}])["properties"]["a"], schema_of([{"a": 1, "b": "x"}, {"a": 2.5}])["required"]
    ({'type': 'number'}, ['a'])
    """
    of_kind: dict[str, list[Any]] = {}
    for value in values:
        of_kind.setdefault(kind_of(value), []).append(value)
    if "number" in of_kind and "integer" in of_kind:
        of_kind["number"] += of_kind.pop("integer")
    parts = [_of_kind(kind, of_kind[kind]) for kind in of_kind]
    if len(parts) == 1:
        return parts[0]
    return {"anyOf": parts} if parts else {"type": "null"}


def _of_kind(kind: str, values: Sequence[Any]) -> dict[str, Any]:
    if kind == "object":
        inside: dict[str, list[Any]] = {}
        for value in values:
            for name, part in value.items():
                inside.setdefault(name, []).append(part)
        return {
            "type": "object",
            "properties": {name: schema_of(parts) for name, parts in inside.items()},
            "required": [name for name, parts in inside.items() if len(parts) == len(values)],
            "additionalProperties": False,
        }
    if kind == "array":
        items = [item for value in values for item in value]
        return {"type": "array", "items": schema_of(items)} if items else {"type": "array", "maxItems": 0}
    if kind == "string" and (few := _few(values)):
        return {"enum": few}
    return {"type": kind}


def _few(values: Sequence[str]) -> list[str]:
    """The different values, the most frequent first; none where they are not few."""
    counts = Counter(values)
    once = sum(count == 1 for count in counts.values())
    if len(counts) > MOST_CHOICES or once > SEEN_ONCE * len(values) or max(map(len, counts)) > LONGEST_CHOICE:
        return []
    return [value for value, _ in counts.most_common()]


def compact(value: Any) -> str:
    """JSON without white space, as it is written and read. Raises ValueError for a number that JSON cannot hold.

    The one control character that JSON leaves as it is, DEL, is written out: grammars of JSON do not take it.

    >>> compact({"墨": [1, None]})
    '{"墨":[1,null]}'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("\x7f", "\\u007f")


def in_order(value: Any, schema: Any) -> Any:
    """The value with the properties of its objects in the order of the schema; those that it does not name come last.

    Of several objects that a schema allows in one place it is the first that names all properties of the value.
    """
    return _ordered(value, schema, schema)


def _ordered(value: Any, part: Any, schema: Any) -> Any:
    if isinstance(value, Mapping):
        allowed = [each["properties"] for each in _alternatives(part, schema) if "properties" in each]
        known = next((each for each in allowed if value.keys() <= each.keys()), allowed[0] if allowed else {})
        names = [name for name in known if name in value] + [name for name in value if name not in known]
        return {name: _ordered(value[name], known.get(name, {}), schema) for name in names}
    if isinstance(value, list):
        lists = [each for each in _alternatives(part, schema) if "items" in each or "prefixItems" in each]
        first, rest = (lists[0].get("prefixItems", []), lists[0].get("items", {})) if lists else ([], {})
        return [_ordered(item, first[at] if at < len(first) else rest, schema) for at, item in enumerate(value)]
    return value


def _alternatives(part: Any, schema: Any, steps: int = 20) -> list[Mapping[str, Any]]:
    """A part of a schema, what it refers to, and the choices in it."""
    if not isinstance(part, Mapping) or not steps:
        return []
    found = [part]
    if isinstance(reference := part.get("$ref"), str) and reference.startswith("#"):
        target = schema
        for name in reference[1:].split("/")[1:]:
            name = name.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, Mapping) else None
        found += _alternatives(target, schema, steps - 1)
    for choice in (*part.get("anyOf", ()), *part.get("allOf", ())):
        found += _alternatives(choice, schema, steps - 1)
    return found


def told(schema: Any, indent: int = 0) -> list[str]:
    """The schema in a few lines that a person reads: a property a line, and its type or values.

    >>> told(schema_of([{"who": "Ada", "kinds": [1]}]))
    ['who: string, required', 'kinds: list of integer, required']
    """
    if not isinstance(schema, Mapping):
        return [str(schema)]
    if "properties" not in schema:
        return [_type_of(schema)]
    lines = []
    for name, part in schema["properties"].items():
        required = ", required" if name in schema.get("required", []) else ""
        lines.append(f"{'  ' * indent}{name}: {_type_of(part)}{required}")
        inner = part.get("items", part) if isinstance(part, Mapping) else part
        if isinstance(inner, Mapping) and "properties" in inner:
            lines += told(inner, indent + 1)
    return lines


def _type_of(part: Any) -> str:
    if not isinstance(part, Mapping):
        return "anything"
    if "enum" in part:
        shown = [value if isinstance(value, str) else json.dumps(value) for value in part["enum"][:5]]
        more = f" and {len(part['enum']) - 5} more" if len(part["enum"]) > 5 else ""
        return f"one of {', '.join(shown)}{more}"
    if "anyOf" in part:
        return " or ".join(map(_type_of, part["anyOf"]))
    if part.get("type") == "array":
        return f"list of {_type_of(part['items'])}" if "items" in part else "list"
    return str(part.get("type", part.get("$ref", "anything")))
