"""The stages of adapting a language model: those of training, with a model that is there already and its old text beside the new."""

import shutil
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from inkstone.errors import RecipeError, RunError, TextError
from inkstone.evaluation.affordable import affordable
from inkstone.evaluation.evaluate import window_of
from inkstone.evaluation.likelihood import score
from inkstone.files import sha256
from inkstone.hub.download import local_folder
from inkstone.hub.folder import load
from inkstone.hub.huggingface_weights import weight_files
from inkstone.models import family as family_of
from inkstone.models.base import CarriesState, CountedModel, LanguageModel, LearnsPieces
from inkstone.models.headed import Headed
from inkstone.models.more_tokens import with_more_tokens
from inkstone.models.quantised_decoder import refuse_rounded
from inkstone.progress import LiveLine, human_bytes
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.text.split import Split
from inkstone.tokens.batches import Batches
from inkstone.tokens.extending import extend_tokenizer, extension_of
from inkstone.tokens.mixture import MixedBatches, MixedStreams
from inkstone.tokens.piece_batches import GROUP, PieceBatches
from inkstone.tokens.shards import TokenShards, write_shards
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.training.adapting_plan import new_tokens_for, plan_adaptation
from inkstone.training.concluding import SCORING_SHARE, conclude
from inkstone.training.fitting import facts_of
from inkstone.training.loop import Loop
from inkstone.training.machine import Machine
from inkstone.training.old_text import gather, in_tokens_of, known_documents, spread, texts_of_run, written_before
from inkstone.training.planner import Plan, resolve
from inkstone.training.preparing import bytes_to_learn_from, prepare, sample_for, split_text, texts_to_learn_from
from inkstone.training.pretraining import Training
from inkstone.training.sizing import budget
from inkstone.training.tuning_plan import with_dropout

# From WikiText-2 to a novel, 250 steps of 512 tokens after 600 of them: without replay old text costs 47 % more, with 0.2 6.5 %, with
# 0.5 2.4 %; new text costs 1.966, 2.016 and 2.124 bits per byte, of 3.690 before.
DEFAULT_REPLAY = 0.5
OF_MODEL = ("context", "dropout")  # of the section [model]: all else is as the model has it
OLD_SHARE = 0.03  # of the time, for each score of old text
TRIED = 4096  # tokens by which the speed of scoring is told
LEAST_OLD = 60_000  # bytes of old text to score, where there are as many


