"""The task of a checkpoint that others tuned, as its config.json describes it: what `predict` and `eval` ask it by.

    BertForSequenceClassification   classify   softmax of the scores; of several labels the sigmoid of each
    BertForTokenClassification      tag        for each word the label that the first of its tokens scores best
    BertForQuestionAnswering        answer     the stretch with the highest start and end scores

and the classes of RoBERTa with these names. The answers are those of transformers: no scheme of tags is forced on a checkpoint,
whose labels may be of any, and “no answer here” is the score of the first token (Devlin et al. 2019, section 4.3).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from inkstone.evaluation.tag_schemes import spans_of, tags_of
from inkstone.hub.bert_tasks import longest_input, several_labels
from inkstone.layers.tag_moves import tag_moves
from inkstone.models.headed import Headed
from inkstone.tasks.answer import ExtractAnswer, Question
from inkstone.tasks.answer_windows import Said, best_stretch
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.classify import Classify
from inkstone.tasks.tag import Tag
from inkstone.tasks.tagged import AUTO, NONE, Tagged
from inkstone.tasks.understanding import Understanding
from inkstone.tokens.example_batches import ExampleBatch

WINDOW = 384  # tokens of a question and a piece of its context, as checkpoints for questions are trained


def task_of_checkpoint(model: Headed, config: Mapping[str, Any], folder: Path) -> tuple[Any, int]:
    """The task of a checkpoint that `hub.bert_tasks.is_task`, and the context to ask it in.

    Raises RunError for one that tells an amount.
    """
    labels, context = model.head.labels, longest_input(folder, model.settings.context)
    if model.head.kind == "class":
        several = several_labels(config, len(labels), folder / "config.json")
        return Classify(several=several, labels=labels, weights=(1.0,) * len(labels)), context
    if model.head.kind == "token":
        return ForeignTag(scheme=NONE if tag_moves(labels) is None else "BIO", labels=labels, **_CUT), context
    return ForeignAnswer(), min(context, WINDOW)


# Chinese characters are single tokens of such checkpoints, each with a label.
_CUT: dict[str, Any] = {"units": "han", "dictionary": False, "settled": True}


class ForeignTag(Tag):
    """Tagging with labels of any scheme, each the best by itself; spans are read as the conlleval script reads them."""

    def read(self, sources: Sequence[str], understanding: Understanding) -> list[Tagged]:
        """The sentences, by the scheme that the file has, which need not be that of the checkpoint."""
        if self.scheme != NONE:
            self.scheme, self.settled = AUTO, False
        return super().read(sources, understanding)

    def _chain(self, model: Headed) -> None:
        return None

    def _said(self, example: Tagged, tags: list[str]) -> Answer:
        return {**super()._said(example, self._in_bio(tags)), "tags": tags}

    def measures(self, examples: Sequence[Tagged], answers: Sequence[Answer]) -> dict[str, Measure]:
        """As `Tag`; the tags are compared in one scheme."""
        told = [{**answer, "tags": self._in_bio(answer["tags"])} for answer in answers]
        return super().measures(examples, told)

    def _in_bio(self, tags: Sequence[str]) -> list[str]:
        return list(tags) if self.scheme == NONE else tags_of(spans_of(tags, strict=False), len(tags))


class ForeignAnswer(ExtractAnswer):
    """Extraction of answers by a checkpoint of the layout of BERT.

    The chance of a stretch is that of its first token among all first ones times that of its last token among all last ones.
    Whether a checkpoint was taught that there may be no answer, it does not say: one is always given, unless examples are
    read of which some have none.
    """

    def read(self, sources: Sequence[str], understanding: Understanding) -> list[Question]:
        """The questions."""
        found = super().read(sources, understanding)
        if any(question.placed for question in found):
            self.learn(found)
        return found

    def outputs(self, model: Headed, batch: ExampleBatch) -> list[Said]:
        """The best stretch of each window, and how likely the first token is in its place."""
        scores = model(batch).float().cpu().numpy().astype(np.float64)
        assert batch.characters is not None
        characters, lengths = batch.characters.cpu().numpy(), batch.valid.sum(1).tolist()
        found = []
        for row, places, length in zip(scores, characters, lengths, strict=True):
            inside = np.flatnonzero(places[:length, 1] > places[:length, 0])
            asked = np.append(0, inside)
            first, last = (_log_softmax(row[asked, side]) for side in (0, 1))
            starts, stops = places[inside].T
            low = np.searchsorted(starts, stops - self.longest_answer)
            best, (begin, end) = best_stretch(first[1:], last[1:], low)
            span = (int(starts[begin]), int(stops[end])) if len(inside) else (0, 0)
            found.append(Said(*span, best, float(first[0] + last[0])))
        return found


def _log_softmax(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return scores - scores.max() - np.log(np.exp(scores - scores.max()).sum())
