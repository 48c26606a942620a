"""The verb `quantise`: a model with rounded weights, saved, and its loss measured beside that of the model as it was."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inkstone.errors import RecipeError, RunError
from inkstone.evaluation.evaluate import eval as evaluated, evaluate
from inkstone.files import whole_folder, writing_fault
from inkstone.hub.download import local_folder
from inkstone.hub.folder import load
from inkstone.hub.headed_layout import TASK
from inkstone.hub.quantised_layout import save_quantised
from inkstone.layers.quantised_matrix import BITS
from inkstone.models.decoder import Decoder
from inkstone.models.quantised_decoder import bits_of, quantised
from inkstone.run import Run
from inkstone.text.sources import check_there
from inkstone.tokens.shards import TokenShards

HELD_OUT = "held-out"
# Beside weights and config: what says how the model is talked with, and whose it is.
BESIDE = ("chat_template.jinja", "generation_config.json", TASK, "LICENSE", "NOTICE")


def quantise(
    run: Path | str,
    bits: int = 8,
    *,
    out: Path | str | None = None,
    text: Sequence[str | Path] | str | Path | None = None,
    share: float = 1.0,
) -> dict[str, Any]:
    """Round the weights of a run's decoder to 8 or 4 bits and save it as a folder that `load` opens; the facts.

    `out` is by default the run's own path with "-int8" or "-int4" after it; something that stands there is never overwritten.
    With `text` the bits per byte before and after are measured on an evenly spaced `share` of these sources, or of the run's
    own held-out text where `text` is "held-out".

    Raises RunError for what is no decoder or rounded already, or a place that is taken; RecipeError for other bits.
    """
    if bits not in BITS:
        raise RecipeError(f"{bits} bits, but a number can be rounded to {' or '.join(map(str, BITS))}")
    folder = local_folder(run)
    named = folder if folder.name not in ("", "..") else folder.resolve()
    out = named.with_name(f"{named.name}-int{bits}") if out is None else Path(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise RunError(f"{out} already exists; choose another --out")
    sources = [text] if isinstance(text, str | Path) else list(text or ())
    if sources == [HELD_OUT] and not Run(folder).held_out_shards.is_dir():
        raise RunError(f"{folder} has no held-out text of its own; name a text to measure the loss on")
    if sources != [HELD_OUT]:
        check_there(sources)
    model = load(folder)
    if not isinstance(model, Decoder):
        raise RunError(f"{folder} holds no decoder that writes; only those can be rounded to short integers")
    if (seen := bits_of(model)) is not None:
        raise RunError(f"{folder} is rounded to {seen} bits already; name the run that it was made from")
    rounded = quantised(model, bits)
    try:
        with whole_folder(out) as part:
            save_quantised(rounded, part)
            for name in BESIDE:
                if (folder / name).is_file():
                    shutil.copyfile(folder / name, part / name)
    except OSError as error:
        raise RunError(f"{out}: could not be written ({writing_fault(error)}); nothing was left") from None
    facts: dict[str, Any] = {
        "path": str(out),
        "bits": bits,
        "bytes": _weights_on_disk(out),
        "bytes_before": _weights_on_disk(folder),
    }
    if sources:
        facts |= {
            "text": sources[0] if sources == [HELD_OUT] else list(map(str, sources)),
            "bits_per_byte_before": _bits_per_byte(folder, folder, sources, share),
            "bits_per_byte": _bits_per_byte(out, folder, sources, share),
        }
    return facts


def _weights_on_disk(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def _bits_per_byte(place: Path, run: Path, sources: list[str | Path], share: float) -> float:
    if sources != [HELD_OUT]:
        return evaluated(place, sources, share=share, compressors=False)["bits_per_byte"]
    return evaluate(load(place), TokenShards(Run(run).held_out_shards), share=share, compressors=False)["bits_per_byte"]
