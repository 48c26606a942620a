"""The model card of a run (Mitchell et al. 2019): README.md with the front matter that the Hugging Face hub reads.

English first, Chinese below, both from the same facts. The licence is the owner's to choose. What all cards share is in
`card.md.jinja`; a language model and a run that was tuned for a task each fill it in their own way.
"""

import re
import shlex
from dataclasses import dataclass
from typing import Any

import jinja2

from inkstone.evaluation.figure_words import figure_in_words, is_better
from inkstone.evaluation.page import source
from inkstone.evaluation.record import Record, number
from inkstone.progress import human_bytes, human_count, human_time

NONE = "–"
SAMPLE_CHARACTERS = 600
SMALLEST_SHARE = 0.05  # of a language that the card names
LABELS_SHOWN, FILES_SHOWN = 60, 20


@dataclass(frozen=True)
class Purpose:
    """What a task is for: the hub's name of it, and what such a model does."""

    pipeline: str
    english: str
    chinese: str


PURPOSES = {
    "classify": Purpose("text-classification", "gives texts labels", "给文本分类"),
    "tag": Purpose("token-classification", "gives the words of a text labels", "给文本中的词标注"),
    "roles": Purpose(
        "token-classification", "finds who did what to whom, when and where", "找出谁在何时何地对谁做了什么"
    ),
    "answer": Purpose("question-answering", "finds the answer to a question in a text", "在文本中找出问题的答案"),
    "embed": Purpose(
        "sentence-similarity",
        "makes of texts vectors that are near where the texts are alike",
        "把文本变成向量，意思相近的彼此靠近",
    ),
    "extract": Purpose("text-generation", "writes records of texts, in JSON", "从文本抽取记录，写成 JSON"),
    "summarize": Purpose("summarization", "writes summaries of texts", "给文本写摘要"),
    "chat": Purpose("text-generation", "answers in conversations", "在对话中回答"),
    "prefer": Purpose("text-generation", "answers in conversations as people preferred", "按人的偏好在对话中回答"),
    "translate": Purpose("translation", "translates texts", "翻译文本"),
    "transcribe": Purpose("automatic-speech-recognition", "writes down what is said in recordings", "把录音写成文字"),
}

CONVERSING = ("chat", "prefer")  # tasks whose model is one of language, which transformers opens

SECOND_VOICES = {  # of runs with task.blend
    "classify": ("the classifier by counts in `counts`", " `counts` 里的计数分类器"),
    "tag": ("the CRF over feature templates in `features`", " `features` 里的特征模板 CRF"),
    "summarize": ("the model of excerpts in `excerpts`", " `excerpts` 里的摘句模型"),
}


