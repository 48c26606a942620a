"""Pairs made of text in the target language alone, by a model that translates the other way (Sennrich et al. 2016).

The target is what people wrote; only the source is a machine's. A token before such a source says so (Caswell et al. 2019), and the
model learns from the pairs without learning to expect sources of that kind. The likeliest token is written each time: a beam makes
sources that are smoother than any text, and helps less (Edunov et al. 2018).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from inkstone.errors import RecipeError, TextError
from inkstone.tasks.parallel_pairs import Translated
from inkstone.tasks.understanding import languages_of
from inkstone.text.reading import read
from inkstone.text.words import sentences

MADE = "<bt>"  # before a source that a model wrote
SAMPLE = 5  # texts that the language is told by
SAMPLE_CHARACTERS = 2000


def made_pairs(run: str, files: Sequence[str], learned: Sequence[tuple[str, str]]) -> list[Translated]:
    """A pair for each different sentence of the files, its source written by the model of a run that translates back.

    `learned`: the directions, (source, target), that the pairs are for. Raises TextError where the files hold no sentence, RecipeError
    where they are in no target language, or the run does not translate from theirs.
    """
    from inkstone.tasks.predict import Predictor
    from inkstone.tasks.translate import Translate

    texts = [text for frame in read(list(files)) for text in frame["text"].to_list()]
    language = _language(texts, {target for _, target in learned}, files)
    found = dict.fromkeys(each for text in texts for line in text.split("\n") for each in sentences(line, language))
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