class Adaptation(Training):
    """The stages of training, in which the model and a part of the text are there already."""

    old: TokenShards | None = None  # what the model had read before
    old_held_out: TokenShards | None = None  # what forgetting is measured on

    @cached_property
    def source(self) -> Any:
        """The model that is adapted, as it was."""
        assert self.recipe.task.model is not None
        model = load(self.recipe.task.model, dtype=torch.float32)
        if isinstance(model, Headed) or not isinstance(model, LanguageModel):
            raise RunError(f"{self.recipe.task.model} was tuned for a task; adapt the language model that it came from")
        if isinstance(model, nn.Module):
            refuse_rounded(model, self.recipe.task.model)
        return model

    @property
    def folder(self) -> Path:
        """Where the model that is adapted lies."""
        assert self.recipe.task.model is not None
        return local_folder(self.recipe.task.model)

    def weights(self) -> str:
        """Checksums of the files of its weights."""
        return " ".join(sha256(path)[:16] for path in weight_files(self.folder))

    def note(self, **facts: Any) -> None:
        """Add to what is recorded of the adaptation."""
        self.run.record(adaptation={**self.run.facts().get("adaptation", {}), **facts})

    def text(self, machine: Machine, seconds: float | None) -> tuple[Tokenizer, TokenShards, TokenShards]:
        """The new text, and beside it the old one."""
        if "plan" not in self.run.facts():
            self.take_shape()
        tokenizer, shards, held_out = super().text(machine, seconds)
        self.read_old(tokenizer, machine, seconds, held_out)
        return tokenizer, shards, held_out

    def take_shape(self) -> None:
        """Write into the recipe what is known of the model."""
        given = {name: getattr(self.recipe.model, name) for name in OF_MODEL}
        self.recipe.model.family = self.source.family
        resolve(self.recipe, self.source.settings)
        for name, value in given.items():
            setattr(self.recipe.model, name, value)

    def prepare(self, machine: Machine, seconds: float | None) -> tuple[Tokenizer, TokenShards, TokenShards]:
        """Read the new text; documents that the model has read before are no part of it."""
        train, held_out = texts_of_run(self.folder)
        known = None
        if train:
            facts = Run(self.folder).facts()
            cut = facts.get("text", {}).get("split_how") == "tail of each document" or facts.get("adaptation", {}).get(
                "cut"
            )
            known = known_documents([*train, *held_out], self.source.tokenizer, bool(cut))
            self.note(cut=bool(cut))
        try:
            ready = prepare(
                self.run,
                self.recipe,
                machine,
                seconds,
                self.line,
                tokenizer_for=self.tokenizer_for,
                unread=None if known is None else known.mark,
            )
        except TextError as error:
            if known is None or not known.documents:
                raise
            raise TextError(
                f"{error}; {known.documents:,} documents ({human_bytes(known.bytes)}) were read by {self.recipe.task.model} before"
            ) from None
        if known is not None and known.documents:
            told = f"{known.documents:,} documents ({human_bytes(known.bytes)}) were read before: they are no new text"
            self.line.say(f"text  {told}")
            self.note(read_before={"documents": known.documents, "bytes": known.bytes})
        return ready

    def tokenizer_for(
        self, recipe: Recipe, split: Split, machine: Machine, seconds: float | None, line: LiveLine
    ) -> tuple[Tokenizer, str]:
        """The tokenizer of the model, with tokens of the new text where those are asked for or needed."""
        own: Tokenizer = self.source.tokenizer
        known = Run(self.folder).facts().get("tokenizer", {})
        most, why = new_tokens_for(recipe, own, split, budget(machine, seconds), known)
        if not most:
            return own, why
        line.show(f"learning {most} more tokens", force=True)
        sample = bytes_to_learn_from(seconds) // 4  # to learn on costs about four times as much
        extension = extend_tokenizer(own, texts_to_learn_from(split), most, seed=recipe.train.seed, sample_bytes=sample)
        line.say(f"tokenizer  {len(extension.pieces):,} new tokens beside {own.vocab_size:,}: {why}")
        self.note(new_tokens=len(extension.pieces), why_new_tokens=why)
        return extension.tokenizer, f"{own.vocab_size:,} of {recipe.task.model}, the others of the new text"

    def read_old(self, tokenizer: Tokenizer, machine: Machine, seconds: float | None, held_out: TokenShards) -> None:
        """Bring the old text into the run folder, by the tokenizer of now. Raises RecipeError where there must be some, and is none."""
        task, counted = self.recipe.task, issubclass(family_of(self.recipe.model.family), CountedModel)
        places = self.run.old_train_shards, self.run.old_held_out_shards
        found = [written_before(place, tokenizer) for place in places]
        begin = time.perf_counter()
        if not all(found):
            most = self.bytes_to_score(self.readable(held_out, tokenizer, seconds))
            if task.replay_text:
                found = self.read_named(task.replay_text, tokenizer, machine, seconds, most)
            else:
                train, aside = texts_of_run(self.folder)
                if train:
                    own = self.source.tokenizer
                    kept = [own.decode(ids) for shards in aside for ids in shards.documents()]
                    found = [gather(train, own, tokenizer, places[0]), spread(kept, tokenizer, most, places[1])]
            clocks = self.run.facts()["preparation"]
            self.run.record(preparation={**clocks, "tokenise": clocks["tokenise"] + time.perf_counter() - begin})
        self.old, self.old_held_out = found
        if self.old is None and (counted or task.replay):
            needs = "is counted, anew from old and new text" if counted else f"has task.replay = {task.replay}"
            raise RecipeError(
                f"{task.model} holds no text that it was trained on, and this run {needs}; name the old text: "
                "--set task.replay_text=FILE"
            )
        if counted and task.replay is not None:
            raise RecipeError("task.replay: a model of counts is counted anew from all of the old and the new text")
        if self.old is None:
            self.line.say("old text  none is known: nothing is replayed, and what is forgotten is not measured")
        if not counted:
            task.replay = (DEFAULT_REPLAY if task.replay is None else task.replay) if self.old is not None else 0.0

    def read_named(
        self, name: str, tokenizer: Tokenizer, machine: Machine, seconds: float | None, most: float
    ) -> list[TokenShards | None]:
        """Old text that the recipe names: cleaned and split as the new one is."""
        recipe = self.recipe.model_copy(deep=True)
        recipe.text.sources, recipe.text.held_out_sources = [name], []
        spill = self.run.folder / ".text"
        try:
            self.line.say(f"old text  {name}")
            split, _ = split_text(recipe, spill, self.line, sample_for(recipe, {}, machine, seconds), seconds)
            train = write_shards(split.train(), tokenizer, self.run.old_train_shards)
            kept = spread(split.held_out["text"].to_list(), tokenizer, most, self.run.old_held_out_shards)
        finally:
            shutil.rmtree(spill, ignore_errors=True)
        return [train, kept]

    def readable(self, held_out: TokenShards, tokenizer: Tokenizer, seconds: float | None) -> float:
        """Tokens that a score may read in its share of the time, by a trial; endlessly many in a run of so many steps."""
        if seconds is None or isinstance(self.source, CountedModel):
            return float("inf")
        own = self.source.tokenizer
        ids = own.encode(tokenizer.decode(held_out.document(0)[:TRIED]))[:TRIED]
        scored, cost = affordable(self.source, len(ids), len(ids)), getattr(self.source, "tokens_read_for_each", 1)
        begin = time.perf_counter()
        score(self.source, [np.array(ids)], window=window_of(self.source), **scored)
        read = cost * min(len(ids), scored["most"] or len(ids))
        return OLD_SHARE * seconds * read / (time.perf_counter() - begin)

    def bytes_to_score(self, reading: float) -> float:
        """Bytes of old text that are scored before and after."""
        cost = getattr(self.source, "tokens_read_for_each", 1)
        sampled = getattr(self.source, "asks_for_tokens", False)  # such a model scores a sample of what it is given
        return max(LEAST_OLD, 3.0 * reading / (1 if sampled else cost))

    def plan(
        self, tokenizer: Tokenizer, shards: TokenShards, held_out: TokenShards, machine: Machine, total: float | None
    ) -> tuple[Any, float | None]:
        """Score the model as it was, then plan."""
        if "plan" not in self.run.facts():
            self.score_before(tokenizer, held_out, total)
        return super().plan(tokenizer, shards, held_out, machine, total)

    def score_before(self, tokenizer: Tokenizer, held_out: TokenShards, seconds: float | None) -> None:
        """What the model says to new and old text before it learns anything, cut by the tokenizer that it had."""
        begin = time.perf_counter()
        self.line.show("scoring the model as it is", force=True)
        own, reading = self.source.tokenizer, self.readable(held_out, tokenizer, seconds)
        scored = affordable(self.source, min(reading, held_out.n_tokens), held_out.n_tokens)
        new = self.bits(self.source, held_out, tokenizer, own, **scored)
        facts: dict[str, Any] = {
            "model": self.recipe.task.model,
            "weights": self.weights(),
            "replay": self.recipe.task.replay,
            "new": {"before": new},
        }
        told = f"{new:.3f} bits per byte on new text"
        if self.old is not None and self.old_held_out is not None:
            total = self.old_held_out.n_tokens
            most = affordable(self.source, min(reading, total), total)["most"]
            before = self.bits(self.source, self.old_held_out, tokenizer, own, most=most)
            facts["old"] = {"before": before, "bytes": self.old_held_out.n_bytes, "most": most}
            facts["old_train_bytes"] = self.old.n_bytes
            told += f", {before:.3f} on old"
        self.line.say(f"before  {told}")
        self.note(**facts)
        clocks = self.run.facts()["preparation"]
        self.run.record(preparation={**clocks, "before": time.perf_counter() - begin})

    def bits(
        self,
        model: Any,
        shards: TokenShards,
        tokenizer: Tokenizer,
        own: Tokenizer,
        share: float = 1.0,
        most: int | None = None,
    ) -> float:
        """Bits per byte of a model with the tokenizer `own` on shards that were written by another one."""
        documents = in_tokens_of(shards, tokenizer, own)
        return score(model, documents, window=window_of(model), share=share, most=most).bits_per_byte

    def left(self, total: float) -> float:
        """Seconds that training may take from now on: after it old text is scored, too."""
        left = super().left(total)
        return left if self.old_held_out is None else left - max(0.0, left) * max(OLD_SHARE, 0.5 * SCORING_SHARE)

    def make_plan(self, tokenizer: Tokenizer, shards: TokenShards, machine: Machine, left: float | None) -> Plan:
        """Every choice that is open, the shape being given."""
        text = [shards] if self.old is None else [shards, self.old]
        return plan_adaptation(self.recipe, self.source, tokenizer, text, machine, left)

    def first_model(self, settings: Any, tokenizer: Tokenizer, shards: TokenShards) -> Any:
        """The model as it was, with rows for new tokens; of a family that is counted, an empty one."""
        model: Any = self.source
        if self.weights() != self.run.facts()["adaptation"]["weights"]:
            raise RunError(
                f"{self.recipe.task.model} is not the model any more that {self.run.folder} began with; bring it back, or start a "
                "new run"
            )
        if isinstance(model, CountedModel):
            return family_of(self.recipe.model.family)(settings, tokenizer)
        if tokenizer.fingerprint != model.tokenizer.fingerprint:
            extension = extension_of(tokenizer, model.tokenizer)
            model = with_more_tokens(model, tokenizer, extension.first, extension.pieces)
        model, _ = with_dropout(model, getattr(settings, "dropout", None))
        if hasattr(model, "restore_carried"):
            model.restore_carried({})
        train = self.recipe.train
        return model.to(train.device, torch.bfloat16 if train.dtype == "bfloat16" else torch.float32)

    def to_count(self, shards: TokenShards) -> list[TokenShards]:
        """Old and new text."""
        assert self.old is not None
        return [self.old, shards]

    def batches(self, model: nn.Module, shards: TokenShards, context: int, rows: int) -> Batches:
        """New text with old text among it."""
        replay, seed = self.recipe.task.replay, self.recipe.train.seed
        if not replay or self.old is None:
            return super().batches(model, shards, context, rows)
        if isinstance(model, LearnsPieces):
            mixed = MixedBatches(shards, self.old, replay, context=GROUP * context, rows=rows, seed=seed)
            return PieceBatches(shards, model.piece_ends, context=context, rows=rows, seed=seed, windows=mixed)
        kind = MixedStreams if isinstance(model, CarriesState) else MixedBatches
        return kind(shards, self.old, replay, context=context, rows=rows, seed=seed)

    def tokens_per_byte(self, shards: TokenShards) -> float:
        """Of the mixture."""
        new = shards.n_tokens / shards.n_bytes
        if self.old is None or not self.recipe.task.replay:
            return new
        replay = self.recipe.task.replay
        return 1 / ((1 - replay) / new + replay * self.old.n_bytes / self.old.n_tokens)

    def facts_of_loop(self, loop: Loop, settings: Any, shards: TokenShards) -> dict[str, Any]:
        """What is recorded of training: how often each text was read."""
        replay, tokens = self.recipe.task.replay or 0.0, loop.position.tokens
        facts = {**facts_of(loop, settings, shards), "epochs": (1 - replay) * tokens / shards.n_tokens}
        if self.old is not None:
            facts["old_epochs"] = replay * tokens / self.old.n_tokens
        return facts

    def expect(self, loop: Loop, settings: Any) -> None:
        """Score new text at the first step, as the curve begins there; what is to be expected, no runs have shown yet."""
        begin = loop.held_out(loop.model)
        loop.curves.held_out(loop.position, begin)
        facts = self.run.facts()["plan"]
        facts["predicted"] |= {"bits_per_byte_at_the_start": begin}
        self.run.record(plan=facts)

    def conclude(self, model: nn.Module, shards: TokenShards, held_out: TokenShards) -> dict[str, Any]:
        """Score old text again, then all else as in training."""
        facts = self.run.facts()["adaptation"]
        beside: dict[str, Any] = {
            "adapted_from": facts["model"],
            "replay": facts["replay"],
            "new_before": facts["new"]["before"],
        }
        if self.old_held_out is not None:
            self.line.show("scoring old text", force=True)
            model = model.eval() if isinstance(model, CountedModel) else model.eval().float()
            own: Tokenizer = model.tokenizer  # type: ignore[assignment]
            after = self.bits(model, self.old_held_out, own, own, most=facts["old"]["most"])
            before = facts["old"]["before"]
            forgetting = after / before - 1
            self.note(old={**facts["old"], "after": after}, forgetting=forgetting)
            beside |= {"old_before": before, "old_after": after, "forgetting": forgetting}
        conclude(self.run, self.recipe, model, shards, held_out, self.line, self.elapsed, beside)
        return self.run.facts()["outcome"]
