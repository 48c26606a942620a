"""Text that keeps to a form: a JSON schema, a regular expression, a list of choices, a grammar.

    inkstone generate RUN "The colour is" --choices red green blue

llguidance says before each token which tokens can go on; all others get −∞, and the rest is left to the model:

    q(token) ∝ p(token | text before) for an allowed token, else 0

The end token is allowed where the text is complete, and only there. Where a text can go on in one way only, it does so in the
tokens in which the tokenizer spells it; elsewhere every token that fits is allowed. A token that is forced so has q = 1: it is taken without
asking the model, which reads a run of them in one step (jump-ahead). Renormalised token by token, q is not p given the form: it
does not look ahead to how likely the rest will be. Beam search adds up p itself, and so finds the likeliest text of the form.
"""

import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from inkstone.inference.grammar_tokens import llguidance, of_bytes, of_tokenizer
from inkstone.inference.schema_check import ConstraintError, check_schema
from inkstone.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from llguidance import LLMatcher

NEVER = float("-inf")
LEAST = -1e4  # log-probability of an allowed token at least: where the model bars all of them, they are equally likely
LONGEST_CLOSING = 5000  # bytes that may be added to complete a text that was cut off
SHOWN = 200  # characters of what llguidance says
NAMED = 60  # characters of a pattern
MOST_CHOICES = 20_000
SPECIAL_IN_PATTERNS = frozenset(r"\.+*?()|[]{}^$#&-~/")

# The byte that leads out of JSON soonest, of those that are allowed: outside a string and inside one.
OUT_OF_JSON = b'}],"0ntf[{-123456789 :'
OUT_OF_STRING = b'"'


@dataclass(frozen=True)
class Constraint:
    """A form that texts are to have. Made by `json_schema`, `regex`, `choices` or `lark`, which refuse what cannot be kept to."""

    grammar: str  # as llguidance reads it
    name: str  # in errors
    special: frozenset[int] = frozenset()  # special tokens that may stand in a text of this form

    @classmethod
    def json_schema(cls, schema: Mapping[str, Any] | bool, *, compact: bool = False) -> "Constraint":
        """JSON that a schema allows, its properties in the order of the schema.

        Between parts stand ", " and ": ", as Python writes JSON, or with `compact` "," and ":"; no other white space.

        Raises ConstraintError for a schema that no text satisfies, one with keywords that cannot be kept to or that there are
        not, and one that is too large.
        """
        check_schema(schema)
        form: Any = {
            "whitespace_flexible": False,
            "item_separator": "," if compact else ", ",
            "key_separator": ":" if compact else ": ",
            "lenient": False,
            "coerce_one_of": False,
        }
        given = dict(schema) if isinstance(schema, Mapping) else {"anyOf": [schema]}
        try:
            grammar = llguidance().LLMatcher.grammar_from_json_schema(given, overrides=form)
        except ValueError as error:  # an integer of hundreds of digits
            raise ConstraintError(f"the schema cannot be kept to: {str(error)[:SHOWN]}") from None
        return cls(grammar, "the schema")._checked()

    @classmethod
    def regex(cls, pattern: str) -> "Constraint":
        """Texts that match a pattern from end to end: Rust's syntax, which is Python's without looking around and back."""
        return cls(
            llguidance().LLMatcher.grammar_from_regex(pattern),
            f"the pattern {pattern[:NAMED]!r}{' …' * (len(pattern) > NAMED)}",
        )._checked()

    @classmethod
    def choices(cls, texts: Sequence[str]) -> "Constraint":
        """One of these texts. Raises ConstraintError where there is none, or too many."""
        if isinstance(texts, str) or not texts:
            raise ConstraintError(f"choices = {texts!r}, but must be a list of at least one text")
        if len(texts) > MOST_CHOICES:
            raise ConstraintError(f"{len(texts):,} choices are given, but at most {MOST_CHOICES:,} are possible")
        pattern = "|".join("".join(map(_escaped, text)) for text in dict.fromkeys(texts))
        return cls(llguidance().LLMatcher.grammar_from_regex(pattern), "the choices")._checked()

    @classmethod
    def lark(cls, grammar: str) -> "Constraint":
        """Texts of a context-free grammar in llguidance's dialect of Lark, which begins at `start`."""
        return cls(llguidance().LLMatcher.grammar_from_lark(grammar), "the grammar")._checked()

    def begin(self, tokenizer: Tokenizer, ends: Collection[int] | None = None) -> "Followed":
        """The state before the first token of a text, written with these tokens and ended by one of `ends`.

        Raises ConstraintError where the vocabulary cannot spell any such text.
        """
        matcher = llguidance().LLMatcher(of_tokenizer(tokenizer), self.grammar, log_level=0)
        return Followed(self, matcher, tokenizer, frozenset({tokenizer.end} if ends is None else ends))

    def accepts(self, text: str) -> bool:
        """Whether a whole text has the form."""
        matcher = self._by_bytes()
        return matcher.consume_tokens(list(text.encode())) and matcher.is_accepting()

    def completed(self, text: str) -> str:
        """The beginning of a JSON text that was cut off, with what closes it: open texts, lists and objects end at once.

        Raises ConstraintError where the text is no such beginning, or nothing short closes it.
        """
        matcher, written = self._by_bytes(), bytearray(text.encode())
        if not matcher.consume_tokens(list(written)):
            raise ConstraintError(f"{text!r} is no beginning of what {self.name} allows")
        inside = _InString()
        for byte in written:
            inside.read(byte)
        for _ in range(LONGEST_CLOSING):
            if matcher.is_accepting():
                return written.decode()
            bias = matcher.compute_logit_bias()
            preferred = (*(OUT_OF_STRING if inside else OUT_OF_JSON), *range(256))
            byte = next((each for each in preferred if bias[each]), None)
            if byte is None or not matcher.consume_token(byte):
                break
            written.append(byte)
            inside.read(byte)
        raise ConstraintError(f"{text!r}: nothing short completes it to what {self.name} allows")

    def _by_bytes(self) -> "LLMatcher":
        return llguidance().LLMatcher(of_bytes(), self.grammar, log_level=0)

    def _checked(self) -> "Constraint":
        """Raises ConstraintError where llguidance refuses the grammar, or nothing can be its first byte."""
        matcher = self._by_bytes()
        begun = not matcher.is_error() and any(matcher.compute_logit_bias())
        if matcher.is_error() and "NoExtension" not in matcher.get_error():
            raise ConstraintError(f"{self.name} cannot be kept to: {_told(matcher)}")
        if not begun or matcher.is_error():
            raise ConstraintError(f"no text can satisfy {self.name}")
        return self


