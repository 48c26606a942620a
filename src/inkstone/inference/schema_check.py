"""What can be said against a JSON schema before anything is written by it: a misspelt keyword, a size, a record without an end.

llguidance finds contradictions (a least length above the largest) and keywords that it cannot keep. It passes over keywords that
it does not know, and goes on for ever where every text that satisfies a schema is infinite; these two are found here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from inkstone.errors import InkstoneError, nearest
from inkstone.tokens.tokenizer import whole_characters

DEEPEST = 100  # levels of the JSON that a schema is written in
MOST_VALUES = 200_000  # in it, all levels together
MOST_LEVELS = 400  # of all parts that are referred to, together
MOST_TOGETHER = 12  # patterns of one text: the time to see whether they can all hold doubles with each
MOST_PROPERTIES = 1000  # of one object: the time to prepare them grows with their square

OF_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")  # name → schema
LISTS_OF_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems")
SCHEMAS = (
    *("items", "additionalItems", "additionalProperties", "unevaluatedItems", "unevaluatedProperties"),
    *("propertyNames", "contains", "not", "if", "then", "else"),
)
OF_VALUES = (
    *(
        "type",
        "enum",
        "const",
        "$ref",
        "required",
        "format",
        "pattern",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
    ),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems"),
    *("minProperties", "maxProperties", "minContains", "maxContains", "dependentRequired", "dependencies"),
    *("$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"),
)
SAYING_NOTHING = (
    *("$schema", "$id", "id", "$comment", "$vocabulary", "title", "description", "default", "example", "examples"),
    *("deprecated", "readOnly", "writeOnly", "contentEncoding", "contentMediaType", "contentSchema"),
)
KEYWORDS = frozenset((*OF_SCHEMAS, *LISTS_OF_SCHEMAS, *SCHEMAS, *OF_VALUES, *SAYING_NOTHING))


class ConstraintError(InkstoneError):
    """A schema, pattern or list of choices that cannot be kept to."""


def check_schema(schema: Any) -> None:
    """Raises ConstraintError for what is no schema, is too large, has a keyword that there is not, or has no finite text."""
    _check_size(schema)
    for place, part in _parts("#", schema):
        if isinstance(part, bool):
            continue
        if not isinstance(part, Mapping):
            raise ConstraintError(
                f"the schema at {place} is {part!r}, but must be an object with keywords, true or false"
            )
        for keyword in part:
            if keyword not in KEYWORDS and not keyword.startswith("x-"):
                raise ConstraintError(
                    f"the schema at {place} has {keyword!r}, which is no keyword; {nearest(keyword, KEYWORDS)}"
                )
        if "oneOf" in part:
            raise ConstraintError(
                f"the schema at {place} has 'oneOf', which cannot be kept to; write anyOf if its cases are disjoint"
            )
        if isinstance(named := part.get("properties"), Mapping) and len(named) > MOST_PROPERTIES:
            raise ConstraintError(
                f"the schema at {place} has {len(named):,} properties, but at most {MOST_PROPERTIES:,} are possible"
            )
    _check_levels(schema)
    if _together(schema, schema, {}) > MOST_TOGETHER:
        raise ConstraintError(
            f"the schema is too large: more than {MOST_TOGETHER} patterns may have to hold of one text"
        )
    if not _ends(schema):
        raise ConstraintError("no text can satisfy the schema: a required part holds itself again, without an end")


def _check_size(schema: Any) -> None:
    values, level = [schema], 0
    seen = 0
    while values:
        level += 1
        seen += len(values)
        if level > DEEPEST or seen > MOST_VALUES:
            raise ConstraintError(
                f"the schema is too large: at most {DEEPEST} levels and {MOST_VALUES:,} values are possible"
            )
        for text in values:
            if isinstance(text, str) and whole_characters(text)[0] != text:
                raise ConstraintError(f"the schema has {text[:40]!r}, which holds half a character: no text can say it")
        below = [
            each.values() if isinstance(each, Mapping) else each for each in values if isinstance(each, Mapping | list)
        ]
        values = [value for each in below for value in each]


def _parts(place: str, schema: Any) -> Iterator[tuple[str, Any]]:
    """The schema and all schemas inside it, each with the pointer to it."""
    yield place, schema
    for each in _inside(place, schema):
        yield from _parts(*each)


def _inside(place: str, schema: Any) -> Iterator[tuple[str, Any]]:
    """The schemas of which a schema is made, each with the pointer to it."""
    if not isinstance(schema, Mapping):
        return
    for keyword, value in schema.items():
        here = f"{place}/{keyword}"
        if keyword in OF_SCHEMAS and isinstance(value, Mapping):
            inside = list(value.items())
        elif keyword in (*LISTS_OF_SCHEMAS, "items") and isinstance(value, list):
            inside = list(enumerate(value))
        elif keyword in SCHEMAS:
            yield here, value
            continue
        else:
            continue
        for name, part in inside:
            yield f"{here}/{name}", part


def _references(schema: Any) -> set[str]:
    """All that a schema refers to."""
    parts = (part for _, part in _parts("#", schema) if isinstance(part, Mapping))
    return {reference for part in parts if isinstance(reference := part.get("$ref"), str)}


def _check_levels(schema: Any) -> None:
    """llguidance follows references by recursion, as far as the memory for that reaches; beyond it the process would end."""

    def levels(part: Any) -> int:
        return 1 + max((levels(inside) for _, inside in _inside("#", part)), default=0)

    if sum(levels(_target(schema, reference)) for reference in _references(schema)) > MOST_LEVELS:
        raise ConstraintError(
            f"the schema is too large: all that it refers to may have {MOST_LEVELS} levels together, and has more"
        )


def _together(schema: Any, whole: Any, known: dict[str, int]) -> int:
    """How many patterns may have to hold of one text, at most; `known`: of what was referred to."""
    if not isinstance(schema, Mapping):
        return 0
    found = ("pattern" in schema) + ("format" in schema)
    for part in _listed(schema, "allOf"):
        found += _together(part, whole, known)
    if isinstance(reference := schema.get("$ref"), str):
        if reference not in known:
            known[reference] = 0  # what holds itself again is refused where it must hold beside others
            known[reference] = _together(_target(whole, reference), whole, known)
        found += known[reference]
    either = inside = 0
    for place, part in _inside("", schema):
        if place.startswith("/anyOf/"):
            either = max(either, _together(part, whole, known))
        elif not place.startswith(("/allOf/", "/$defs/", "/definitions/")):
            inside = max(inside, _together(part, whole, known))
    return found + either + inside


def _ends(schema: Any) -> bool:
    """Whether a finite text satisfies the schema, as far as its references go: the least fixed point over them."""
    targets = {reference: _target(schema, reference) for reference in _references(schema)}
    readers: dict[str, list[str]] = {}
    for reference, target in targets.items():
        for inside in _references(target):
            readers.setdefault(inside, []).append(reference)
    finite: set[str] = set()
    left = list(targets)
    while left:
        reference = left.pop()
        if reference not in finite and _finite(targets[reference], finite):
            finite.add(reference)
            left += readers.get(reference, ())
    return _finite(schema, finite)


def _finite(schema: Any, references: set[str]) -> bool:
    """Whether a finite text satisfies the schema, those behind these references having one and no others."""
    if not isinstance(schema, Mapping):
        return True
    if isinstance(reference := schema.get("$ref"), str) and reference not in references:
        return False
    if not all(_finite(part, references) for part in _listed(schema, "allOf")):
        return False
    if "anyOf" in schema and not any(_finite(part, references) for part in _listed(schema, "anyOf")):
        return False
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "enum" in schema or "const" in schema or not isinstance(kinds, list):
        return True
    return any(_finite_of(kind, schema, references) for kind in kinds)


def _finite_of(kind: Any, schema: Mapping[str, Any], references: set[str]) -> bool:
    if kind == "object":
        properties, required = schema.get("properties"), _listed(schema, "required")
        properties = properties if isinstance(properties, Mapping) else {}
        others = schema.get("additionalProperties", True)
        return all(_finite(properties.get(name, others), references) for name in required if isinstance(name, str))
    if kind == "array" and isinstance(least := schema.get("minItems", 0), int):
        first = _listed(schema, "prefixItems")
        rest = [schema.get("items", True)] if least > len(first) else []
        return all(_finite(part, references) for part in [*first[:least], *rest])
    return True


def _listed(schema: Mapping[str, Any], keyword: str) -> list[Any]:
    return parts if isinstance(parts := schema.get(keyword), list) else []


def _target(schema: Any, reference: str) -> Any:
    """What a local reference points at; true, which bars nothing, where it points at nothing that is known here."""
    if not reference.startswith("#"):
        return True
    part = schema
    for name in reference[1:].split("/")[1:]:
        name = name.replace("~1", "/").replace("~0", "~")
        if isinstance(part, list) and name.isdigit() and int(name) < len(part):
            part = part[int(name)]
        elif isinstance(part, Mapping) and name in part:
            part = part[name]
        else:
            return True
    return part
