"""Schemas induced from records: they allow each of the records, say what is always there, and list values that are few."""

import json

import pytest
from hypothesis import given, settings, strategies as st

from inkstone.inference.constrained import Constraint
from inkstone.text.record_schema import compact, in_order, schema_of, told

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**12), 10**12),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=8),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", '墨"', ""]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["who", "b", "c"]), VALUES, max_size=3), min_size=1, max_size=5))
def test_the_schema_of_records_allows_each_of_them(records):
    schema = schema_of(records)
    constraint = Constraint.json_schema(schema, compact=True)
    for record in records:
        ordered = in_order(record, schema)
        assert ordered == record and constraint.accepts(compact(ordered))


def test_types_what_is_required_and_values_that_are_few():
    records = [
        {"who": f"name {n}", "kind": "ab"[n % 2], "n": n, "open": n > 3, "size": n / 2 if n else 1} | ({"note": "x"} if n else {})
        for n in range(40)
    ]  # fmt: skip
    schema = schema_of(records)
    assert schema["properties"] == {
        "who": {"type": "string"},
        "kind": {"enum": ["a", "b"]},
        "n": {"type": "integer"},
        "open": {"type": "boolean"},
        "size": {"type": "number"},
        "note": {"enum": ["x"]},
    }
    assert schema["required"] == ["who", "kind", "n", "open", "size"]
    assert schema["additionalProperties"] is False


def test_values_that_are_mostly_new_are_not_listed():
    assert schema_of(["a", "b"] * 50) == {"enum": ["a", "b"]}
    assert schema_of(["a", "b"] * 50 + ["c", "d"]) == {"type": "string"}  # two of 102 were seen once
    assert schema_of(["a", "b"]) == {"type": "string"}
    assert schema_of([str(n % 70) for n in range(700)]) == {"type": "string"}  # more than are listed
    assert schema_of(["a" * 61] * 9) == {"type": "string"}


def test_several_types_in_one_place():
    schema = schema_of([{"a": None}, {"a": [1, 2.5]}, {"a": []}])
    assert schema["properties"]["a"] == {"anyOf": [{"type": "null"}, {"type": "array", "items": {"type": "number"}}]}
    assert schema_of([[], []]) == {"type": "array", "maxItems": 0}


def test_properties_come_in_the_order_of_the_schema():
    schema = {
        "$defs": {"part": {"type": "object", "properties": {"b": {}, "a": {}}}},
        "properties": {
            "list": {"type": "array", "items": {"$ref": "#/$defs/part"}},
            "one": {"anyOf": [{"type": "null"}, {"properties": {"y": {}}}, {"properties": {"z": {}, "y": {}}}]},
        },
    }
    given = {"more": 1, "one": {"y": 1, "z": 2}, "list": [{"a": 1, "b": 2}, 3]}
    assert compact(in_order(given, schema)) == '{"list":[{"b":2,"a":1},3],"one":{"z":2,"y":1},"more":1}'
    assert in_order({"a": {"$ref": 1}}, {"$ref": "#"}) == {"a": {"$ref": 1}}  # a reference to itself


def test_numbers_that_json_cannot_hold():
    with pytest.raises(ValueError):
        compact({"a": float("nan")})
    assert json.loads(compact("砚\n\u2028")) == "砚\n\u2028"


def test_what_a_person_is_told():
    schema = schema_of([{"who": f"n{n}", "events": [{"kind": "a", "when": n}]} for n in range(30)])
    assert told(schema) == [
        "who: string, required",
        "events: list of object, required",
        "  kind: one of a, required",
        "  when: integer, required",
    ]
    assert told({"anyOf": [{"type": "string"}, {"enum": [1, 2, 3, 4, 5, 6]}]}) == [
        "string or one of 1, 2, 3, 4, 5 and 1 more"
    ]
