"""A run that writes texts, a translator or a summariser, as transformers generates with it: BART, Marian, a decoder, or refused.

The tokenizer's file puts the end token behind a text, as the run reads it; generation_config.json holds the beams. What another
program does not know stays with the run: sentences, placeholders, what is left out of a long text. The penalty on length is of
another form there (a power of the length alone): with `length_penalty` = 0 the texts are the same. Nor is the rule against repeats put
down for a decoder: there it would forbid what is written to say what the text says.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers

from inkstone.files import write_json, write_text
from inkstone.hub import bart_marian
from inkstone.hub.folder import save
from inkstone.models.headed import Headed
from inkstone.tokens.tokenizer import Tokenizer


def write(model: Headed, folder: Path, task: Mapping[str, Any]) -> None:
    """Write the body of a run with a head of the kind "text" or "next", and how it was asked; `task` as the run keeps it.

    Raises RunError for an encoder-decoder that is laid out neither as BART nor as Marian.
    """
    tokenizer, continues = model.tokenizer, model.head.kind == "next"
    if continues:
        save(model.body, folder)
        _end_behind_texts(tokenizer, tokenizer.begin, folder)
    else:
        bart_marian.write(model.body, folder)
        if tokenizer.kind != "foreign":
            _end_behind_texts(tokenizer, [], folder)
    place = folder / "generation_config.json"
    how = json.loads(place.read_text(encoding="utf-8"))
    how["num_beams"] = task.get("beams", 1)
    how["length_penalty"] = float(task.get("length_penalty", 0.0))
    if task.get("no_repeat_ngram") and not continues:
        how["no_repeat_ngram_size"] = task["no_repeat_ngram"]
    if task.get("longest") and continues:
        how["max_new_tokens"] = task["longest"]
    elif task.get("longest"):
        how["max_length"] = task["longest"] + 1  # what the decoder reads first counts there
    write_json(place, how)


def _end_behind_texts(tokenizer: Tokenizer, before: list[int], folder: Path) -> None:
    """Let the tokenizer's file put these ids before a text, and the end token behind it."""
    backend = tokenizers.Tokenizer.from_str(tokenizer.backend.to_str())
    named = {number: str(backend.id_to_token(number)) for number in (*before, tokenizer.end)}
    own = [named[number] for number in before]
    end = named[tokenizer.end]
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single=[*own, "$A", end],
        pair=[*own, "$A", end, "$B", end],
        special_tokens=[(name, number) for number, name in named.items()],
    )
    write_text(folder / "tokenizer.json", backend.to_str(pretty=True) + "\n")
