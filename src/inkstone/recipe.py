"""The recipe: every choice that makes a run, as one TOML file or none.

A value that is left out is chosen by the planner; the recipe in a run folder is the resolved one, with every value
filled in. Unknown names and impossible values are refused with the line, the reason and the nearest valid name.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inkstone.errors import RecipeError, nearest
from inkstone.files import write_text


class Section(BaseModel):
    """A table of the recipe: unknown keys are errors, assignments are checked."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, strict=True, allow_inf_nan=False)


class TextSection(Section):
    """What is read and how it is cleaned."""

    sources: list[str] = []  # files, folders, "-", "data:NAME", "python:"
    column: str | None = None  # the column of csv, jsonl and parquet that holds the text
    languages: list[str] = []  # keep only these (ISO 639-1); empty: all
    min_characters: int = Field(default=20, ge=0)
    near_duplicates: bool = True
    boilerplate: bool = True
    clean: bool = True  # false: the text goes in as it is read
    held_out_sources: list[str] = []  # text to score on, as `sources`; without it a part of the sources is kept aside
    test_sources: list[str] = []  # of a task: examples that are looked at once, at the end
    held_out: float | None = Field(default=None, gt=0, lt=0.5)  # share of the text kept aside for scoring


class TokenizerSection(Section):
    """How text becomes tokens."""

    kind: Literal["byte-bpe", "unigram", "word", "character"] = "byte-bpe"
    vocab_size: int | None = Field(default=None, ge=2)
    path: str | None = None  # a folder with a tokenizer.json to use as it is


class ModelSection(Section):
    """The family of the model and its shape. Which of the settings a family has, its own `Settings` say."""

    family: str = "decoder"
    layout: Literal["qwen3", "llama", "gpt2", "bert", "modern"] | None = None
    width: int | None = Field(default=None, ge=1)
    n_layers: int | None = Field(default=None, ge=1)
    n_heads: int | None = Field(default=None, ge=1)
    n_kv_heads: int | None = Field(default=None, ge=1)
    head_width: int | None = Field(default=None, ge=1)
    hidden: int | None = Field(default=None, ge=1)
    context: int | None = Field(default=None, ge=2)
    tied: bool | None = None  # whether the output matrix is the embedding
    dropout: float | None = Field(default=None, ge=0, lt=1)
    order: int | None = Field(default=None, ge=1)  # ngram, neural_ngram
    smoothing: Literal["kneser-ney", "add-k", "stupid-backoff"] | None = None  # ngram
    k: float | None = Field(default=None, gt=0)  # ngram
    backoff: float | None = Field(default=None, gt=0, le=1)  # ngram
    min_count: int | None = Field(default=None, ge=1)  # ngram
    states: int | None = Field(default=None, ge=1)  # hmm
    direct: bool | None = None  # neural_ngram
    cell: Literal["rnn", "lstm", "gru"] | None = None  # recurrent
    weight_drop: float | None = Field(default=None, ge=0, lt=1)  # recurrent
    embedding_dropout: float | None = Field(default=None, ge=0, lt=1)  # recurrent
    kernel: int | None = Field(default=None, ge=1)  # convolutional, speech_encoder
    channels: int | None = Field(default=None, ge=1)  # speech_encoder
    subsampling: int | None = Field(default=None, ge=1)  # speech_encoder
    whole_words: bool | None = None  # encoder
    n_decoder_layers: int | None = Field(default=None, ge=1)  # encoder_decoder
    norm: Literal["pre", "post"] | None = None  # encoder_decoder
    copying: bool | None = None  # encoder_decoder
    positions: Literal["sinusoidal", "learned", "rotary"] | None = None  # encoder_decoder
    body: Literal["lstm", "transformer"] | None = None  # text_vae
    piece: Literal["sentence", "line", "window"] | None = None  # text_vae
    latent: int | None = Field(default=None, ge=1)  # text_vae
    annealing: Literal["none", "linear", "cyclical"] | None = None  # text_vae
    free_bits: float | None = Field(default=None, ge=0)  # text_vae
    word_dropout: float | None = Field(default=None, ge=0, lt=1)  # text_vae


