"""A run that writes texts, a translator or a summariser, as transformers generates with it: BART, Marian, or refused.

The tokenizer's file puts the end token behind a text, as the run reads it; generation_config.json holds the beams. What another
program does not know stays with the run: sentences, placeholders, what is left out of a long text. The penalty on length is of
another form there (a power of the length alone): with `length_penalty` = 0 the texts are the same.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers

from inkstone.files import write_json, write_text
from inkstone.hub import bart_marian
from inkstone.models.headed import Headed


def write(model: Headed, folder: Path, task: Mapping[str, Any]) -> None:
    """Write the body of a run with a head of the kind "text", and how it was asked; `task` as the run keeps it.

    Raises RunError for a body that is laid out neither as BART nor as Marian.
    """
    bart_marian.write(model.body, folder)
    tokenizer = model.tokenizer
    if tokenizer.kind != "foreign":
        backend = tokenizers.Tokenizer.from_str(tokenizer.backend.to_str())
        name = backend.id_to_token(tokenizer.end)
        backend.post_processor = tokenizers.processors.TemplateProcessing(
            single=["$A", name], pair=["$A", name, "$B", name], special_tokens=[(name, tokenizer.end)]
        )
        write_text(folder / "tokenizer.json", backend.to_str(pretty=True) + "\n")
    place = folder / "generation_config.json"
    how = json.loads(place.read_text(encoding="utf-8"))
    how["num_beams"] = task.get("beams", 1)
    how["length_penalty"] = float(task.get("length_penalty", 0.0))
    if task.get("no_repeat_ngram"):
        how["no_repeat_ngram_size"] = task["no_repeat_ngram"]
    if task.get("longest"):
        how["max_length"] = task["longest"] + 1  # what the decoder reads first counts there
    write_json(place, how)