class Followed:
    """One text on its way, and what may come next in it."""

    def __init__(self, constraint: Constraint, matcher: "LLMatcher", tokenizer: Tokenizer, ends: frozenset[int]):
        self.constraint, self.matcher, self.tokenizer, self.ends = constraint, matcher, tokenizer, ends
        barred = (tokenizer.special_ids | ends) - constraint.special  # no part of a text
        self.barred = np.array(sorted(barred), dtype=np.int64)
        self._can: np.ndarray | None = None  # what may come next, once it is known

    def copy(self) -> "Followed":
        """The same text, that can go on otherwise."""
        return Followed(self.constraint, self.matcher.deep_copy(), self.tokenizer, self.ends)

    @property
    def complete(self) -> bool:
        """Whether the text may end here."""
        return self.matcher.is_accepting()

    def allowed(self) -> Bool[np.ndarray, " v"]:
        """Which tokens may come next.

        Raises ConstraintError where none may, since the vocabulary cannot spell what must come, or too much must be kept in mind.
        """
        if self._can is not None:
            return self._can
        bias = np.frombuffer(self.matcher.compute_logit_bias(), dtype=np.uint8)
        can = np.zeros(self.tokenizer.vocab_size, dtype=bool)
        can[: len(bias)] = bias[: len(can)] != 0
        can[self.barred] = False
        if self.complete:
            can[list(self.ends)] = True
        elif self.matcher.is_error() or not can.any():
            told = (
                f": {_told(self.matcher)}"
                if self.matcher.is_error()
                else "; the vocabulary cannot spell what must come next"
            )
            raise ConstraintError(f"{self.constraint.name} cannot be kept to{told}")
        self._can = can
        return can

    def forced(self) -> int | None:
        """The token that must come next; None where several may. Raises ConstraintError as `allowed`."""
        can = np.flatnonzero(self.allowed())
        return int(can[0]) if len(can) == 1 else None

    def take(self, token: int) -> None:
        """Read the next token. Raises ConstraintError for one that is not allowed."""
        if token in self.ends and self.complete:
            return
        self._can = None
        if not self.matcher.consume_token(token):
            raise ConstraintError(
                f"{self.constraint.name} does not allow the token {self.tokenizer.token_text(token)!r} here"
            )

    def then(self, token: int) -> "Followed":
        """The text with one more token; this one stays as it is."""
        grown = self.copy()
        grown.take(token)
        return grown


