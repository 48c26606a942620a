"""Summaries: a text in, a shorter one out, learned from pairs of both.

A text that is longer than the context is read in pieces that end between sentences; a summary is written of each, and one of these
summaries together. Beside the model stand summaries without training (`text/extractive.py`): first sentences and TextRank, whichever
the training part says is better.

With `blend` a stretch of the text is given where the model is not sure enough of what it wrote (`excerpts_beside.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float

from inkstone.errors import TextError
from inkstone.evaluation.intervals import ratio
from inkstone.evaluation.rouge import rouge_scores
from inkstone.models.excerpts import Excerpts
from inkstone.models.headed import Headed
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.columns import by_name, named
from inkstone.tasks.excerpts_beside import (
    FOLDER,
    SHARES,
    Excerpt,
    Shortened,
    best_excerpt,
    excerpts_of,
    second_voice,
    sure_enough,
)
from inkstone.tasks.framing import Frame
from inkstone.tasks.understanding import Understanding
from inkstone.tasks.written import Pair, Said, WritingSettings, written_ids
from inkstone.text.extractive import lead, textrank
from inkstone.text.records import Record, read_records
from inkstone.text.text_column import as_text, choose
from inkstone.text.word_cutting import joined
from inkstone.text.words import sentences
from inkstone.tokens.example_batches import Encoded, ExampleBatch

SOURCE_NAMES = (
    "document",
    "article",
    "text",
    "abstract",
    "content",
    "source",  # after the others, beside which it says where a text is from
    "正文",
    "原文",
    "文章",
    "内容",
    "內容",
    "摘要",
)
TARGET_NAMES = (
    *("summary", "summaries", "tldr", "target", "targets", "highlights", "headline", "title"),
    *("总结", "總結", "概要", "摘要", "标题", "標題"),
)
SAMPLE = 200  # records by which columns are told
ROUGE = ("ROUGE-1", "ROUGE-2", "ROUGE-L")
EXTRACTORS = {"lead": lead, "TextRank": textrank}
MOST_SENTENCES = 3  # of a summary without training
JUDGED = 300  # training examples by which it is chosen


@dataclass
class Summarize(WritingSettings):
    """The task. Columns that are not named are found by their names and contents."""

    no_repeat_ngram: int = 3
    blend: bool = False  # whether a model of excerpts is asked as well
    judgement: float = 0.0  # what the model holds of excerpts counts so much in the choice of one
    sure: float = 0.0  # the confidence from which on what was written is given, not an excerpt

    name: ClassVar[str] = "summarize"
    score: ClassVar[str] = "ROUGE-L"
    key: ClassVar[str] = "summary"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._excerpts: Excerpts | None = None

    def read(self, sources: Sequence[str], understanding: Understanding) -> list[Pair]:
        """The pairs of csv, tsv and JSON files; a text or its summaries may be lists, of sentences or of ways to say it."""
        records = read_records(sources, understanding.reading)
        head = list(islice(records, SAMPLE))
        try:
            source, target = self._columns(head)
        except TextError as error:
            raise TextError(f"{', '.join(sources)}: {error}") from None
        understanding.columns = {"text": source, "summary": target}
        found: list[Pair] = []
        seen: set[str] = set()
        for record in (*head, *records):
            pair = self._pair(record, source, target, understanding)
            if pair is None:
                continue
            if pair.source in seen:
                understanding.mend(pair.place, "the text stands in the file before; both are kept")
            seen.add(pair.source)
            found.append(pair)
        understanding.look_at([pair.source for pair in found])
        understanding.close(len(found))
        return found

    def _columns(self, head: Sequence[Record]) -> tuple[str, str]:
        """The column of the text and that of the summary."""
        samples = {
            name: [r.values.get(name) for r in head] for name in dict.fromkeys(n for r in head for n in r.values)
        }
        source = self.source_column and named(samples, self.source_column, "task.source_column")
        target = self.target_column and named(samples, self.target_column, "task.target_column")
        if source is None:
            rest = {name: values for name, values in samples.items() if name != target}
            source = by_name(rest, SOURCE_NAMES) or choose(rest, said_by="--set task.source_column=NAME")
        if target is None:
            rest = {name: values for name, values in samples.items() if name != source}
            target = by_name(rest, TARGET_NAMES) or _choose_summary(rest)
        return source, target

    def _pair(self, record: Record, source: str, target: str, understanding: Understanding) -> Pair | None:
        text, summaries = _text_of(record.values.get(source)), _texts_of(record.values.get(target))
        if not text:
            understanding.refuse(record.place, "the text is empty")
            return None
        if not summaries:
            understanding.refuse(record.place, "the summary is empty")
            return None
        if len(summaries[0]) > len(text):
            understanding.mend(record.place, "the summary is longer than its text; it is learned as it stands")
        return Pair(record.place, text, summaries)

    def asked(self, inputs: Sequence[Any]) -> list[Pair]:
        """Texts, or records with the column of the text."""
        return [self._asked(given, f"input {number}") for number, given in enumerate(inputs, 1)]

    def _asked(self, given: Any, place: str) -> Pair:
        if isinstance(given, Mapping):
            samples = {name: [value] for name, value in given.items()}
            own = self.source_column if self.source_column in samples else None
            given = _text_of(given[own or by_name(samples, SOURCE_NAMES) or choose(samples)])
        if not isinstance(given, str):
            raise TextError(f"{place}: {given!r} is no text, and no record with one")
        return Pair(place, given)

    def encode(self, examples: Sequence[Pair], frame: Frame) -> list[list[Encoded]]:
        """The pieces of each text; its summary is learned from the first of them."""
        tokenizer = frame.tokenizer
        sources = tokenizer.encode_batch([example.source for example in examples])
        targets = tokenizer.encode_batch([example.targets[0] if example.targets else "" for example in examples])
        self.learn_length(
            [written_ids(frame, ids) for e, ids in zip(examples, targets, strict=True) if e.targets], frame.context
        )
        room = self.room(frame)
        encoded = []
        for example, source, target in zip(examples, sources, targets, strict=True):
            pieces = [source] if len(source) <= room else _pieces(example.source, tokenizer, room)
            inputs = [self.inputs_of_pair(frame, pieces[0], target if example.targets else None)]
            encoded.append(inputs + [self.inputs_of_pair(frame, piece, None) for piece in pieces[1:]])
        return encoded

    def further(self, example: Pair, outputs: Sequence[Said]) -> Pair:
        """The summaries of a long text's pieces, to be summarised as one; the example itself where it was read whole."""
        written = _written(outputs)
        if len(written) == 1:
            return example
        source = joined([output.text for output in written])[0]
        return Shortened(example.place, source, example.targets, example.group, whole=example.source)

    def answer(self, example: Pair, outputs: Sequence[Said]) -> Answer:
        """The summary, and the mean probability of its tokens; or an excerpt, and its probability among all of them."""
        own = self._own(outputs)
        taken = _taken(outputs)
        if not taken or own["confidence"] >= self.sure:
            return own
        best = best_excerpt(taken, self.judgement)
        return {"summary": best.text, "confidence": float(np.exp(best.log_chance)), "excerpt": True}

    def _own(self, outputs: Sequence[Said]) -> Answer:
        written = _written(outputs)
        tokens = sum(output.tokens for output in written)
        confidence = np.exp(sum(output.log_chance for output in written) / max(1, tokens))
        return {"summary": joined([output.text for output in written])[0], "confidence": float(confidence)}

    @property
    def passes_to_settle(self) -> int:
        """Times that dev must be answered before it is settled what to answer."""
        return int(self.blend)

    def learn_beside(self, examples: Sequence[Pair], folder: Path) -> None:
        """Learn the model of excerpts, if there is to be one, and keep it in the run's folder."""
        if self.blend:
            second_voice(examples, folder)

    def open_beside(self, folder: Path) -> None:
        """Open the model of excerpts that the run's folder holds. Raises RunError and CheckpointError where it cannot be."""
        if self.blend:
            self._excerpts = Excerpts.load(folder / FOLDER)

    def beside(self, examples: Sequence[Pair], outputs: list[list[Any]]) -> list[list[Any]]:
        """What was written of each text, and after it the likeliest excerpts, once the model of them was opened."""
        if self._excerpts is None:
            return outputs
        excerpts = [excerpts_of(self._excerpts, example) for example in examples]
        return [[*own, *found] for own, found in zip(outputs, excerpts, strict=True)]

    def offered(self, examples: Sequence[Pair], outputs: Sequence[Sequence[Said]], frame: Frame) -> list[list[Encoded]]:
        """Each excerpt as if it were to be written of its text; none of a text that was read in pieces."""
        if self._excerpts is None:
            return [[] for _ in examples]
        found = []
        for example, of_one in zip(examples, outputs, strict=True):
            whole = len(_written(of_one)) == 1 and not isinstance(example, Shortened)
            texts = [example.source, *(excerpt.text for excerpt in _taken(of_one))] if whole else [""]
            source, *targets = frame.tokenizer.encode_batch(texts)
            found.append([self.inputs_of_pair(frame, source, target) for target in targets])
        return found

    def judge(self, model: Headed, batch: ExampleBatch) -> list[float]:
        """The nats of each excerpt, a token in the mean."""
        each, row = self._nats_of_tokens(model, batch, 0.0)
        rows = len(batch.weight)
        total = torch.zeros(rows, device=each.device).index_add(0, row, each.float())
        return (total / torch.bincount(row, minlength=rows)).tolist()

    def judged(self, outputs: Sequence[Sequence[Said]], judgements: Sequence[Sequence[float]]) -> list[list[Said]]:
        """What was written, and the excerpts with what the model holds of them."""
        return [
            [*_written(own), *(replace(each, nats=nats) for each, nats in zip(_taken(own), told, strict=True))]
            if told
            else list(own)
            for own, told in zip(outputs, judgements, strict=True)
        ]

    def settle(self, examples: Sequence[Pair], outputs: Sequence[Sequence[Said]]) -> None:
        """Choose by the mean of ROUGE-1, 2 and L what the model's judgement counts, and how sure it must be of what it wrote.

        Texts that were read in pieces count where there are no others.
        """
        known = [(e, own) for e, own in zip(examples, outputs, strict=True) if _taken(own) and e.targets]
        known = [(e, own) for e, own in known if len(_written(own)) == 1] or known
        if not known:
            return
        references = [example.targets for example, _ in known]

        def worths(texts: Sequence[str]) -> Float[np.ndarray, " n"]:
            scores = rouge_scores(texts, references, ROUGE)
            return np.mean([scores.each[kind][:, 2] for kind in ROUGE], axis=0)

        taken = [worths([best_excerpt(_taken(own), share).text for _, own in known]) for share in SHARES]
        best = int(np.argmax([own.mean() for own in taken]))
        written = [self._own(own) for _, own in known]
        self.judgement = SHARES[best]
        self.sure = sure_enough(
            [answer["confidence"] for answer in written], worths([a["summary"] for a in written]), taken[best]
        )

    def measures(self, examples: Sequence[Pair], answers: Sequence[Answer]) -> dict[str, Measure]:
        """F1 of ROUGE-L, ROUGE-1 and ROUGE-2 with the best of the summaries that are known."""
        scores = rouge_scores([answer["summary"] for answer in answers], [e.targets for e in examples], ROUGE)
        order = (self.score, *(kind for kind in ROUGE if kind != self.score))
        return {kind: Measure(scores.statistics(kind), ratio) for kind in order}

    def mistakes(self, examples: Sequence[Pair], answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """Text, summary, and what was written."""
        scores = rouge_scores([a["summary"] for a in answers], [e.targets for e in examples], (self.score,))
        return [
            {
                "place": example.place,
                "text": example.source,
                "gold": example.targets[0],
                "predicted": answer["summary"],
                "right": answer["summary"] in example.targets,
                "score": float(score),
                "confidence": answer.get("confidence"),
            }
            for example, answer, score in zip(examples, answers, scores.each[self.score][:, 2], strict=True)
        ]

    def yardstick(
        self, train: Sequence[Pair], parts: Sequence[Sequence[Pair]], seed: int
    ) -> tuple[str, list[list[Answer]]]:
        """First sentences or TextRank, so many of them as the training part's summaries are best met with."""
        chosen = np.random.default_rng(seed).permutation(len(train))[:JUDGED]
        judged = [train[number] for number in chosen]
        ways = [(name, size) for size in range(1, MOST_SENTENCES + 1) for name in EXTRACTORS]
        met = [self.measures(judged, _extracted(judged, *way))[self.score].value for way in ways]
        name, size = ways[int(np.argmax(met))]
        told = f"{name}, {size} sentence{'s' * (size > 1)}"
        return told, [_extracted(part, name, size) for part in parts]


def _written(outputs: Sequence[Said]) -> list[Said]:
    return [output for output in outputs if not isinstance(output, Excerpt)]


def _taken(outputs: Sequence[Said]) -> list[Excerpt]:
    return [output for output in outputs if isinstance(output, Excerpt)]


def _extracted(examples: Sequence[Pair], name: str, size: int) -> list[Answer]:
    return [{"summary": joined(EXTRACTORS[name](example.source, size))[0]} for example in examples]


def _pieces(text: str, tokenizer: Any, room: int) -> list[np.ndarray]:
    """The tokens of stretches of whole sentences that fit; a sentence that does not fit by itself is cut into such parts."""
    pieces: list[np.ndarray] = []
    under_way: list[np.ndarray] = []
    for ids in tokenizer.encode_batch(_stretches(text)):
        parts = [ids[at : at + room] for at in range(0, max(1, len(ids)), room)]
        for part in parts:
            if under_way and sum(map(len, under_way)) + len(part) > room:
                pieces.append(np.concatenate(under_way))
                under_way = []
            under_way.append(part)
    return [*pieces, np.concatenate(under_way)] if under_way else pieces


def _stretches(text: str) -> list[str]:
    """The text in parts that end with its sentences; blanks go with the sentence after them, as tokens have them."""
    found, end = [], 0
    for sentence in sentences(text):
        stop = max(end, text.find(sentence, end)) + len(sentence)
        found.append(text[end:stop])
        end = stop
    return found


def _choose_summary(samples: Mapping[str, Sequence[Any]]) -> str:
    """Of the columns that are left the one with the longest texts that differ. Raises TextError where there is none."""
    mean = {
        name: float(np.mean([len(_text_of(value)) for value in values]))
        for name, values in samples.items()
        if len(values) == 1 or len(set(map(str, values))) > 1
    }
    best = max(mean, key=lambda name: mean[name], default=None)
    if best is None or not mean[best]:
        raise TextError(
            f"no column that looks like a summary; besides the text the columns are: {', '.join(samples) or 'none'}; name it with "
            "--set task.target_column=NAME"
        )
    return best


def _text_of(value: Any) -> str:
    """A text, or sentences joined to one."""
    if isinstance(value, list | tuple):
        return joined([part for each in value if (part := (as_text(each) or "").strip())])[0]
    return (as_text(value) or "").strip()


def _texts_of(value: Any) -> tuple[str, ...]:
    """One text, or several ways to say it."""
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(dict.fromkeys(text for each in values if (text := _text_of(each))))
