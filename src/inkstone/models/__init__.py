"""The families of language model, one a file, all behind the protocol of `base`."""

import importlib
from typing import Any

from inkstone.errors import RecipeError, nearest

FAMILIES = {
    "ngram": ("inkstone.models.ngram", "NGram"),
    "hmm": ("inkstone.models.hmm", "HMM"),
    "neural_ngram": ("inkstone.models.neural_ngram", "NeuralNgram"),
    "recurrent": ("inkstone.models.recurrent", "Recurrent"),
    "convolutional": ("inkstone.models.convolutional", "Convolutional"),
    "text_vae": ("inkstone.models.text_vae", "TextVAE"),
    "encoder": ("inkstone.models.encoder", "Encoder"),
    "encoder_decoder": ("inkstone.models.encoder_decoder", "EncoderDecoder"),
    "decoder": ("inkstone.models.decoder", "Decoder"),
}

# Models that read for a task and are no language models.
BODIES: dict[str, tuple[str, str]] = {
    "word_reader": ("inkstone.models.word_reader", "WordReader"),
    "text_cnn": ("inkstone.models.text_cnn", "TextCNN"),
    "speech_encoder": ("inkstone.models.speech_encoder", "SpeechEncoder"),
}


def family(name: str) -> Any:
    """The class of a family. It has `family`, its name, and `Settings`, the dataclass of its shape (`models/base.py`).

    Raises RecipeError for a name that is none.
    """
    if name not in FAMILIES:
        raise RecipeError(f"there is no family {name!r} of language model; {nearest(name, FAMILIES)}")
    module, model = FAMILIES[name]
    return getattr(importlib.import_module(module), model)


def body_family(name: str) -> Any:
    """The class of a family of language model, or of a body that reads for tasks alone. Raises RecipeError as `family`."""
    if name not in BODIES:
        if name not in FAMILIES:
            raise RecipeError(f"there is no kind of body {name!r}; {nearest(name, [*FAMILIES, *BODIES])}")
        return family(name)
    module, model = BODIES[name]
    return getattr(importlib.import_module(module), model)