class OfWritten:
    """The rule of a form for many hypotheses at once, by what each has written; one that is dead may have written anything."""

    def __init__(self, begun: Followed):
        self.begun = begun
        self.forms: dict[tuple[int, ...], Followed] = {}  # of all that was written a step before

    def __call__(self, scores: Float[Tensor, "b k v"], written: Int[Tensor, "b k t"]) -> Float[Tensor, "b k v"]:
        """Log-probabilities with −∞ at each token that the form does not allow."""
        texts = [tuple(ids) for ids in written.flatten(0, 1).tolist()]
        grown: dict[tuple[int, ...], Followed] = {}
        for ids in dict.fromkeys(texts):
            if not ids:
                grown[ids] = self.begun
            elif (before := self.forms.get(ids[:-1])) is not None and before.matcher.validate_tokens([ids[-1]]):
                grown[ids] = before.then(ids[-1])
        self.forms = grown
        numbers = {ids: number for number, ids in enumerate(grown)}
        places = torch.tensor([at for at, ids in enumerate(texts) if ids in numbers], device=scores.device)
        allowed = np.stack([form.allowed() for form in grown.values()])[:, : scores.shape[2]]
        rows = allowed[[numbers[ids] for ids in texts if ids in numbers]]
        flat = scores.flatten(0, 1)
        kept = torch.where(torch.from_numpy(rows).to(scores.device), flat[places].clamp(min=LEAST), NEVER)
        return flat.index_copy(0, places, kept).view_as(scores)


def constrained(scores: Float[Tensor, "b v"], texts: Sequence[Followed]) -> Float[Tensor, "b v"]:
    """Log-probabilities with −∞ at each token that may not come next in its row's text."""
    allowed = np.stack([text.allowed() for text in texts])[:, : scores.shape[1]]
    allowed = torch.from_numpy(allowed).to(scores.device)
    return torch.where(allowed, scores.clamp(min=LEAST), NEVER)


def constraint_of(
    json_schema: Mapping[str, Any] | str | Path | None = None,
    regex: str | None = None,
    choices: Sequence[str] | None = None,
) -> Constraint | None:
    """The one that is given, a schema as it is or as a file; None where none is. Raises ConstraintError where several are."""
    given = {"json_schema": json_schema, "regex": regex, "choices": choices}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise ConstraintError(f"{' and '.join(names)} are given, but a text can keep to one of them only")
    if json_schema is not None:
        if isinstance(json_schema, Mapping):
            return Constraint.json_schema(json_schema)
        schema = read_schema(json_schema)
        try:
            return Constraint.json_schema(schema)
        except ConstraintError as error:
            raise ConstraintError(f"{os.fspath(json_schema)}: {error}") from None
    if regex is not None:
        return Constraint.regex(regex)
    return None if choices is None else Constraint.choices(choices)


def read_schema(file: str | Path) -> dict[str, Any]:
    """The schema in a JSON file. Raises ConstraintError where it cannot be read or is no object."""
    try:
        schema = json.loads(Path(file).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConstraintError(
            f"{os.fspath(file)}: cannot be read ({error.strerror}); a schema is a JSON file"
        ) from None
    except UnicodeDecodeError as error:
        raise ConstraintError(f"{os.fspath(file)}: not UTF-8 (byte {error.start}); a schema is a JSON file") from None
    except RecursionError:
        raise ConstraintError(f"{os.fspath(file)}: the schema is too large: it is nested too deeply") from None
    except ValueError as error:
        raise ConstraintError(f"{os.fspath(file)}: no JSON: {error}") from None
    if not isinstance(schema, dict):
        raise ConstraintError(f"{os.fspath(file)}: holds {schema!r:.40}, but a schema is an object with keywords")
    return schema


def _escaped(character: str) -> str:
    return "\\" + character if character in SPECIAL_IN_PATTERNS else character


def _told(matcher: "LLMatcher") -> str:
    return re.sub(r"\s+", " ", matcher.get_error().split("<state>")[0]).strip()[:SHOWN]


class _InString:
    """Whether JSON under way stands inside quotation marks."""

    def __init__(self):
        self.inside = self.escaped = False

    def __bool__(self) -> bool:
        return self.inside

    def read(self, byte: int) -> None:
        if self.escaped:
            self.escaped = False
        elif byte == 0x22:
            self.inside = not self.inside
        else:
            self.escaped = self.inside and byte == 0x5C
