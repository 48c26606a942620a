"""From sources to shards: reading, cleaning, splitting, the tokenizer, tokens on the disk.

Each part is done again from the start unless all of it is there and whole; the same sources give the same shards.
A run of so many minutes reads no more than it can use of sources that are larger, so that preparing takes a quarter of
the time at most; a run of so many steps reads everything.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from inkstone.errors import CheckpointError, RunError, TextError
from inkstone.models import family
from inkstone.progress import LiveLine, human_bytes, human_count, human_time
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.text.clean import CleanSettings, clean_batches
from inkstone.text.filters import Limits
from inkstone.text.reading import read
from inkstone.text.reading_report import ReadingReport, encoding_notes
from inkstone.text.repair import repair
from inkstone.text.sampling import Sample, draw_sample
from inkstone.text.split import Split, split_documents, split_named
from inkstone.tokens.fertility import fertility
from inkstone.tokens.learning import SAMPLE_BYTES, learn_tokenizer
from inkstone.tokens.shards import TokenShards, write_shards
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.training.machine import Machine
from inkstone.training.planner import plan_vocabulary
from inkstone.training.sizing import budget, shape_for, vocabulary_for

CLEANING_SHARE = 0.15  # of the minutes, after which no more is read
CLEANING_RATE = 2.5e6  # bytes a second on each core: half of what was measured, so that the clock seldom decides
MOST_CLEANERS = 8  # processes that clean
TIMES_SEEN = (
    8  # what training reads once is an eighth of what is prepared: the tokenizer and counted bigrams profit too
)
BYTES_PER_TOKEN = 4
LEAST_BYTES = 4 << 20  # is read in however short a run
LEARNING_RATE_OF_TOKENIZER = 80_000  # bytes of its sample for each second of the run: some 5 % of the time


def prepared(run: Run, line: LiveLine) -> tuple[Tokenizer, TokenShards, TokenShards] | None:
    """What an earlier call left, its checksums verified; None where something is missing or damaged."""
    if "tokenizer" not in run.facts():
        return None
    try:
        tokenizer = Tokenizer.load(run.folder)
        train, held_out = TokenShards.open(run.train_shards), TokenShards.open(run.held_out_shards)
        for shards in (train, held_out):
            if shards.tokenizer_fingerprint != tokenizer.fingerprint:
                raise CheckpointError(
                    f"{run.folder / 'tokenizer.json'} is not the one that {shards.folder} was written with"
                )
    except (CheckpointError, RunError) as error:
        found = str(error).partition("; ")[0]  # the rest says what to do, and that is done here
        line.say(f"{found}; preparing the text again")
        return None
    return tokenizer, train, held_out


def learned(
    recipe: Recipe, split: Split, machine: Machine, seconds: float | None, line: LiveLine
) -> tuple[Tokenizer, str]:
    """The tokenizer that the recipe names, or one that is learned from the text; and why it has so many tokens."""
    vocabulary = plan_vocabulary(recipe, split.train_bytes, seconds, machine)
    if recipe.tokenizer.path:
        return Tokenizer.load(recipe.tokenizer.path), vocabulary.why
    line.show(f"learning a tokenizer of {vocabulary.value} tokens", force=True)
    tokenizer = learn_tokenizer(
        texts_to_learn_from(split),
        recipe.tokenizer.kind,
        vocabulary.value,
        seed=recipe.train.seed,
        sample_bytes=bytes_to_learn_from(seconds),
    )
    return tokenizer, vocabulary.why


def texts_to_learn_from(split: Split) -> Iterator[str]:
    """The texts of the training part, one after another."""
    for frame in split.train():
        yield from frame["text"].to_list()


def bytes_to_learn_from(seconds: float | None) -> int:
    """Bytes of the sample from which a tokenizer is learned in a run of so many seconds."""
    if seconds is None:
        return SAMPLE_BYTES
    return int(min(SAMPLE_BYTES, max(SAMPLE_BYTES / 16, LEARNING_RATE_OF_TOKENIZER * seconds)))


def prepare(
    run: Run,
    recipe: Recipe,
    machine: Machine,
    seconds: float | None,
    line: LiveLine,
    *,
    tokenizer_for: Callable[..., tuple[Tokenizer, str]] = learned,
    unread: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
) -> tuple[Tokenizer, TokenShards, TokenShards]:
    """Read, clean, split and tokenise into the run folder. Raises TextError where too little text is left.

    tokenizer_for: gives the tokenizer once the text is split, from what `learned` takes. unread: is shown every frame of cleaned
    documents, and may drop some.
    Raises RunError where a run that is trained already would be given other text than it began with.
    """
    facts = run.facts()
    clocks = {}
    begin = time.perf_counter()
    spill = run.folder / ".text"
    shutil.rmtree(spill, ignore_errors=True)
    try:
        sample = sample_for(recipe, facts, machine, seconds)
        split, text_facts = split_text(recipe, spill, line, sample, seconds, unread)
        clocks["clean"] = time.perf_counter() - begin
        begin = time.perf_counter()
        tokenizer, why = tokenizer_for(recipe, split, machine, seconds, line)
        tokenizer.save(run.folder)
        clocks["tokenizer"] = time.perf_counter() - begin
        done = [0]

        def report(size: int) -> None:
            done[0] += size
            line.show(f"tokenise  {human_bytes(done[0])} of {human_bytes(split.train_bytes)}")

        train = write_shards(split.train(), tokenizer, run.train_shards, report=report)
        held_out = write_shards([split.held_out], tokenizer, run.held_out_shards)
        measured = fertility(tokenizer, split.held_out["text"].head(200).to_list())
    finally:
        shutil.rmtree(spill, ignore_errors=True)
    if "plan" in facts and facts["tokenizer"].get("shards") != train.index["checksum"]:
        raise RunError(
            f"{run.folder}: {', '.join(recipe.text.sources)} is not the text any more that this run began with; "
            "bring it back, or start a new run"
        )
    clocks["tokenise"] = time.perf_counter() - begin - clocks["tokenizer"]
    run.record(
        text=text_facts,
        tokenizer={
            **vars(measured),
            "kind": tokenizer.kind,
            "vocab_size": tokenizer.vocab_size,
            "why": why,
            "bytes_per_token": train.n_bytes / max(1, train.n_tokens),
            "train_tokens": train.n_tokens,
            "held_out_tokens": held_out.n_tokens,
            "shards": train.index["checksum"],
            "seconds": clocks["tokenizer"],
        },
        preparation=clocks,
    )
    line.say(
        f"tokenizer  {tokenizer.vocab_size} tokens of {train.n_bytes / max(1, train.n_tokens):.2f} bytes; "
        f"{human_count(train.n_tokens, 'tokens')} to learn from"
    )
    return tokenizer, train, held_out


def usable_bytes(recipe: Recipe, machine: Machine, seconds: float) -> int:
    """Bytes of text that a run of so many seconds can use.

    That is what can be cleaned in `CLEANING_SHARE` of the time, and no more than `TIMES_SEEN` times what training will
    read. Models that only count read so fast that cleaning alone decides.
    """
    cleaned = CLEANING_SHARE * seconds * CLEANING_RATE * min(machine.cores, MOST_CLEANERS)
    if hasattr(family(recipe.model.family).Settings, "of_size"):
        work = budget(machine, seconds)
        vocab_size = recipe.tokenizer.vocab_size or vocabulary_for(work, 1 << 40)[0]
        settings, _ = shape_for(recipe, vocab_size, work, 1 << 60)
        read = work / settings.flops_per_token() * BYTES_PER_TOKEN
        cleaned = min(cleaned, TIMES_SEEN * read)
    return max(LEAST_BYTES, int(cleaned))


def sample_for(recipe: Recipe, facts: dict[str, Any], machine: Machine, seconds: float | None) -> Sample:
    """What to read of the sources: all of it in a run of so many steps, else what can be used in the time.

    A run that was prepared before reads again what it read then.
    """
    if seconds is None:
        return Sample()
    before = facts.get("text", {}).get("sample")
    most_bytes = before["most_bytes"] if before else usable_bytes(recipe, machine, seconds)
    sample = draw_sample(recipe.text.sources, most_bytes, recipe.train.seed)
    if before:
        sample.most_documents = before["ended_after_documents"]
    else:
        sample.seconds = CLEANING_SHARE * seconds
    return sample


def _told(sample: Sample, seconds: float) -> str:
    """One line on what was left out, empty where nothing was."""
    whole = f" of {human_bytes(sample.total_bytes)}" if sample.total_bytes else ""
    if sample.ended_by == "time":
        return f"reading ended after {human_time(sample.seconds or 0)}, at {human_bytes(sample.bytes)}{whole}; give more minutes to read more"
    if sample.files is not None:
        return f"read {human_bytes(sample.bytes)}{whole}, drawn from all over it: what can be used in {human_time(seconds)}"
    if sample.ended_by:
        return f"read the first {human_bytes(sample.bytes)}: what can be used in {human_time(seconds)}"
    return ""


def split_text(
    recipe: Recipe,
    spill: Path,
    line: LiveLine,
    sample: Sample,
    seconds: float | None,
    unread: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
) -> tuple[Split, dict[str, Any]]:
    """The sources of a recipe, cleaned and split, with the train part in the folder `spill`; and what was found, as facts."""
    text = recipe.text
    reading, held_out_reading = ReadingReport(), ReadingReport()
    if text.clean:
        settings = CleanSettings(
            languages=tuple(text.languages),
            limits=Limits(min_characters=text.min_characters),
            boilerplate=text.boilerplate,
            near_duplicates=text.near_duplicates,
        )
        frames, report = clean_batches(text.sources, settings, quiet=line.quiet, text_column=text.column, sample=sample)
    else:
        found = read(text.sources, text_column=text.column, report=reading, opens=sample.opens)
        frames, report = sample.of(found), None
    if unread is not None:
        frames = map(unread, frames)
    try:
        if text.held_out_sources:
            held_out = read(text.held_out_sources, text_column=text.column, report=held_out_reading)
            split = split_named(frames, (repair(frame)[0] for frame in held_out), spill=spill)
        else:
            deduplicated = text.clean and text.near_duplicates
            split = split_documents(
                frames, share=text.held_out, seed=recipe.train.seed, spill=spill, deduplicated=deduplicated
            )
    except TextError as error:
        if report is None or not report.dropped:
            raise
        reasons = ", ".join(f"{entry.documents:,} {reason}" for reason, entry in report.dropped.items())
        raise TextError(f"{error}; of {report.documents:,} documents, cleaning dropped {reasons}") from None
    facts: dict[str, Any] = {"encodings": dict(reading.encodings), **reading.encoding_faults()}
    if report is not None:
        facts = report.to_dict()
        line.say(
            f"text  {report.documents:,} document{'s' * (report.documents != 1)}, {human_bytes(report.bytes)}; kept {report.kept_documents:,} "
            f"({human_bytes(report.kept_bytes)})"
        )
    notes = report.encoding_notes() if report is not None else encoding_notes(**reading.encoding_faults())
    for note in notes:
        line.say(f"text  {note}")
    if text.held_out_sources:
        facts["held_out_encodings"] = encoding_notes(**held_out_reading.encoding_faults())
        for note in facts["held_out_encodings"]:
            line.say(f"held-out  {note}")
    told = _told(sample, seconds) if seconds is not None else ""
    if told:
        line.say(f"text  {told}")
    if seconds is not None:
        facts["sample"] = {
            "most_bytes": sample.asked_bytes,
            "total_bytes": sample.total_bytes,
            "read_bytes": sample.bytes,
            "read_documents": sample.documents,
            "ended_after_documents": sample.documents if sample.ended_by else None,
            "told": told,
        }
    facts |= {
        "train_bytes": split.train_bytes,
        "train_documents": split.train_documents,
        "held_out_bytes": split.held_out_bytes,
        "held_out_documents": split.held_out_documents,
        "split_how": split.how,
    }
    return split, facts