class TrainSection(Section):
    """How the model is trained."""

    # Wall clock of the whole command, a year at most; 5 where neither it nor steps is given.
    minutes: float | None = Field(default=None, gt=0, le=525_600)
    steps: int | None = Field(
        default=None, ge=1
    )  # a fixed number of steps instead; such a run is reproducible bit for bit
    optimizer: Literal["auto", "muon", "adamw"] = "auto"
    start: Literal["auto", "random", "bigrams"] = "auto"  # where the weights begin: at chance or at counted statistics
    vectors: str | None = None  # a file of word vectors at which the embedding begins
    learning_rate: float | None = Field(default=None, gt=0)  # of the matrices under Muon, of everything under AdamW
    scalar_learning_rate: float | None = Field(default=None, gt=0)  # of embeddings and norms under Muon
    weight_decay: float | None = Field(default=None, ge=0)
    batch_tokens: int | None = Field(default=None, ge=2)  # tokens of one optimiser step
    micro_batch_tokens: int | None = Field(default=None, ge=2)  # tokens of one pass; a step sums several
    warmup: float = Field(default=0.02, ge=0, lt=1)  # share of the run in which the learning rate rises
    decay: float = Field(default=0.5, ge=0, le=1)  # share of the run in which it falls to zero
    clip: float = Field(default=1.0, gt=0)  # largest norm of the gradient
    averaging: float | None = Field(default=None, ge=0, lt=1)  # decay of the average of the weights per step; 0: none
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    device: str = "auto"
    compile: bool | None = None
    seed: int = Field(default=0, ge=0, lt=2**63)
    threads: int | None = Field(default=None, ge=1, le=1024)
    checkpoint_seconds: float = Field(default=60.0, gt=0)
    checkpoint_steps: int | None = Field(default=None, ge=1)
    evaluate_seconds: float = Field(default=20.0, gt=0)
    evaluate_steps: int | None = Field(default=None, ge=1)
    tensorboard: bool = False


class TaskSection(Section):
    """What the model learns to do, and how it is tuned. Which of the settings a task has, its own class says."""

    name: str = "language-modelling"
    model: str | None = None  # what is tuned: a run or a checkpoint; none: a body of its own, from the start
    epochs: int = Field(default=20, ge=1)  # times that the examples are read at most
    rows: int = Field(default=32, ge=1)  # examples of one step
    patience: int = Field(default=5, ge=1)  # scores in a row, one an epoch, that may be no better than the best
    freeze: bool = False  # whether the body stays as it is
    lora_rank: int | None = Field(default=None, ge=1)  # of the low-rank changes that are all the body may learn
    lora_alpha: float | None = Field(default=None, gt=0)
    layer_decay: float = Field(default=1.0, gt=0, le=1)  # of the learning rate from each layer to the one below
    yardstick: bool = True  # whether a simple model of counts is trained beside it
    split_seed: int = Field(default=0, ge=0, lt=2**63)  # of what is kept aside; train.seed draws all else
    fold: str | None = None  # the test part, as "2/5": the second of five
    share: float = Field(default=1.0, gt=0, le=1)  # of the training part that is learned from
    text_column: str | None = None
    second_column: str | None = None  # classify
    label_column: str | None = None
    group_column: str | None = None  # classify, transcribe: rows of one group stay on one side of every split
    several: bool | None = None  # classify
    augment: int | None = Field(default=None, ge=0)  # classify: altered copies of each training example
    pooling: Literal["first", "last", "mean", "max"] | None = None
    dense: bool | None = None
    dropout: float | None = Field(default=None, ge=0, lt=1)  # of the head
    class_weights: Literal["none", "balanced"] | None = None  # classify
    blend: bool | None = None  # classify, tag, summarize: whether a model of counted features is asked beside the model
    stride: int | None = Field(default=None, ge=1)  # answer: tokens from one window of the context to the next
    longest_answer: int | None = Field(default=None, ge=1)  # answer: in characters
    answer_rule: Literal["squad", "cmrc", "segments"] | None = None  # answer: how answers are compared
    third_column: str | None = None  # embed: of the text that does not belong to the first
    temperature: float | None = Field(default=None, gt=0)  # embed: of the similarities in the loss
    tag_column: str | int | None = None  # tag
    scheme: str | None = None  # tag: "auto", "BIO", "IOB1", "BIOES" or "none"
    segment: bool | None = None  # tag: whether words are found in characters
    crf: bool | None = None  # tag
    dictionary: bool | None = None  # tag: whether rjieba's dictionary gives hints of Chinese
    source_column: str | None = None  # tasks that write: of the text that is read
    target_column: str | None = None  # and of the one that is written
    beams: int | None = Field(default=None, ge=1)
    length_penalty: float | None = Field(default=None, ge=0)
    no_repeat_ngram: int | None = Field(default=None, ge=0)
    smoothing: float | None = Field(default=None, ge=0, lt=1)  # of the loss
    source_language: str | None = None  # translate: ISO 639-1; transcribe from a Whisper: that is spoken
    target_language: str | None = None
    directions: Literal["one", "both"] | None = None  # translate: whether the target is translated into the source, too
    placeholders: float | None = Field(
        default=None, ge=0, le=1
    )  # translate: share of pairs to practise keeping them on
    back_translation: str | None = None  # translate: a run that translates the other way
    monolingual: list[str] | None = None  # translate: text in the target language that it translates
    objective: Literal["dpo", "ipo", "orpo"] | None = None  # prefer
    exact: int | None = Field(default=None, ge=0)  # chat: characters of an answer that is written and compared
    schema_file: str | None = None  # extract: a JSON schema that records keep to
    fields: list[str] | None = None  # extract: the columns that make the record
    once: bool | None = None  # roles: whether a predicate has each core role once at most
    audio_column: str | None = None  # transcribe: of the recordings
    rate: int | None = Field(default=None, ge=2000)  # transcribe: samples a second that the model hears
    written: bool | None = None  # transcribe: whether case and punctuation are learned
    speeds: list[float] | None = None  # transcribe: at which recordings are learned besides their own
    throats: float | None = None  # transcribe: by what share frequencies are moved at most while it learns
    microphones: float | None = None  # transcribe: decibels by which frequencies are louder or softer while it learns
    floor: float | None = None  # transcribe: decibels under loud speech from which on down all is silence
    spec_augment: bool | None = None  # transcribe: whether stretches of bands and time are blanked
    language_model: str | None = None  # transcribe: a run that listens in
    alpha: float | None = Field(default=None, ge=0)  # transcribe: its weight
    beta: float | None = None  # transcribe: what a word is worth; prefer: how dear it is to leave the model as it began
    lines: bool | None = None  # transcribe: whether the language model learned lines of a text
    replay: float | None = Field(default=None, ge=0, lt=1)  # language-modelling: share of old text in what is read
    replay_text: str | None = None  # language-modelling: the old text, where the model has none beside it
    extend_tokenizer: int | Literal["auto"] | None = (
        None  # language-modelling: new tokens for the new text at most; 0: none
    )


