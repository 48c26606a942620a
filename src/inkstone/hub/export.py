"""Export: a model of ours, or one that was imported, as other programs open it."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inkstone.errors import RunError, nearest
from inkstone.files import whole_folder, writing_fault
from inkstone.hub import bart_marian, bert, bert_tasks, esm, headed_text, whisper
from inkstone.hub.arpa import write_arpa
from inkstone.hub.ctranslate2_folder import DTYPES as CTRANSLATE2_DTYPES, write_ctranslate2
from inkstone.hub.folder import load, read_config, save
from inkstone.hub.gguf_file import DTYPES, write_gguf
from inkstone.hub.huggingface_weights import weight_files
from inkstone.hub.own_layout import is_own
from inkstone.hub.peft_layout import ADAPTER
from inkstone.models.decoder import Decoder
from inkstone.models.encoder import Encoder
from inkstone.models.encoder_decoder import EncoderDecoder
from inkstone.models.headed import Headed
from inkstone.models.longer_context import stretched_to
from inkstone.models.ngram import NGram
from inkstone.models.quantised_decoder import bits_of, dense
from inkstone.models.whisper import Whisper
from inkstone.tokens.chat_template import ChatTemplate

FORMATS = ("hf", "gguf", "ctranslate2", "arpa", "peft")
FLOATS = ("float32", "float16", "bfloat16")
DTYPES_OF = {"gguf": DTYPES, "ctranslate2": CTRANSLATE2_DTYPES}  # of the other formats: FLOATS

# What belongs to a model in Hugging Face layout beside config.json and the weights, where a folder has it.
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
_PAPERS = ("README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE")


def export(
    run: Path | str,
    to: str = "hf",
    out: Path | str | None = None,
    dtype: str | None = None,
    *,
    context: int | None = None,
    rope_scaling: str | None = None,
) -> Path:
    """Write the model of a run (or of any checkpoint folder) in another program's format; the path written.

    - "hf": a folder for transformers, and of a decoder for vLLM and SGLang: config, safetensors, tokenizer, and the model
      card if there is one. Without `dtype` its files are those of the run, byte for byte, where it has this layout already:
      where it is of a decoder, or was imported.
    - "arpa": one text file of an n-gram model, for KenLM and speech decoders; see `hub/arpa.py`.
    - "gguf": one file for llama.cpp and Ollama; see `hub/gguf_file.py` for what these cannot run.
    - "ctranslate2": a folder for CTranslate2, of a decoder or an encoder-decoder; see `hub/ctranslate2_folder.py`.
    - "peft": a folder with the low-rank changes of a run that was tuned with `task.lora_rank`, beside the model that it was
      tuned from; see `hub/peft_layout.py`.

    `out` is by default the run's own path with "-hf", ".gguf", "-ctranslate2", ".arpa" or "-peft" after it; something that stands
    there is never overwritten. `dtype` is "float32", "float16" or "bfloat16", of GGUF also "q8_0" or "q4_0" and of CTranslate2
    "int8"; by default as stored.

    With `context` positions are stretched to so many tokens as `rope_scaling` says, "linear", "ntk" or "yarn", the default
    (`models/longer_context.py`); the configuration that is written says so.

    Raises RunError for a run that has no model yet, a place that is taken, or a model the format has no room for, RecipeError
    for a context that the model cannot be stretched to.
    """
    if to not in FORMATS:
        raise RunError(f"there is no format {to!r}; {nearest(to, FORMATS)}")
    dtypes = DTYPES_OF.get(to, FLOATS)
    if dtype is not None and dtype not in dtypes:
        raise RunError(f"there is no dtype {dtype!r} of the format {to!r}; {nearest(dtype, dtypes)}")
    folder = Path(run)
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder; name a run")
    name = folder.resolve().name
    beside = folder if folder.name not in ("", "..") else folder.resolve()
    a_folder = to in ("hf", "ctranslate2", "peft")
    out = beside.with_name(f"{name}-{to}" if a_folder else f"{name}.{to}") if out is None else Path(out)
    if out.exists() and not (out.is_dir() and a_folder and not any(out.iterdir())):
        raise RunError(f"{out} already exists; choose another --out")
    if to == "peft":
        return _copied_adapter(folder, out, dtype)
    model = load(folder, dtype=dtype if dtype in FLOATS else "stored")
    if isinstance(model, Decoder) and bits_of(model) is not None:
        model = dense(model)  # the integers of other programs are not ours
    if context is not None or rope_scaling is not None:
        model = stretched_to(model, context, rope_scaling)
        assert isinstance(model, Decoder)
        dtype = dtype or _stored_dtype(model)  # the files of the run will not do as they are
    writer = WRITERS.get((model.family, to))  # type: ignore[attr-defined]
    if writer is None:
        family = model.family  # type: ignore[attr-defined]
        held = "a model that was tuned for a task" if isinstance(model, Headed) else f"a model of the family {family!r}"
        others = " and ".join(f"--to {other}" for known, other in WRITERS if known == family)
        raise RunError(
            f"{folder} holds {held}, which {to!r} has no layout for; "
            + (f"for such models there is {others}" if others else "the run folder itself can be copied as it is")
        )
    try:
        writer(model, folder, out, dtype)
    except Exception as error:
        if fault := writing_fault(error):
            raise RunError(f"{out}: the export could not be written ({fault}); nothing was left") from None
        raise
    return out


def _decoder_folder(model: Decoder, folder: Path, out: Path, dtype: str | None) -> None:
    with whole_folder(out) as part:
        if _as_stored(folder, dtype):
            copy_model(folder, part)
        else:
            save(model, part, ChatTemplate.of(folder, model.tokenizer))
        _copy((*_TOKENIZER_FILES, *_PAPERS), folder, part)


def _decoder_gguf(model: Decoder, folder: Path, out: Path, dtype: str | None) -> None:
    template = ChatTemplate.of(folder, model.tokenizer)
    write_gguf(model, out, folder.resolve().name, dtype or _stored_dtype(model), template)


def _ctranslate2_folder(model: Decoder | EncoderDecoder, folder: Path, out: Path, dtype: str | None) -> None:
    write_ctranslate2(model, out, dtype or _stored_dtype(model), ChatTemplate.of(folder, model.tokenizer))


def _headed_ctranslate2(model: Headed, folder: Path, out: Path, dtype: str | None) -> None:
    if not isinstance(model.body, Decoder | EncoderDecoder):
        raise RunError(
            f"{folder} answers by the head {model.head.kind!r}; CTranslate2 opens models that write, export --to hf"
        )
    _ctranslate2_folder(model.body, folder, out, dtype)


def _encoder_folder(model: Encoder, folder: Path, out: Path, dtype: str | None) -> None:
    with whole_folder(out) as part:
        if _as_stored(folder, dtype):
            copy_model(folder, part)
        else:
            (esm if model.settings.layout == "modern" else bert).write(model, part)
        _copy(_PAPERS, folder, part)


def _encoder_decoder_folder(model: EncoderDecoder, folder: Path, out: Path, dtype: str | None) -> None:
    with whole_folder(out) as part:
        if _as_stored(folder, dtype):
            copy_model(folder, part)
        else:
            bart_marian.write(model, part)
        _copy(_PAPERS, folder, part)


def _whisper_folder(model: Whisper, folder: Path, out: Path, dtype: str | None) -> None:
    with whole_folder(out) as part:
        if _as_stored(folder, dtype):
            copy_model(folder, part)
        else:
            save_whisper(model, folder, part)
        _copy(_PAPERS, folder, part)


def save_whisper(model: Whisper, base: Path, folder: Path) -> None:
    """Write a Whisper as a checkpoint, with the tokens, rules and features of the one in `base`, which it was."""
    whisper.write(model, folder)
    _copy(("generation_config.json", *_TOKENIZER_FILES, *whisper.FILES), base, folder)


def _headed_folder(model: Headed, folder: Path, out: Path, dtype: str | None) -> None:
    with whole_folder(out) as part:
        if _as_stored(folder, dtype):
            copy_model(folder, part)
        else:
            config = read_config(folder)
            if model.head.kind in ("text", "next"):
                headed_text.write(model, part, config.get("task") or {})
                _copy(_PAPERS, folder, part)
                return
            several = config.get("problem_type") == "multi_label_classification"
            bert_tasks.write(model, part, config.get("task") or {"several": several})
        _copy(_PAPERS, folder, part)


def _ngram_arpa(model: NGram, folder: Path, out: Path, dtype: str | None) -> None:
    write_arpa(model, out)


# What writes a model of a family in a format: (model, its folder, where to, the type of its weights if one was asked for).
WRITERS: dict[tuple[str, str], Callable[[Any, Path, Path, str | None], None]] = {
    ("decoder", "hf"): _decoder_folder,
    ("decoder", "gguf"): _decoder_gguf,
    ("decoder", "ctranslate2"): _ctranslate2_folder,
    ("encoder", "hf"): _encoder_folder,
    ("encoder_decoder", "hf"): _encoder_decoder_folder,
    ("encoder_decoder", "ctranslate2"): _ctranslate2_folder,
    ("whisper", "hf"): _whisper_folder,
    ("headed", "hf"): _headed_folder,
    ("headed", "ctranslate2"): _headed_ctranslate2,
    ("ngram", "arpa"): _ngram_arpa,
}


def _as_stored(folder: Path, dtype: str | None) -> bool:
    """Whether the files of a folder will do as they are."""
    return dtype is None and not is_own(read_config(folder))


def _stored_dtype(model: Decoder | EncoderDecoder) -> str:
    return str(model.embedding.weight.dtype).removeprefix("torch.")


def _copied_adapter(folder: Path, out: Path, dtype: str | None) -> Path:
    adapter = folder / ADAPTER
    if not adapter.is_dir():
        raise RunError(f"{folder} has no low-rank changes; tune --from a model with task.lora_rank, or export --to hf")
    if dtype is not None:
        raise RunError(f"an adapter keeps the type of its weights; leave out --dtype {dtype}")
    try:
        with whole_folder(out) as part:
            _copy([path.name for path in adapter.iterdir()], adapter, part)
    except OSError as error:
        if fault := writing_fault(error):
            raise RunError(f"{out}: the export could not be written ({fault}); nothing was left") from None
        raise
    return out


def _copy(names: Sequence[str], source: Path, target: Path) -> list[Path]:
    """Copy those of these files that a folder has; the copies."""
    present = [name for name in names if (source / name).exists()]
    for name in present:
        shutil.copyfile(source / name, target / name)
    return [target / name for name in present]


def copy_model(source: Path, target: Path) -> list[Path]:
    """Copy a model's files in Hugging Face layout, and nothing else of the folder; the copies."""
    names = [path.name for path in weight_files(source)]
    names += [
        "model.safetensors.index.json",
        "generation_config.json",
        *_TOKENIZER_FILES,
        *whisper.FILES,
        "config.json",
    ]
    return _copy(names, source, target)
