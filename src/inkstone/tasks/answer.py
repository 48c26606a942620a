"""Question answering by extraction: the stretch of a context that answers a question, or that none of it does.

The loss is the mean of −log p of the first and of the last token of the answer, among the tokens of a window and its closing
token, which stands for “no answer here” (Devlin et al. 2019, section 4.2 and 4.3). How stretches are scored says
`answer_windows.py`.

Where the training part has questions without an answer, one is given unless

    log p(no answer) − log p(best stretch) > threshold

the threshold being that which brings the highest F1 on dev.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from inkstone.errors import RecipeError, TextError, nearest
from inkstone.evaluation.answers import RULES, answer_score, no_answer_threshold
from inkstone.evaluation.intervals import ratio, with_ones
from inkstone.models.headed import Headed, HeadSettings
from inkstone.tasks.answer_windows import Said, said, windows
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.framing import Frame
from inkstone.tasks.task_settings import from_settings
from inkstone.tasks.understanding import Understanding
from inkstone.text.squad import Asked, asked_of, placed_answer, questions_of_paragraphs, read_questions
from inkstone.tokens.example_batches import Encoded, ExampleBatch
from inkstone.tokens.offsets import placed_tokens
from inkstone.tokens.tokenizer import whole_characters

FAULTS_NAMED = 5
RULE_SAMPLE = 1000  # questions by whose answers the rule of comparing is chosen


@dataclass(frozen=True)
class Question:
    """A question, its context, and its answers with the characters at which they begin (−1: it cannot be told)."""

    place: str
    name: str  # its id
    question: str
    context: str
    answers: tuple[tuple[str, int], ...] = ()
    impossible: bool = False  # known to have no answer in the context

    @property
    def text(self) -> str:
        """The context: all its questions stay in one part of the data."""
        return self.context

    @property
    def gold(self) -> list[str]:
        """The texts of its answers."""
        return [text for text, _ in self.answers]

    @property
    def placed(self) -> tuple[int, int] | None:
        """From which character to which the first answer stands whose place is known."""
        return next(((start, start + len(text)) for text, start in self.answers if start >= 0), None)


@dataclass
class ExtractAnswer:
    """The task."""

    stride: int | None = None  # tokens from the beginning of a window to that of the next; none: half a window
    longest_answer: int = 200  # characters
    answer_rule: str | None = None  # of `evaluation.answers.RULES`; none: by the script of the answers
    dense: bool = False
    dropout: float = 0.1
    unanswerable: bool = field(default=False)  # whether questions may have no answer
    threshold: float = field(default=0.0)  # of log p(no answer) − log p(best stretch), above which none is given

    name: ClassVar[str] = "answer"
    body: ClassVar[str] = "encoder"
    body_settings: ClassVar[Mapping[str, Any]] = {}
    score: ClassVar[str] = "F1"
    labels: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self):
        """Refuse settings that cannot hold."""
        if self.answer_rule is not None and self.answer_rule not in RULES:
            raise RecipeError(f"task.answer_rule = {self.answer_rule!r}; {nearest(self.answer_rule, RULES)}")
        for name in ("stride", "longest_answer"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise RecipeError(f"task.{name} = {getattr(self, name)}, but must be at least 1")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "ExtractAnswer":
        """From settings, or what `to_dict` gave. Raises RecipeError for a setting that there is not."""
        return from_settings(cls, settings)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    def read(self, sources: Sequence[str], understanding: Understanding) -> list[Question]:
        """The questions of SQuAD's JSON, of JSON lines, and of tables."""
        found: list[Question] = []
        asked_by: dict[str, tuple[str, str]] = {}  # an id: the question and its context
        for asked in read_questions(sources, understanding.reading):
            question = checked(asked, understanding)
            if question is None:
                continue
            same = (question.question, question.context)
            if question.name and question.name in asked_by:
                if asked_by[question.name] == same:
                    understanding.refuse(question.place, "the same id and question once more")
                    continue
                understanding.mend(question.place, "its id is that of another question; both are kept")
            asked_by.setdefault(question.name, same)
            found.append(question)
        understanding.look_at(list(dict.fromkeys(question.context for question in found)))
        none = sum(question.impossible for question in found)
        understanding.notices.append(
            f"{len({question.context for question in found}):,} contexts"
            + (f"; {none:,} questions have no answer in theirs" if none else "")
        )
        understanding.close(len(found))
        return found

    def asked(self, inputs: Sequence[Any]) -> list[Question]:
        """Pairs (question, context), or records with these two."""
        return [_asked(given, f"input {number}") for number, given in enumerate(inputs, 1)]

    def inputs_of(self, file: str | Path) -> list[Any] | None:
        """The questions of SQuAD's JSON, each with its context; None for a file of another form.

        Raises TextError where a question cannot be read: each must have its answer.
        """
        found = questions_of_paragraphs(file)
        if found is None:
            return None
        faults = [f"{asked.place}: {asked.fault}" for asked in found if asked.fault and not asked.context]
        if faults:
            raise TextError("; ".join(faults[:FAULTS_NAMED]))
        return [{"id": asked.name, "question": asked.question, "context": asked.context} for asked in found]

    def learn(self, examples: Sequence[Question]) -> None:
        """Whether questions may have no answer, and how answers are compared."""
        self.unanswerable = any(example.impossible for example in examples)
        if all(example.placed is None for example in examples):
            raise TextError("no question of the training part has an answer in its context; there is nothing to learn")
        if self.answer_rule is None:
            answered = islice((example.gold[0] for example in examples if example.gold), RULE_SAMPLE)
            chinese = [any("一" <= character <= "龥" for character in text) for text in answered]
            self.answer_rule = "cmrc" if sum(chinese) * 2 > len(chinese) else "squad"

    def settle(self, examples: Sequence[Question], outputs: Sequence[Sequence[Said]]) -> None:
        """Choose the threshold that brings the highest F1 on dev."""
        known = [(e, self.answer(e, o)) for e, o in zip(examples, outputs, strict=True) if e.gold or e.impossible]
        if not self.unanswerable or not known:
            return
        scores = [answer_score(answer["best"]["text"], example.gold, self._rule).f1 for example, answer in known]
        none = np.array([answer["no_answer"] for _, answer in known])
        answerable = np.array([not example.impossible for example, _ in known])
        self.threshold, _ = no_answer_threshold(np.array(scores), none, answerable)

    def head(self) -> HeadSettings:
        """Scores of being the first and the last token of the answer."""
        return HeadSettings("span", dense=self.dense, dropout=self.dropout)

    def texts(self, examples: Sequence[Question]) -> list[str]:
        """Each context once, with one of its questions, and the other questions."""
        seen: set[str] = set()
        found = []
        for example in examples:
            found.append(example.question if example.context in seen else f"{example.question}\n{example.context}")
            seen.add(example.context)
        return found

    def encode(self, examples: Sequence[Question], frame: Frame) -> list[list[Encoded]]:
        """The windows of each."""
        contexts = list(dict.fromkeys(example.context for example in examples))
        places = dict(zip(contexts, placed_tokens(frame.tokenizer, contexts), strict=True))
        questions = placed_tokens(frame.tokenizer, [example.question for example in examples])
        return [
            windows(
                frame,
                question,
                places[example.context],
                (example.question, example.context),
                self.stride,
                example.placed,
                example.impossible or example.placed is not None,
            )
            for example, question in zip(examples, questions, strict=True)
        ]

    def loss(self, model: Headed, batch: ExampleBatch, generator: torch.Generator) -> Float[Tensor, ""]:
        """Mean nats of an end of the answer."""
        scores, target, characters = model(batch).float(), batch.target, batch.characters
        assert target is not None and characters is not None
        allowed = characters[..., 1] > characters[..., 0]
        allowed[torch.arange(len(scores), device=scores.device), batch.valid.sum(1) - 1] = True
        scores = scores.masked_fill(~allowed[..., None], -torch.inf)
        each = F.cross_entropy(scores, target, reduction="none").mean(1)
        return (each * batch.weight).sum() / batch.weight.sum()

    def outputs(self, model: Headed, batch: ExampleBatch) -> list[Said]:
        """The best stretch of each window."""
        scores = model(batch).float().cpu().numpy()
        assert batch.characters is not None
        characters, lengths = batch.characters.cpu().numpy(), batch.valid.sum(1).tolist()
        return [
            said(row[:length, 0], row[:length, 1], places[:length], self.longest_answer)
            for row, places, length in zip(scores, characters, lengths, strict=True)
        ]

    def answer(self, example: Question, outputs: Sequence[Said]) -> Answer:
        """The likeliest stretch of all windows: text, start, stop, confidence.

        Where questions may have no answer, `no_answer` is by how many nats none is likelier in the window in which it is least
        so, and `best` the stretch whatever was decided. An answer that is none has the text "".
        """
        best = max(outputs, key=lambda window: window.log_p)
        none = min(window.log_none for window in outputs)
        found = {
            "text": example.context[best.start : best.stop],
            "start": best.start,
            "stop": best.stop,
            "confidence": float(np.exp(best.log_p)),
        }
        if not self.unanswerable:
            return found
        strength = none - best.log_p if np.isfinite(best.log_p) else 1e9
        if strength > self.threshold:
            nothing = {"text": "", "start": None, "stop": None, "confidence": float(np.exp(none))}
            return {**nothing, "no_answer": strength, "best": found}
        return {**found, "no_answer": strength, "best": found}

    def measures(self, examples: Sequence[Question], answers: Sequence[Answer]) -> dict[str, Measure]:
        """F1 and exact match, each against the best of the gold answers."""
        scores = [answer_score(a["text"], e.gold, self._rule) for e, a in zip(examples, answers, strict=True)]
        f1, exact = np.array([score.f1 for score in scores]), np.array([score.exact for score in scores])
        measures = {"F1": Measure(with_ones(f1), ratio), "exact match": Measure(with_ones(exact), ratio)}
        if self.unanswerable:
            has = np.array([bool(example.gold) for example in examples], dtype=np.float64)
            measures["F1 where there is an answer"] = Measure(np.stack([f1 * has, has], axis=1), ratio)
            measures["right where there is none"] = Measure(np.stack([exact * (1 - has), 1 - has], axis=1), ratio)
        return measures

    def mistakes(self, examples: Sequence[Question], answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """Question and context, the answers, and how sure the model was."""
        rows = []
        for example, answer in zip(examples, answers, strict=True):
            score = answer_score(answer["text"], example.gold, self._rule)
            rows.append(
                {
                    "place": example.place,
                    "text": f"{example.question}\n{example.context}",
                    "gold": " | ".join(dict.fromkeys(example.gold)),
                    "predicted": answer["text"],
                    "right": score.exact == 1,
                    "score": score.f1,
                    "confidence": answer["confidence"],
                }
            )
        return rows

    def yardstick(self, train: Sequence[Question], parts: Sequence[Sequence[Question]], seed: int) -> Any:
        """Answers of `answer_yardstick.LexicalAnswers`, learned from the training part."""
        from inkstone.tasks.answer_yardstick import LexicalAnswers

        lexical = LexicalAnswers.fit(train, self.longest_answer, np.random.default_rng(seed))
        return "words alone", [
            [
                {"text": example.context[start:stop], "start": start, "stop": stop, "confidence": confidence}
                for example in part
                for start, stop, confidence in [lexical.answer(example.question, example.context)]
            ]
            for part in parts
        ]

    @property
    def _rule(self) -> str:
        return self.answer_rule or "squad"


def checked(asked: Asked, understanding: Understanding) -> Question | None:
    """The question with its answers in place, or None; what is doubtful goes into `understanding`."""
    place = asked.place
    if asked.fault is not None:
        return understanding.refuse(place, asked.fault)
    question, context = whole_characters(asked.question)[0].strip(), whole_characters(asked.context)[0]
    if not question or not context.strip():
        return understanding.refuse(place, "the question is empty" if not question else "the context is empty")
    if asked.impossible and asked.answers:
        return understanding.refuse(place, "is_impossible is true, but there are answers")
    answers, faults = [], []
    for text, start in asked.answers:
        text = whole_characters(text)[0]
        blanks = len(text) - len(text.lstrip())
        text = text.strip()
        if not text:
            faults.append("an answer is empty")
            continue
        found, fault = placed_answer(context, text, None if start is None else start + blanks)
        if fault is not None:
            faults.append(fault)
        answers.append((text, -1 if found is None else found))
    if not answers and not asked.impossible:
        return understanding.refuse(place, faults[0] if faults else "no answer, and is_impossible is not true")
    if answers and all(start < 0 for _, start in answers):
        if understanding.part == "train":
            return understanding.refuse(place, faults[0])
        faults = [f"{faults[0]}; it counts in the figures all the same"]
    for fault in dict.fromkeys(faults):
        understanding.mend(place, fault)
    return Question(place, asked.name, question, context, tuple(dict.fromkeys(answers)), asked.impossible)


def _asked(given: Any, place: str) -> Question:
    if isinstance(given, list | tuple) and len(given) == 2:
        given = {"question": given[0], "context": given[1]}
    if not isinstance(given, dict):
        raise TextError(
            f"{place}: {given!r:.60} is a question without its context; give records with question and context, or "
            "name the text with --context FILE"
        )
    asked = asked_of(given, place)
    if asked.fault is not None and "answers" not in asked.fault:
        raise TextError(f"{place}: {asked.fault}")
    return Question(place, asked.name, whole_characters(asked.question)[0], whole_characters(asked.context)[0])