class Recipe(Section):
    """The whole configuration of a run."""

    text: TextSection = TextSection()
    tokenizer: TokenizerSection = TokenizerSection()
    model: ModelSection = ModelSection()
    train: TrainSection = TrainSection()
    task: TaskSection = TaskSection()

    def to_toml(self) -> str:
        """The recipe as TOML; values that are not set are left out."""
        return tomli_w.dumps(self.model_dump(exclude_none=True))

    def save(self, path: Path) -> None:
        """Write the recipe, whole or not at all. Raises RecipeError where a name in it is no text."""
        try:
            write_text(path, self.to_toml())
        except UnicodeEncodeError as error:
            name = next((name for name in self.text.sources if not _is_text(name)), error.object)
            raise RecipeError(
                f"{name!r}: the name holds bytes that are no UTF-8; rename it, or name the folder that holds it"
            ) from None


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file. Errors name the file, the line, the reason and the nearest valid name."""
    path = Path(path)
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror}); a recipe is a TOML file") from None
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 (byte {error.start}); a recipe is a TOML file") from None
    try:
        values = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: not valid TOML: {error}") from None
    return _checked(values, lambda keys: f"{path}:{_line_of(source, keys)}")


def with_settings(recipe: Recipe, settings: Sequence[str], option: str | None = None) -> Recipe:
    """The recipe with `section.key=value` settings laid over it; values are read as TOML, else as a plain string.

    Errors name `--set` and the setting, or the `option` of the command line that stands for it.

    >>> with_settings(Recipe(), ["train.steps=10", "model.layout=gpt2"]).train.steps
    10
    >>> with_settings(Recipe(), ["model.widht=10"])
    Traceback (most recent call last):
    inkstone.errors.RecipeError: --set model.widht: there is no such setting; did you mean 'width'?
    """
    values = recipe.model_dump()
    for setting in settings:
        name, equals, text = setting.partition("=")
        section, dot, key = name.strip().partition(".")
        if not (equals and dot and key):
            raise RecipeError(f"--set {setting!r}: write it as section.key=value, for example model.n_layers=6")
        values.setdefault(section, {})[key] = _value(text.strip())
    return _checked(values, lambda keys: option or "--set " + ".".join(keys))


def _is_text(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _checked(values: dict[str, Any], place: Any) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
    keys = [str(key) for key in first["loc"]]
    where = place(keys)
    if first["type"] == "extra_forbidden":
        home = next((name for name in Recipe.model_fields if keys[-1] in _settings_of(name)), None)
        if home is not None:
            raise RecipeError(f"{where}: {keys[-1]} is a setting of the section [{home}]")
        known = Recipe.model_fields if len(keys) == 1 else _settings_of(keys[0])
        kind = "section" if len(keys) == 1 else "setting"
        raise RecipeError(f"{where}: there is no such {kind}; {nearest(keys[-1], known)}")
    if first["type"] == "model_type":
        raise RecipeError(f"{where}: a section holds settings, as in [{keys[0]}], not {first['input']!r}")
    message = first["msg"][0].lower() + first["msg"][1:]
    raise RecipeError(f"{where}: {message}, not {first['input']!r}")


def _settings_of(section: str) -> dict[str, Any]:
    return Recipe.model_fields[section].annotation.model_fields  # type: ignore[union-attr]


def _line_of(source: str, keys: list[str]) -> int:
    """The line on which a key of a table stands; that of the table where the key itself is not found."""
    section, line_of_section = "", 1
    for number, line in enumerate(source.splitlines(), start=1):
        text = line.strip()
        if text.startswith("["):
            section = text.split("#")[0].strip("[] ")
            if section == keys[0]:
                line_of_section = number
        name = text.partition("=")[0].strip().strip('"')
        if (section == keys[0] and len(keys) > 1 and name == keys[1]) or name == ".".join(keys):
            return number
        if not section and name == keys[0]:
            return number
    return line_of_section
