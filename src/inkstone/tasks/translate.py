"""Translation: a text in one language in, the same in another out, learned from parallel text.

One model may know several directions: a token before the source then says into which language (Johnson et al. 2017), and both
sides share one vocabulary. A document is translated sentence by sentence; placeholders, numbers and line breaks come through
(`translation_text.py`). The score is BLEU, with chrF beside it; beside the model stands a translation memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Int

from inkstone.errors import RecipeError, TextError
from inkstone.evaluation.translation_scores import (
    bleu,
    bleu_statistics,
    chrf,
    chrf_statistics,
    require_sacrebleu,
    signatures,
)
from inkstone.inference.beam_search import Hypothesis
from inkstone.tasks.back_translation import MADE, kept_pairs, made_pairs
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.columns import by_name
from inkstone.tasks.framing import Frame
from inkstone.tasks.parallel_pairs import Translated, pairs_of
from inkstone.tasks.practice import practised
from inkstone.tasks.translation_memory import TranslationMemory
from inkstone.tasks.translation_text import (
    MASKS,
    Piece,
    ids_of,
    lost,
    mask_ids,
    pieces_of,
    put_together,
    restored,
    target_token,
    text_of,
)
from inkstone.tasks.understanding import Understanding, languages_of
from inkstone.tasks.written import LEAST_WRITTEN, Said, WritingSettings, source_room, written_ids
from inkstone.text.augmentation import Neighbours
from inkstone.text.language_codes import language_code
from inkstone.text.parallel import SOURCE_NAMES, Columns, read_parallel, unpacked_name
from inkstone.text.placeholders import masked, shared
from inkstone.text.reading_report import ReadingReport
from inkstone.text.records import members
from inkstone.text.text_column import as_text
from inkstone.text.words import sentences
from inkstone.tokens.example_batches import Encoded
from inkstone.tokens.tokenizer import Tokenizer

TO_NAMES = ("to", "target_language", "target_lang", "tgt_lang", "译成", "目标语言")
TABLES = (".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson")
SAMPLE = 2000  # training pairs whose sentences are counted
SEVERAL = 0.25  # of them with more than one sentence, from which on sentences are translated together
NEARLY_ALL = 0.95  # of the sources are no longer than what is translated at once
MADE_PAIRS = "back_translation.jsonl"  # in the folder of a run
MOST_TIMES = 3  # as many tokens as its source that a translation may have


@dataclass
class Translate(WritingSettings):
    """The task. Languages that are not named are told by the names of files and columns, else by the texts."""

    beams: int = 5
    length_penalty: float = 1.0
    source_language: str | None = None
    target_language: str | None = None
    directions: Literal["one", "both"] = "one"
    placeholders: float = 0.05  # of the pairs, as many more to practise keeping placeholders on; 0: they are text
    back_translation: str | None = None  # a run that translates the other way
    monolingual: tuple[str, ...] = ()  # files in a target language, which it translates
    learned: tuple[tuple[str, str], ...] = ()  # (source, target) of what the model knows; empty: nothing is read yet
    together: int = 0  # characters of a line that are translated at once; 0: each sentence by itself

    name: ClassVar[str] = "translate"
    score: ClassVar[str] = "BLEU"
    key: ClassVar[str] = "translation"
    body_settings: ClassVar[Mapping[str, Any]] = {"norm": "post", "n_heads": 4, "dropout": 0.3}  # as Marian is laid out
    covered: ClassVar[float] = 1.0  # share of the training texts that the context holds whole
    largest_vocabulary: ClassVar[int] = 8192  # joint, of a tokenizer that is learned from the pairs

    def __post_init__(self) -> None:
        """Refuse settings that cannot hold."""
        super().__post_init__()
        self.learned = tuple((str(source), str(target)) for source, target in self.learned)
        self.monolingual = tuple(self.monolingual)
        if (self.back_translation is None) != (not self.monolingual):
            raise RecipeError(
                "task.back_translation names a run, and task.monolingual the text that it translates; give both or neither"
            )
        for setting in ("source_language", "target_language"):
            given = getattr(self, setting)
            if given is not None:
                if (code := language_code(given)) is None and not (given.isascii() and given.isalpha()):
                    raise RecipeError(f"task.{setting} = {given!r} is no language; write its code, such as en or zh")
                setattr(self, setting, code or given.lower())
        if self.source_language is not None and self.source_language == self.target_language:
            raise RecipeError(f"task.source_language and task.target_language are both {self.source_language!r}")
        if self.directions not in ("one", "both"):
            raise RecipeError(f"task.directions = {self.directions!r}, but must be one or both")
        self._scored: set[str] = set()  # what is to be written in the parts that were read but not learned from
        if not 0 <= self.placeholders <= 1:
            raise RecipeError(f"task.placeholders = {self.placeholders}, but must be a share from 0 to 1")

    @property
    def targets(self) -> tuple[str, ...]:
        """The languages that are written, in the order of their directions."""
        return tuple(dict.fromkeys(target for _, target in self.learned))

    @property
    def tokens(self) -> tuple[str, ...]:
        """Tokens that no text is made of: of the target languages, where there are several, and of placeholders."""
        tags = tuple(target_token(each) for each in self.targets) if len(self.targets) > 1 else ()
        return tags + (MASKS if self.placeholders else ()) + ((MADE,) if self.back_translation else ())

    def read(self, sources: Sequence[str], understanding: Understanding) -> list[Translated]:
        """The pairs of parallel text in the directions that are asked for; those of the first part that is read are learned.

        Raises TextError where no pair is in them, MissingExtraError without sacrebleu.
        """
        require_sacrebleu()
        columns = Columns(self.source_column, self.target_column)
        rows = list(read_parallel(sources, understanding.reading, columns))
        pairs = pairs_of(rows, understanding)
        found = self._in_direction(pairs, understanding)
        if not self.learned:
            self.learned = tuple(dict.fromkeys(pair.direction for pair in found))
        told = ", ".join(f"{source} to {target}" for source, target in dict.fromkeys(pair.direction for pair in found))
        understanding.columns = {}
        understanding.notices.insert(0, f"from {told}")
        understanding.look_at([pair.source for pair in found])
        understanding.close(len(found))
        self._scored |= {target for pair in found for target in pair.targets}
        return found

    def _in_direction(self, pairs: Sequence[Translated], understanding: Understanding) -> list[Translated]:
        """Pairs as they are learned, or of those as they were; others are counted and left out."""
        found: list[Translated] = []
        for pair in pairs:
            ways = [way for way in (pair, pair.turned()) if self._wanted(way, turned=way is not pair)]
            if not ways:
                told = ", ".join(f"{source} to {target}" for source, target in self.learned) or " to ".join(
                    each or "any" for each in (self.source_language, self.target_language)
                )
                understanding.refuse(pair.place, f"{pair.language} and {pair.to}, but what is learned is {told}")
            found += ways
        return found

    def _wanted(self, pair: Translated, turned: bool) -> bool:
        if self.learned:
            return pair.direction in self.learned
        if self.directions == "both":
            named = self._named(*pair.direction) or self._named(*pair.direction[::-1])
            return named and (pair.language != pair.to or not turned)
        if self.source_language is None and self.target_language is None:
            return not turned
        return self._named(*pair.direction)

    def _named(self, language: str, to: str) -> bool:
        """Whether a direction is what the settings name, as far as they do."""
        return language == (self.source_language or language) and to == (self.target_language or to)

    def asked(self, inputs: Sequence[Any]) -> list[Translated]:
        """Texts, or records with a text and, under `to`, the language to translate into.

        Without it, it is the one that is written, or of several the one that goes with the language of the text.
        """
        found = [self._asked(given, f"input {number}") for number, given in enumerate(inputs, 1)]
        known = {source for source, _ in self.learned}
        several = len(known) > 1
        looks = languages_of([pair.source for pair in found]) if several else [next(iter(known), None)] * len(found)
        return [self._directed(pair, look) for pair, look in zip(found, looks, strict=True)]

    def _asked(self, given: Any, place: str) -> Translated:
        to = None
        if isinstance(given, Mapping):
            column = by_name({name: [] for name in given}, TO_NAMES)
            if column is not None and isinstance(given[column], str):
                to = language_code(given[column]) or given[column]
                if to not in self.targets:
                    raise TextError(f"{place}: into {given[column]!r}, but this model writes {', '.join(self.targets)}")
            given = as_text(given.get(self._text_column(given, place)))
        if not isinstance(given, str):
            raise TextError(f"{place}: {given!r} is no text, and no record with one")
        return Translated(place, given, to=to)

    def _text_column(self, given: Mapping[str, Any], place: str) -> str:
        own = self.source_column if self.source_column in given else None
        spoken = next((name for name in given if language_code(name) in {source for source, _ in self.learned}), None)
        found = own or by_name({name: [] for name in given}, SOURCE_NAMES) or spoken
        if found is None:
            raise TextError(f"{place}: a record of {', '.join(map(str, given))}, but its text stands under 'text'")
        return found

    def _directed(self, pair: Translated, look: str | None) -> Translated:
        """With both languages: those of a direction that is learned, which the text and what is asked for fit best."""
        fitting = [way for way in self.learned if pair.to in (None, way[1])]
        exact = [way for way in fitting if way[0] == look]
        if pair.to is None and len({target for _, target in exact or fitting}) > 1:
            told = ", ".join(dict.fromkeys(target for _, target in exact or fitting))
            raise TextError(
                f'{pair.place}: say into which language, as in {{"text": ..., "to": "{(exact or fitting)[0][1]}"}} or --to; '
                f"this model writes {told}"
            )
        chosen = (exact or fitting or [(look, pair.to)])[0]
        return replace(pair, language=chosen[0], to=chosen[1])

    def inputs_of(self, file: str | Path) -> list[Any] | None:
        """A file of plain text is one text, whose line breaks stay; tables are read as for every task."""
        if unpacked_name(str(file).lower()).endswith(TABLES):
            return None
        return [b"".join(member.utf8()).decode() for member, _ in members([file], ReadingReport())]

    def learn(self, examples: Sequence[Translated]) -> None:
        """Whether several sentences are translated at once: where the training part has many such pairs.

        Raises TextError where there is no pair.
        """
        super().learn(examples)
        self._scored -= {target for pair in examples for target in pair.targets}
        sample = examples[:: max(1, len(examples) // SAMPLE)]
        several = sum(len(sentences(pair.source, pair.language)) > 1 for pair in sample)
        if not self.together and several > SEVERAL * len(sample):
            self.together = int(np.quantile([len(pair.source) for pair in sample], NEARLY_ALL))

    def encode(self, examples: Sequence[Translated], frame: Frame) -> list[list[Encoded]]:
        """A pair as it is, or nothing of one that does not fit; a text without a translation in its pieces."""
        tokenizer = frame.tokenizer
        masks = bool(mask_ids(tokenizer))
        pieces = [
            self._pair(each, masks) if each.targets else [p for line in self._lines(each) for p in line if p.asked]
            for each in examples
        ]
        found = iter(ids_of([piece for own in pieces for piece in own], tokenizer))
        tags = {each: [tokenizer.backend.token_to_id(target_token(each))] for each in self.targets[1:] and self.targets}
        made = [tokenizer.backend.token_to_id(MADE)]
        ids: list[list[Int[np.ndarray, " t"]]] = []
        for example, own in zip(examples, pieces, strict=True):
            tag = np.array(tags.get(str(example.to), []) + made * example.made, dtype=np.int64)
            if example.targets:
                ids.append([np.concatenate((tag, next(found))), next(found)])
            else:
                ids.append([np.concatenate((tag, next(found))) for _ in own])
        known = [each[1] for example, each in zip(examples, ids, strict=True) if example.targets]
        self.learn_length([written_ids(frame, target) for target in known], frame.context)
        return [
            self._encoded_pair(frame, *own)
            if example.targets
            else [self.inputs_of_pair(frame, each, None) for each in own]
            for example, own in zip(examples, ids, strict=True)
        ]

    def _encoded_pair(
        self, frame: Frame, source: Int[np.ndarray, " t"], target: Int[np.ndarray, " t"]
    ) -> list[Encoded]:
        """The input of a pair; nothing of one that does not fit."""
        if self.continues:
            fits = (
                len(source) <= self.room(frame) and len(frame.before) + len(source) + len(target) + 2 <= frame.context
            )
        else:
            fits = max(len(source), len(target)) <= source_room(frame)
        return [self.inputs_of_pair(frame, source, target)] if fits else []

    def _pair(self, example: Translated, masks: bool) -> list[Piece]:
        """Source and target, in which the placeholders that both have are tokens."""
        kept = tuple(shared(example.source, example.targets[0])) if masks else ()
        return [Piece(masked(text, kept), kept) for text in (example.source, example.targets[0])]

    def _lines(self, example: Translated) -> list[list[Piece]]:
        return pieces_of(example.source, example.language, bool(self.placeholders), self.together)

    def best(self, source: Sequence[int], found: Sequence[Hypothesis], tokenizer: Tokenizer) -> Hypothesis:
        """Of the texts that the beam found the first of those that lose the fewest placeholders."""
        masks = mask_ids(tokenizer)
        return min(found, key=lambda hypothesis: lost(source, hypothesis.ids, masks))

    def said(self, tokenizer: Tokenizer, hypothesis: Hypothesis) -> Said:
        """A text with the tokens of its placeholders."""
        ids = list(hypothesis.ids)
        return Said(text_of(ids, tokenizer), float(sum(hypothesis.log_probabilities)), len(ids))

    def most_tokens(self, source: int) -> int:
        """A few times as many as the source has, and no more than is usual."""
        return min(super().most_tokens(source), MOST_TIMES * source + LEAST_WRITTEN)

    def unanswered(self, examples: Sequence[Translated]) -> list[Translated]:
        """The same without their translations: they are read as any text that is to be translated."""
        return [replace(example, targets=()) for example in examples]

    def answer(self, example: Translated, outputs: Sequence[Said]) -> Answer:
        """The translation, the mean probability of its tokens, and the placeholders that are missing in it."""
        lines = self._lines(example)
        pieces = [piece for line in lines for piece in line if piece.asked]
        told = [restored(output.text, piece.kept) for piece, output in zip(pieces, outputs, strict=True)]
        missing = [each for _, gone in told for each in gone]
        tokens = sum(output.tokens for output in outputs)
        sure = float(np.exp(sum(output.log_chance for output in outputs) / max(1, tokens)))
        answer: Answer = {
            "translation": put_together(lines, [text for text, _ in told], example.to),
            "confidence": sure,
        }
        if len(self.targets) > 1:
            answer["to"] = example.to
        return answer | ({"missing": missing} if missing else {})

    def measures(self, examples: Sequence[Translated], answers: Sequence[Answer]) -> dict[str, Measure]:
        """BLEU and chrF of all, and of each direction where there are several."""
        bleus, chrfs = np.zeros((len(examples), 10)), np.zeros((len(examples), 18))
        rows: dict[tuple[str, str], list[int]] = {}
        for number, example in enumerate(examples):
            rows.setdefault(example.direction, []).append(number)
        for (_, to), own in rows.items():
            texts = [answers[number]["translation"] for number in own]
            references = [examples[number].targets for number in own]
            bleus[own] = bleu_statistics(texts, references, to)
            chrfs[own] = chrf_statistics(texts, references)
        found = {"BLEU": Measure(bleus, bleu), "chrF": Measure(chrfs, chrf)}
        for (language, to), own in sorted(rows.items()) if len(self.learned) > 1 else ():
            alone = np.isin(np.arange(len(examples)), own)[:, None]
            found[f"BLEU {language}-{to}"] = Measure(bleus * alone, bleu)
            found[f"chrF {language}-{to}"] = Measure(chrfs * alone, chrf)
        return found

    def details(self, examples: Sequence[Translated], answers: Sequence[Answer]) -> dict[str, Any]:
        """How the figures were come by, as sacrebleu tells it, for each language."""
        return {"signatures": {to: signatures(to) for to in dict.fromkeys(str(example.to) for example in examples)}}

    def mistakes(self, examples: Sequence[Translated], answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """Text, translation, and what was written."""
        scores = chrf(chrf_statistics([a["translation"] for a in answers], [e.targets for e in examples]))
        return [
            {
                "place": example.place,
                "text": example.source,
                "gold": example.targets[0],
                "predicted": answer["translation"],
                "right": answer["translation"] in example.targets,
                "score": float(score),
                "confidence": answer.get("confidence"),
            }
            for example, answer, score in zip(examples, answers, scores, strict=True)
        ]

    def varied(
        self, examples: Sequence[Translated], generator: np.random.Generator, neighbours: Neighbours | None
    ) -> list[Translated]:
        """Pairs with placeholders put in on both sides, to practise keeping them."""
        return practised(examples, self.placeholders, generator)

    def made(self, folder: Path) -> list[Translated]:
        """Pairs made by back-translation, of text that no other part holds; those that lie in the run's folder already."""
        if self.back_translation is None:
            return []
        run, files, learned = self.back_translation, self.monolingual, self.learned
        sizes = [(file, Path(file).stat().st_size) for file in files if Path(file).is_file()]
        left_out = sorted(self._scored)
        return kept_pairs(
            folder / MADE_PAIRS, lambda: made_pairs(run, files, learned, left_out), run, files, sizes, learned, left_out
        )

    def yardstick(
        self, train: Sequence[Translated], parts: Sequence[Sequence[Translated]], seed: int
    ) -> tuple[str, list[list[Answer]]]:
        """A translation memory of each direction."""
        memories = {}
        for way in dict.fromkeys(pair.direction for pair in train):
            own = [pair for pair in train if pair.direction == way]
            memories[way] = TranslationMemory([pair.source for pair in own], [pair.targets[0] for pair in own])
        answers = [
            [
                {"translation": memories[each.direction].nearest(each.source) if each.direction in memories else ""}
                for each in part
            ]
            for part in parts
        ]
        return "translation memory", answers
