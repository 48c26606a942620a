"""`inkstone search`: passages of a folder that a question is about, and, with a run that answers, the answer and its place."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from inkstone.errors import RecipeError, RunError, TextError
from inkstone.evaluation.intervals import ratio_interval
from inkstone.evaluation.ranking import ndcg, recall
from inkstone.progress import LiveLine
from inkstone.tasks.answer import Question
from inkstone.tasks.columns import by_name
from inkstone.tasks.passage_index import Found, PassageIndex
from inkstone.tasks.predict import Predictor
from inkstone.text.passages import Passage
from inkstone.text.reading_report import ReadingReport
from inkstone.text.records import Record, read_records
from inkstone.text.squad import QUESTION_NAMES

ANSWERED_FROM = 5  # passages in which an answer is looked for
FILE_NAMES = ("file", "source", "path", "文件")
LINE_NAMES = ("line", "行")
DEPTH = 10  # places that are scored


def search(
    text: str | Path | Sequence[str | Path],
    questions: str | Sequence[str] = (),
    *,
    run: str | Path | None = None,
    answer: str | Path | None = None,
    top: int = 5,
    index: str | Path | None = None,
    score: str | Path | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> dict[str, Any]:
    """Find the passages of files and folders that fit questions best.

    text: files, folders, archives, "data:NAME", as `train` reads them. Passages are ranked by the words that they share with
    the question (BM25); with `run`, tuned for the task embed, by their vectors as well, the two rankings fused.
    answer: a run tuned for the task answer, which then reads the best passages and says what they answer.
    index: a folder that keeps the index from call to call. score: a file of records with `question`, `file` and, if known,
    `line`: how well the passages there are found.

    Returns for each question its passages (place, file, line, text, score) and its answer; `scores` with intervals.
    Raises TextError where there is nothing to search or to ask, RunError for runs of other tasks.
    """
    if top < 1:
        raise RecipeError(f"top = {top}, but must be at least 1")
    begin = time.monotonic()
    questions = [questions] if isinstance(questions, str) else list(questions)
    if any(not question.strip() for question in questions):
        raise TextError("a question is empty")
    if not questions and score is None:
        raise TextError("nothing is asked; give a question")
    line, report = LiveLine(quiet), ReadingReport()
    reader = None if answer is None else answering_run(answer, device)
    text = [text] if isinstance(text, str | Path) else list(text)
    found = PassageIndex.of(text, run, index, device=device, line=line, report=report)
    results = [ask(found, question, top, reader) for question in questions]
    scores = None if score is None else scores_of(found, score)
    line.clear()
    return {
        "text": list(map(str, text)),
        "passages": len(found.passages),
        "by": "words" if run is None else "words and meaning",
        "skipped": [list(each) for each in report.skipped],
        "results": results,
        "scores": scores,
        "seconds": round(time.monotonic() - begin, 3),
    }


def ask(index: PassageIndex, question: str, top: int, reader: Predictor | None) -> dict[str, Any]:
    """The best passages for a question, and what the reader finds in them."""
    found = index.search(question, max(top, ANSWERED_FROM if reader else 0))
    result: dict[str, Any] = {"question": question, "passages": [_told(index, each) for each in found[:top]]}
    if reader is not None:
        result["answer"] = answer_from([index.passages[each.number] for each in found], question, reader)
    return result


def answer_from(passages: Sequence[Passage], question: str, reader: Predictor) -> dict[str, Any] | None:
    """The answer that the reader is surest of in the first few passages, with its place; None where it finds none."""
    asked = [Question(p.place, "", question, p.text) for p in passages[:ANSWERED_FROM]]
    best: dict[str, Any] | None = None
    for passage, given in zip(passages, reader.answers(asked), strict=False):
        if given["text"] and (best is None or given["confidence"] > best["confidence"]):
            place = passage.place_of(given["start"])
            best = {"text": given["text"], "confidence": given["confidence"], "place": place, "passage": passage.text}
    return best


def answering_run(run: Path | str, device: str) -> Predictor:
    """The model of a run that was tuned for the task answer. Raises RunError for any other."""
    predictor = Predictor.load(run, device)
    if predictor.task.name != "answer":
        raise RunError(
            f"{run} was tuned for the task {predictor.task.name}, and answers no questions; tune one by: inkstone tune answer DATA"
        )
    return predictor


def scores_of(index: PassageIndex, file: str | Path) -> dict[str, Any]:
    """Recall and nDCG of the first ten passages over the questions of a file, each with its interval.

    Right are the passages of the record's file that hold its line; without a line, all of that file.
    Raises TextError for a record without a question or file, and for a file that was not searched.
    """
    figures: dict[str, list[float]] = {"recall@1": [], f"recall@{DEPTH}": [], f"nDCG@{DEPTH}": []}
    by_file: dict[str, list[int]] = {}
    for number, passage in enumerate(index.passages):
        by_file.setdefault(re.split("[/!]", passage.file)[-1], []).append(number)
    for record in read_records([file]):
        question, right = _wanted(record, index.passages, by_file)
        ranked = [each.number for each in index.search(question, DEPTH)]
        values = (
            max(float(number in right) for number in ranked[:1] or [-1]),
            recall(ranked, right, DEPTH) or 0.0,
            ndcg(ranked, dict.fromkeys(right, 1.0), DEPTH) or 0.0,
        )
        for found, value in zip(figures.values(), values, strict=True):
            found.append(value)
    told: dict[str, Any] = {"questions": len(figures["recall@1"])}
    for name, values in figures.items():
        ones = np.ones(len(values))
        low, high = ratio_interval(np.array(values), ones, generator=np.random.default_rng(0))
        told[name] = {"value": float(np.mean(values)), "low": low, "high": high}
    return told


def _wanted(record: Record, passages: Sequence[Passage], by_file: Mapping[str, list[int]]) -> tuple[str, set[int]]:
    """The question of a record, and the numbers of the passages that are right."""
    columns = {name: [value] for name, value in record.values.items()}
    question, file, line = (by_name(columns, names) for names in (QUESTION_NAMES, FILE_NAMES, LINE_NAMES))
    if question is None or file is None:
        raise TextError(f"{record.place}: a record needs a question and a file; there is only: {', '.join(columns)}")
    name, at = str(record.values[file]), record.values.get(line or "")
    try:
        wanted = None if at in (None, "") else int(at)
    except (TypeError, ValueError):
        raise TextError(f"{record.place}: the line {at!r} is no number") from None
    right = {
        number
        for number in by_file.get(name.rpartition("/")[2], ())
        if (passages[number].file == name or passages[number].file.endswith(("/" + name, "!" + name)))
        and (wanted is None or passages[number].line <= wanted <= passages[number].last_line)
    }
    if not right:
        raise TextError(
            f"{record.place}: no passage of {name}{'' if wanted is None else f', line {wanted},'} was searched"
        )
    return str(record.values[question]), right


def _told(index: PassageIndex, found: Found) -> dict[str, Any]:
    passage = index.passages[found.number]
    ranks = {name: place for name, place in (("by_words", found.by_words), ("by_meaning", found.by_meaning)) if place}
    return {"place": passage.place, **asdict(passage), "score": round(found.score, 6), **ranks}