def model_card(record: Record) -> str:
    """The card as Markdown. What the run did not record is left out."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(source), undefined=jinja2.ChainableUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "bytes": lambda value: _shown(value, human_bytes),
        "count": lambda value: _shown(value, human_count),
        "whole": lambda value: _shown(value, lambda n: f"{n:,.0f}"),
        "time": lambda value: _shown(value, human_time),
        "three": lambda value: _shown(value, lambda n: f"{n:.3f}"),
        "short": lambda value: _shown(value, lambda n: f"{n:,.0f}" if n >= 1000 else f"{n:.3g}"),
        "pairs": lambda value: list(value.items()) if isinstance(value, dict) else [],
        "rows": lambda value: value if isinstance(value, list) else [],
        "code": code,
        "quoted": lambda text: shlex.quote(text.replace("\n", " ")),
    }
    tuned = bool(record.stages["data"])
    card = environment.get_template(f"{'task' if tuned else 'language'}_card.md.jinja").render(
        **record.stages,
        **(_of_task(record) if tuned else _of_language_model(record)),
        name=record.folder.resolve().name,
        folder=str(record.folder),
        finished=record.finished,
    )
    return re.sub(r"\n{3,}", "\n\n", card).strip() + "\n"


def _of_language_model(record: Record) -> dict[str, Any]:
    """What only the card of a language model shows."""
    recipe = record.recipe
    sample = next((str(s["text"]) for s in record.samples if s.get("text")), "")[:SAMPLE_CHARACTERS]
    layout, family = (recipe.model.layout, recipe.model.family) if recipe else (None, "decoder")
    return {
        "library": "transformers" if family == "decoder" else "inkstone",
        "pipeline": "text-generation",
        "tags": [layout or family] if layout or family != "decoder" else [],
        "languages": _languages(record.stages["text"].get("languages")),
        "layout": layout,
        "family": family,
        "sources": recipe.text.sources if recipe else [],
        "deduplicated": bool(recipe and recipe.text.clean and recipe.text.near_duplicates),
        "shape": recipe.model if recipe else None,
        "sample": fenced(sample) if sample else "",
    }


def _of_task(record: Record) -> dict[str, Any]:
    """What only the card of a tuned run shows."""
    data, evaluation, outcome = (record.stages[name] for name in ("data", "evaluation", "outcome"))
    recipe, choices = record.recipe, record.stages["plan"].get("choices")
    bodies = [each for each in choices if _table(each).get("name") == "body"] if isinstance(choices, list) else []
    task = str(outcome.get("task") or (recipe.task.name if recipe else ""))
    parts = {name: part for name, part in data.items() if isinstance(part, dict)}
    train = parts.get("train", {})
    yardstick = _table(evaluation.get("yardstick"))
    figures, beside = _table(evaluation.get("figures")), _table(yardstick.get("figures"))
    last, score = next(reversed(figures), ""), str(outcome.get("score", ""))
    own, other = (_table(_table(each.get(last)).get(score)) for each in (figures, beside))
    return {
        "library": "transformers" if task in CONVERSING else "inkstone",
        "pipeline": PURPOSES[task].pipeline if task in PURPOSES else "feature-extraction",
        "tags": [task] if task in PURPOSES else [],
        "languages": _languages(train.get("languages")),
        "task": task,
        "chats": task in CONVERSING,
        "purpose": PURPOSES.get(task),
        "labels": list(_table(train.get("labels"))),
        "most_labels": LABELS_SHOWN,
        "body": bodies[0] if bodies else {},
        "parts": parts,
        "most_files": FILES_SHOWN,
        "yardstick": str(yardstick.get("name", "")),
        "figures": [
            {"part": part, "name": name, "own": _figure(figure), "other": _figure(_table(beside.get(part)).get(name))}
            for part, of_part in figures.items()
            for name, figure in _table(of_part).items()
        ],
        "voice": SECOND_VOICES.get(task) if recipe and recipe.task.blend else None,
        "behind": is_better({**own, **other}, own),
        "test": "test" in figures,
    }


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _figure(figure: Any) -> str:
    """A figure with its interval.

    >>> _figure({"value": 0.875, "low": 0.8, "high": 0.93})
    '87.5 % (80.0 to 93.0)'
    """
    return NONE if number(_table(figure).get("value")) is None else figure_in_words(figure, interval="")


def code(value: Any) -> str:
    """Text from outside as inline code, so that no part of it is read as Markdown.

    >>> code("a`b|c")
    '`` a`b\\\\|c ``'
    """
    text = " ".join(str(value).split()).replace("|", "\\|")
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{ticks}{text}{ticks}" if len(ticks) == 1 else f"{ticks} {text} {ticks}"


def fenced(text: str) -> str:
    """Text from outside as a code block whose fence is longer than any in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def _languages(found: Any) -> list[str]:
    """The codes; of counted examples, whose texts are short, those of at least a twentieth: rarer ones are mostly mistaken."""
    codes = [code for code in found if re.fullmatch("[a-z]{2,3}", code)] if isinstance(found, dict) else []
    counts = {code: number(found[code]) for code in codes}
    least = SMALLEST_SHARE * sum(count or 0 for count in counts.values())
    return [code for code, count in counts.items() if code != "und" and (count is None or count >= least)][:8]


def _shown(value: Any, words: Any) -> str:
    found = number(value)
    return NONE if found is None else words(found)
