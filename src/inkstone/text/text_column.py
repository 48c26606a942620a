"""Which column of a table holds the text: the one with a usual name, else the one with the longest prose."""

from collections.abc import Mapping, Sequence
from json import dumps

from inkstone.errors import TextError, nearest

NAMES = (
    *(
        "text",
        "content",
        "body",
        "article",
        "document",
        "passage",
        "paragraph",
        "paragraphs",
        "full_text",
        "raw_content",
    ),
    *("sentence", "story", "post", "comment", "review", "abstract"),
    *("正文", "内容", "內容", "文本", "文章", "全文", "段落", "句子", "评论", "評論"),
)
SAMPLE_RECORDS = 100


def choose(
    samples: Mapping[str, Sequence[object]],
    wanted: str | None = None,
    said_by: str = "--text-column, or for train with --set text.column=NAME",
) -> str:
    """The name of the column that holds the text, judged by a few values of each column.

    `wanted` is taken when it exists; `said_by` is what a person says it with. Raises TextError, naming the columns, when it does not and when no column holds text.

    >>> choose({"id": ["7", "8"], "Body": ["", ""]})
    'Body'
    >>> choose({"url": ["http://a/b"], "opinion": ["It was a dark and stormy night."]})
    'opinion'
    """
    columns = ", ".join(samples) or "none"
    if wanted is not None:
        if wanted in samples:
            return wanted
        raise TextError(f"no column {wanted!r}; the columns are: {columns}; {nearest(wanted, samples)}")
    lower = {name.strip().lower(): name for name in reversed(list(samples))}
    for name in NAMES:
        if name in lower:
            return lower[name]
    length = {name: _prose_length(values) for name, values in samples.items()}
    best = max(length, key=lambda name: length[name], default=None)
    if best is None or not length[best]:
        raise TextError(f"no column that holds text; the columns are: {columns}; name one with {said_by}")
    return best


def _prose_length(values: Sequence[object]) -> float:
    """The mean length of the values that are prose; 0 when fewer than half of those that are not empty are."""
    filled = [text for text in map(as_text, values) if text]
    prose = [text for text in filled if is_prose(text)]
    return sum(map(len, prose)) / len(prose) if len(prose) * 2 > len(filled) else 0.0


def is_prose(text: str) -> bool:
    """Whether a value has several words, or characters of a script that writes none apart."""
    words = [word for word in text.split() if any(char.isalpha() for char in word)]
    return len(words) > 2 or sum("\u3040" <= char <= "\u9fff" for char in text) > 3


def as_text(value: object) -> str | None:
    """The text of a value: a list of strings is joined by line ends; null is none."""
    if value is None:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return "\n".join(text for text in map(as_text, value) if text is not None)
    return dumps(value, ensure_ascii=False, default=str)
