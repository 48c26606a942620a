"""Pairs made of text in the target language alone, by a model that translates the other way (Sennrich et al. 2016).

The target is what people wrote; only the source is a machine's. A token before such a source says so (Caswell et al. 2019), and the
model learns from the pairs without learning to expect sources of that kind. The likeliest token is written each time: a beam makes
sources that are smoother than any text, and helps less (Edunov et al. 2018).
"""

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from inkstone.errors import RecipeError, TextError
from inkstone.files import write_text
from inkstone.tasks.parallel_pairs import Translated
from inkstone.tasks.understanding import languages_of
from inkstone.text.reading import read
from inkstone.text.words import sentences

MADE = "<bt>"  # before a source that a model wrote
SAMPLE = 5  # texts that the language is told by
SAMPLE_CHARACTERS = 2000


def made_pairs(
    run: str, files: Sequence[str], learned: Sequence[tuple[str, str]], left_out: Collection[str] = ()
) -> list[Translated]:
    """A pair for each different sentence of the files, its source written by the model of a run that translates back.

    `learned`: the directions, (source, target), that the pairs are for. Sentences that are the same as one of `left_out` (up to case and
    blanks), as targets of dev and test, are not learned from. Raises TextError where the files hold no sentence, RecipeError
    where they are in no target language, or the run does not translate from theirs.
    """
    from inkstone.tasks.predict import Predictor
    from inkstone.tasks.translate import Translate

    texts = [text for frame in read(list(files)) for text in frame["text"].to_list()]
    language = _language(texts, {target for _, target in learned}, files)
    barred = {plain(each) for text in left_out for each in (text, *sentences(text, language))}
    found = dict.fromkeys(
        each
        for text in texts
        for line in text.split("\n")
        for each in sentences(line, language)
        if plain(each) not in barred
    )
    if not found:
        raise TextError(f"task.monolingual: no sentence in {', '.join(files)}")
    predictor = Predictor.load(run)
    task: Any = predictor.task
    if not isinstance(task, Translate):
        raise RecipeError(f"task.back_translation = {run!r} was tuned for the task {task.name}, and does not translate")
    greedy: Any = replace(task, beams=1)
    reverse = Predictor(predictor.model, greedy, predictor.frame.context)
    pairs = []
    for source, target in learned:
        if target != language:
            continue
        if (target, source) not in task.learned:
            told = ", ".join(f"{one} to {other}" for one, other in task.learned)
            raise RecipeError(
                f"task.back_translation = {run!r} translates {told}, but what is needed is {target} to {source}"
            )
        asked = [Translated(f"made:{n}", each, (), None, target, source) for n, each in enumerate(found, 1)]
        for each, answer in zip(asked, reverse.answers(asked), strict=True):
            if made := answer["translation"].strip():
                pairs.append(Translated(each.place, made, (each.source,), None, source, target, made=True))
    return pairs


def kept_pairs(path: Path, make: Callable[[], list[Translated]], *made_of: Any) -> list[Translated]:
    """The pairs in a file, or those that are made and kept there; those that were `made_of` something else are made anew."""
    digest = hashlib.sha256(repr(made_of).encode("utf-8", "surrogatepass")).hexdigest()
    try:
        first, *lines = path.read_text(encoding="utf-8").splitlines()
        if json.loads(first) == {"made_of": digest}:
            return [Translated(**{**(row := json.loads(line)), "targets": tuple(row["targets"])}) for line in lines]
    except (OSError, ValueError, TypeError):
        pass
    pairs = make()
    rows = [{"made_of": digest}, *(asdict(pair) for pair in pairs)]
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return pairs


def plain(text: str) -> str:
    """A text without differences of case and blanks."""
    return " ".join(text.casefold().split())


def _language(texts: Sequence[str], targets: set[str], files: Sequence[str]) -> str:
    """The target language that the texts are in; where there is one alone, that one."""
    if len(targets) == 1:
        return next(iter(targets))
    looks = languages_of([text[:SAMPLE_CHARACTERS] for text in texts[:SAMPLE]])
    for look in looks:
        if look in targets:
            return look
    raise RecipeError(
        f"task.monolingual: {', '.join(files)}: in {', '.join(dict.fromkeys(looks)) or 'no language'}, and not in one of the target "
        f"languages, {', '.join(sorted(targets))}"
    )
