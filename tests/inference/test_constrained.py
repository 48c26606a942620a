"""Constrained text against a plain checker of schemas, `regex` and enumeration, from random models with each kind of tokenizer."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import regex as re
import torch
from hypothesis import given, settings, strategies as st

from inkstone.inference.beam_search import beam_search
from inkstone.inference.constrained import Constraint, ConstraintError, constrained, constraint_of, read_schema
from inkstone.inference.generation import generate, stream
from inkstone.inference.sampling import Sampling
from inkstone.models.ngram import NGram, NGramSettings
from inkstone.models.recurrent import Recurrent, RecurrentSettings
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import KINDS, Tokenizer

from .decoders import decoder

AS_IT_IS = {"temperature": 1.0, "min_p": 0.0}
TEXT = 'red, green or reed: {"colour": ["red", "砚台"]}, true and 12 or null. The green reed is red. '


@cache
def tokenizer_of(kind: str) -> Tokenizer:
    return learn_tokenizer(iter([TEXT * 30]), kind, 300)


@dataclass
class History:
    rows: list[tuple[int, ...]]

    @property
    def length(self) -> int:
        return len(self.rows[0])

    def select(self, rows) -> "History":
        return History([self.rows[int(row)] for row in rows])


class RandomModel:
    """p(next | all tokens before), drawn from a seed and these tokens."""

    def __init__(self, tokenizer: Tokenizer, seed: int = 0, scale: float = 2.0):
        self.tokenizer, self.seed, self.scale = tokenizer, seed, scale
        self.steps = 0

    def start(self, batch: int) -> History:
        return History([()] * batch)

    def after(self, history: tuple[int, ...]) -> torch.Tensor:
        random = np.random.default_rng([self.seed, *history])
        return torch.from_numpy(self.scale * random.standard_normal(self.tokenizer.vocab_size)).float().log_softmax(-1)

    def step(self, ids, state: History, last=False):
        assert last or ids.shape[1] == 1
        self.steps += 1
        rows = [(*before, *now) for before, now in zip(state.rows, ids.tolist(), strict=True)]
        return torch.stack([self.after(row) for row in rows])[:, None], History(rows)


SCALARS = st.one_of(
    st.just({"type": "null"}),
    st.just({"type": "boolean"}),
    st.integers(-20, 20).map(lambda low: {"type": "integer", "minimum": low, "maximum": low + 9}),
    st.integers(0, 4).map(lambda most: {"type": "string", "maxLength": most}),
    st.sampled_from([{"type": "string", "pattern": "^[a-c]{2}$"}, {"type": "string", "format": "date"}]),
    st.lists(st.sampled_from(["red", "re", "砚", 1, None, True, 1.5]), min_size=1, unique_by=repr).map(
        lambda values: {"enum": values}
    ),
)


def records(parts):
    def of(properties, required):
        names = [name for name, wanted in zip(properties, required, strict=False) if wanted]
        return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}

    names = st.sampled_from(["a", "colour", "墨", 'q"'])
    return st.builds(of, st.dictionaries(names, parts, max_size=3), st.lists(st.booleans(), min_size=3, max_size=3))


SCHEMAS = st.recursive(
    SCALARS,
    lambda parts: st.one_of(
        records(parts),
        st.builds(lambda items, low: {"type": "array", "items": items, "minItems": low, "maxItems": low + 1}, parts, st.integers(0, 2)),
        st.lists(parts, min_size=1, max_size=2).map(lambda some: {"anyOf": some}),
    ),
    max_leaves=5,
)  # fmt: skip


def holds(value, schema) -> bool:
    """Whether a value satisfies a schema of those above."""
    if "anyOf" in schema:
        return any(holds(value, part) for part in schema["anyOf"])
    if "enum" in schema:
        return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in schema["enum"])
    if schema["type"] == "object":
        known = schema["properties"]
        named = isinstance(value, dict) and set(schema["required"]) <= set(value) <= set(known)
        return named and all(holds(part, known[name]) for name, part in value.items())
    if schema["type"] == "array":
        counted = isinstance(value, list) and schema["minItems"] <= len(value) <= schema["maxItems"]
        return counted and all(holds(part, schema["items"]) for part in value)
    if schema["type"] == "string":
        if not isinstance(value, str):
            return False
        if schema.get("format") == "date":
            return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", value))
        return len(value) <= schema.get("maxLength", 99) and bool(re.search(schema.get("pattern", ""), value))
    if schema["type"] == "integer":
        return type(value) is int and schema["minimum"] <= value <= schema["maximum"]
    return isinstance(value, {"null": type(None), "boolean": bool}[schema["type"]])


@settings(max_examples=60, deadline=None)
@given(SCHEMAS, st.sampled_from(KINDS), st.integers(0, 5), st.booleans())
def test_json_is_what_the_schema_allows(schema, kind, seed, compact):
    constraint = Constraint.json_schema(schema, compact=compact)
    model = RandomModel(tokenizer_of(kind), seed)
    for piece in stream(model, "", Sampling(max_tokens=30, seed=seed, **AS_IT_IS), constraint=constraint, samples=2):
        if (one := piece.generated) is None:
            continue
        assert constraint.accepts(one.text) or one.finish_reason == "length"
        text = one.text if one.finish_reason == "end" else constraint.completed(one.text)
        assert constraint.accepts(text)
        value = json.loads(text)
        assert holds(value, schema)
        if compact:
            assert not re.search(r'": |, "', re.sub(r'"[^"]*"(?!:)', '""', text.replace('\\"', "")))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "pattern", [r"(red|green)+", r"\d{2}-\d\d", r"[a-c]*x?", r"(?i:k)[^a]\n/\"", r"砚(台|.)", r"^ab$", r"\w{1,3}"]
)
def test_texts_match_a_pattern_from_end_to_end(pattern, kind):
    ended = 0
    for one in generate(RandomModel(tokenizer_of(kind)), "red", regex=pattern, samples=5, max_tokens=80, **AS_IT_IS):
        if one.finish_reason == "end":
            ended += 1
            assert re.fullmatch(pattern, one.text)
            assert one.ids[-1] == tokenizer_of(kind).end
    assert ended


def paths(tokenizer, texts, before=b"") -> dict[tuple[int, ...], str]:
    """Every way to spell one of the texts in tokens, its end after it."""
    found = {}
    spelled = [text.encode() for text in texts]
    if before in spelled:
        found[tokenizer.end,] = before.decode()
    for number, spelling in enumerate(tokenizer.spelling):
        if spelling and number not in tokenizer.special_ids and any(s.startswith(before + spelling) for s in spelled):
            for path, text in paths(tokenizer, texts, before + spelling).items():
                found[number, *path] = text
    return found


CHOICES = ["red", "re", "green", "砚"]


def renormalised(model, begin, all_paths) -> dict[str, float]:
    """p(token | before) over those of its rivals that some path goes on with, multiplied along each path, summed by text."""
    following = defaultdict(set)
    for path in all_paths:
        for at in range(len(path)):
            following[path[:at]].add(path[at])
    chances: Counter[str] = Counter()
    for path, text in all_paths.items():
        chance = 1.0
        for at in range(len(path)):
            scores = model.after((*begin, *path[:at])).double().exp()
            chance *= float(scores[path[at]] / scores[list(following[path[:at]])].sum())
        chances[text] += chance
    return chances


@pytest.mark.parametrize("kind", KINDS)
def test_choices_have_the_chances_of_the_model_renormalised_over_their_tokens(kind):
    tokenizer = tokenizer_of(kind)
    model, all_paths = RandomModel(tokenizer, seed=3, scale=1.0), paths(tokenizer, CHOICES)
    expected = renormalised(model, [tokenizer.end], all_paths)
    assert sum(expected.values()) == pytest.approx(1)

    exact: Counter[str] = Counter()
    for path, text in all_paths.items():
        form, log_chance = Constraint.choices(CHOICES).begin(tokenizer), 0.0
        for at, token in enumerate(path):
            scores = constrained(model.after((tokenizer.end, *path[:at]))[None], [form])
            log_chance += float(scores.log_softmax(-1)[0, token])
            form.take(token)
        exact[text] += float(np.exp(log_chance))
    assert exact == pytest.approx(expected, rel=1e-4)

    draws = 600
    counts = Counter(one.text for one in generate(model, "", choices=CHOICES, samples=draws, **AS_IT_IS))
    chi_square = sum((counts[text] - draws * share) ** 2 / (draws * share) for text, share in expected.items())
    assert set(counts) <= set(CHOICES) and chi_square < 16.3  # the 99.9 % quantile at 3 degrees of freedom


def allowed_paths(form, tokenizer) -> set[tuple[int, ...]]:
    found = set()
    for token in np.flatnonzero(form.allowed()).tolist():
        ended = token == tokenizer.end
        found |= {(token,)} if ended else {(token, *rest) for rest in allowed_paths(form.then(token), tokenizer)}
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_beam_search_finds_the_likeliest_path_of_all(kind):
    tokenizer = tokenizer_of(kind)
    model, constraint = RandomModel(tokenizer, seed=5), Constraint.choices(CHOICES)
    allowed, all_paths = allowed_paths(constraint.begin(tokenizer), tokenizer), paths(tokenizer, CHOICES)
    assert allowed <= set(all_paths) and {all_paths[path] for path in allowed} == set(CHOICES)

    def total(path):
        return sum(float(model.after((tokenizer.end, *path[:at]))[token]) for at, token in enumerate(path))

    found = beam_search(model, [tokenizer.end], 40, 10, alpha=0.0, constraint=constraint)
    best = sorted(allowed, key=total, reverse=True)
    assert [one.ids for one in found] == best
    assert found[0].score == pytest.approx(total(best[0]), abs=1e-4)
    written = generate(model, "", choices=CHOICES, beams=40, length_penalty=0.0)
    assert written[0].text == all_paths[best[0]]


def test_what_must_come_is_spelled_as_the_tokenizer_spells_it():
    tokenizer = tokenizer_of("byte-bpe")
    allowed = allowed_paths(Constraint.choices(["green"]).begin(tokenizer), tokenizer)
    assert allowed == {(*tokenizer.encode("green"), tokenizer.end)} and len(paths(tokenizer, ["green"])) > 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=6), min_size=1, max_size=4), st.sampled_from(KINDS))
def test_any_texts_can_be_choices(texts, kind):
    constraint = Constraint.choices(texts)
    assert all(map(constraint.accepts, texts))
    for one in generate(RandomModel(tokenizer_of(kind)), "", choices=texts, samples=2, max_tokens=99, **AS_IT_IS):
        assert one.text in texts and one.finish_reason == "end"
    assert not constraint.accepts(max(texts, key=len) + "x")


def test_special_tokens_are_no_text():
    tokenizer = tokenizer_of("byte-bpe")
    form = Constraint.regex(r"(?s:.)+").begin(tokenizer)
    assert not form.allowed()[sorted(tokenizer.special_ids)].any()
    grown = form.then(tokenizer.encode("r")[0])
    assert set(np.flatnonzero(grown.allowed())) & tokenizer.special_ids == {tokenizer.end}
    assert not form.complete and grown.complete
    turned = Constraint.regex("r*").begin(tokenizer, ends=[tokenizer.end + 1])
    assert turned.allowed()[tokenizer.end + 1] and not turned.allowed()[tokenizer.end]


def test_a_token_that_is_not_allowed_is_refused():
    form = Constraint.choices(["red"]).begin(tokenizer_of("character"))
    with pytest.raises(ConstraintError, match="does not allow the token 'x'"):
        form.take(tokenizer_of("character").encode("x")[0])


def test_what_the_model_bars_can_still_be_chosen():
    model = RandomModel(tokenizer_of("character"))
    plain = model.after
    model.after = lambda history: plain(history).index_fill(0, torch.tensor(model.tokenizer.encode("red")), -torch.inf)
    assert generate(model, "", choices=["red"])[0].text == "red"


def test_filters_choose_among_what_is_allowed():
    model = RandomModel(tokenizer_of("word"))
    for one in generate(model, "", choices=CHOICES, samples=6, top_k=1, repetition_penalty=1.5, top_p=0.2):
        assert one.text in CHOICES
        read, form = (model.tokenizer.end,), Constraint.choices(CHOICES).begin(model.tokenizer)
        for token, told in zip(one.ids, one.log_probabilities, strict=True):  # of the model itself, where it is asked
            expected = float(model.after(read)[token]) if form.forced() is None else 0.0
            assert told == pytest.approx(expected, abs=1e-5)
            read += (token,)
            form.take(token)


def ngram() -> NGram:
    tokenizer = tokenizer_of("word")
    model = NGram(NGramSettings(vocab_size=tokenizer.vocab_size, order=3), tokenizer)
    model.fit([np.array(tokenizer.encode(TEXT))], None, torch.Generator(), lambda text: None)
    return model


def recurrent() -> Recurrent:
    tokenizer = tokenizer_of("unigram")
    settings = RecurrentSettings(vocab_size=tokenizer.vocab_size, width=8, hidden=8, n_layers=1, context=16)
    return Recurrent(settings, tokenizer).initialise(torch.Generator().manual_seed(0)).eval()


@pytest.mark.parametrize("made", [ngram, recurrent, decoder])
def test_families_keep_to_a_form_alone_and_together(made):
    for samples in (1, 3):
        for one in generate(made(), "red", regex="(re|d){3,9}", samples=samples, **AS_IT_IS):
            assert re.fullmatch("(re|d){3,9}", one.text)
    assert re.fullmatch("(re|d){3,9}", generate(made(), "red", regex="(re|d){3,9}", beams=3)[0].text)


NO_END = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
CASES = [
    ({"type": "string", "minLength": 5, "maxLength": 2}, "minLength"),
    ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "'a' is unsatisfiable"),
    ({"enum": []}, "empty"),
    (NO_END, "holds itself again"),
    ({"$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 1}}, "$ref": "#/$defs/a"}, "holds itself"),
    ({"type": "array", "uniqueItems": True}, "uniqueItems"),
    ({"oneOf": [{"type": "string"}]}, "write anyOf"),
    ({"properties": {"a": {"tipe": "string"}}}, r"at #/properties/a has 'tipe'.*did you mean 'type'"),
    ({"type": "strng"}, "strng"),
    ({"properties": {"a": 3}}, "at #/properties/a is 3"),
    ({"$ref": "https://example.org/schema"}, "not present"),
    ({"type": "string", "pattern": "("}, "unclosed group"),
    ({"enum": ["ink", "\ud800"]}, "half a character"),
    ({"type": "object", "required": 5}, "required"),
    ({"type": "object", "required": [["a"]]}, "Expected string"),
    ({"$ref": ["a"]}, "ref must be"),
    ({"type": "integer", "maximum": 10**300}, "not JSON serializable: 1000"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "told"), CASES, ids=[told for _, told in CASES])
def test_schemas_that_cannot_be_kept_to_are_refused(schema, told):
    with pytest.raises(ConstraintError, match=told):
        Constraint.json_schema(schema)


def test_schemas_that_end_are_not_refused():
    tree = {"type": "object", "properties": {"name": {"maxLength": 2, "type": "string"}, "next": {"$ref": "#"}}}
    either = {"anyOf": [NO_END | {"properties": {"next": {"$ref": "#"}}}, {"type": "null"}]}
    assert Constraint.json_schema(tree).completed('{"next": {"next": ') == '{"next": {"next": {}}}'
    assert Constraint.json_schema(either).completed('{"next": {"next": ').endswith("}}")
    assert Constraint.json_schema({"title": "any", "x-own": 1, "type": "integer"}).accepts("12")


def nested(levels: int):
    schema = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def chained(parts: int):
    """A schema whose parts refer to one another, one after the other."""
    links = {
        f"a{n}": {"type": "array", "prefixItems": [{"$ref": f"#/$defs/a{n + 1}"}], "minItems": 1} for n in range(parts)
    }
    return {"$defs": {**links, f"a{parts}": {"type": "integer"}}, "$ref": "#/$defs/a0"}


def test_references_are_followed_no_deeper_than_there_is_memory_for():
    assert Constraint.json_schema(chained(150)).accepts("[" * 150 + "7" + "]" * 150)
    with pytest.raises(ConstraintError, match="400 levels together"):
        Constraint.json_schema(chained(2000))


def test_patterns_of_one_text_have_a_bound():
    patterns = [{"type": "string", "pattern": f".*{n}.*"} for n in range(40)]
    named = {f"p{n}": each for n, each in enumerate(patterns)}
    linked = {f"p{n}": {**each, "$ref": f"#/$defs/p{n + 1}"} for n, each in enumerate(patterns)}
    bombs = [
        {"allOf": patterns},
        {"allOf": [{"properties": {"a": each}} for each in patterns]},
        {"$defs": named, "allOf": [{"$ref": f"#/$defs/p{n}"} for n in range(40)]},
        {"$defs": {**linked, "p40": {}}, "$ref": "#/$defs/p0"},
        {"anyOf": [{"allOf": patterns[:20]}, {"allOf": patterns[20:]}]},
    ]
    for bomb in bombs:
        with pytest.raises(ConstraintError, match="more than 12 patterns"):
            Constraint.json_schema(bomb)
    assert Constraint.json_schema({"anyOf": patterns}).accepts('"39"')  # one of them is enough
    every = {"type": "object", "properties": named, "required": ["p7"], "additionalProperties": False}
    assert Constraint.json_schema(every).accepts('{"p7": "7"}')


def test_bombs_are_refused():
    with pytest.raises(ConstraintError, match="too large"):
        Constraint.json_schema(nested(100_000))
    with pytest.raises(ConstraintError, match="too large"):
        Constraint.json_schema({"enum": list(range(300_000))})
    with pytest.raises(ConstraintError, match="30,000 choices are given"):
        Constraint.choices([str(number) for number in range(30_000)])
    with pytest.raises(ConstraintError, match=r"the pattern '\({60}' … cannot"):
        Constraint.regex("(" * 50_000 + ")" * 50_000)
    with pytest.raises(ConstraintError, match="properties"):
        Constraint.json_schema({"type": "object", "properties": {f"p{n}": {} for n in range(5000)}})
    cases = [
        {"anyOf": [{"type": "object", "properties": {f"k{n}_{m}": {"type": "string"}}} for m in range(6)]}
        for n in range(10)
    ]
    with pytest.raises(ConstraintError, match="too large"):
        Constraint.json_schema({"allOf": cases})
    assert Constraint.json_schema(nested(40)).accepts("[" * 40 + "]" * 40)


def test_bombs_that_are_not_refused_are_written_by():
    doubled = {f"d{n}": {"type": "array", "prefixItems": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    schema = {"$defs": {**doubled, "d40": {"type": "integer"}}, "$ref": "#/$defs/d0"}
    assert Constraint.json_schema(schema).completed("[[").endswith("]]")
    model = RandomModel(tokenizer_of("byte-bpe"))
    for pattern in ("(a{1,1000}){1,1000}", "(.*a.{200}b.*){5}", r"((a|b){1,500}(c|d)){1,500}"):
        assert generate(model, "", regex=pattern, max_tokens=30, **AS_IT_IS)[0].finish_reason in ("end", "length")


@pytest.mark.parametrize(
    ("pattern", "told"), [("(a", "unclosed"), ("(?=a)b", "look-around"), (r"(a)\1", "backreferences"), (r"[^\s\S]", "no text")]
)  # fmt: skip
def test_patterns_that_cannot_be_kept_to_are_refused(pattern, told):
    with pytest.raises(ConstraintError, match=told):
        Constraint.regex(pattern)


def test_texts_that_are_cut_off_are_completed():
    schema = {
        "type": "object",
        "properties": {
            "who": {"type": "string"},
            "kinds": {"type": "array", "items": {"enum": ["red", "reed"]}, "minItems": 2},
            "n": {"type": "integer"},
        },
        "required": ["who", "kinds"],
        "additionalProperties": False,
    }
    constraint = Constraint.json_schema(schema, compact=True)
    for cut, whole in {
        "": '{"who":"","kinds":["red","red"]}',
        '{"who":"a}': '{"who":"a}","kinds":["red","red"]}',
        '{"who":"","kinds":["ree': '{"who":"","kinds":["reed","red"]}',
        '{"who":"","kinds":["red","red"],"n":-': '{"who":"","kinds":["red","red"],"n":-0}',
    }.items():
        assert constraint.completed(cut) == whole
    assert json.loads(constraint.completed('{"who":"x\\'))["who"] == 'x"'
    with pytest.raises(ConstraintError, match="no beginning"):
        constraint.completed("[")
    with pytest.raises(ConstraintError, match="nothing short"):
        Constraint.regex("a{6000}").completed("a")


def test_a_grammar_of_brackets():
    constraint = Constraint.lark('start: "(" start ")" start | ""')
    assert constraint.accepts("(()())()") and not constraint.accepts("(()")
    with pytest.raises(ConstraintError, match="unknown name"):
        Constraint.lark("start: nothing")


def test_schemas_are_read_from_files(tmp_path):
    file = tmp_path / "schema.json"
    file.write_text('{"type": "null"}', encoding="utf-8")
    model = RandomModel(tokenizer_of("word"))
    assert generate(model, "", json_schema=file)[0].text == "null"
    assert generate(model, "", json_schema={"type": "null"})[0].text == "null"
    for content, told in (
        ("{", "no JSON"),
        ("[]", "an object"),
        ("[" * 200_000, "too deeply"),
        (None, "cannot be read"),
    ):
        if content is None:
            file.unlink()
        else:
            file.write_text(content, encoding="utf-8")
        with pytest.raises(ConstraintError, match=told):
            read_schema(file)


def test_a_file_whose_schema_cannot_be_kept_to_is_named(tmp_path):
    file = tmp_path / "form.json"
    file.write_text('{"type": "strng"}', encoding="utf-8")
    with pytest.raises(ConstraintError, match=r"form\.json: the schema cannot be kept to"):
        constraint_of(json_schema=file)


def test_one_form_at_a_time():
    assert constraint_of() is None
    with pytest.raises(ConstraintError, match="regex and choices are given"):
        constraint_of(regex="a", choices=["a"])
    with pytest.raises(ConstraintError, match="at least one text"):
        constraint_of(choices=[])
