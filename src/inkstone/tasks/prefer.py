"""Preferences: of two answers to a question the model learns to give the one that people preferred, and to stay near itself as it began.

The losses are those of DPO, IPO and ORPO (`preference_losses.py`). What the model as it began says of an answer is had without a second
model while it learns: by leaving out the low-rank changes (`task.lora_rank`), or, where all weights learn, from before the first step,
when each pair was asked about once.

    reward of an answer  r(y) = β log π(y)/ρ(y)           margin: r(y₊) − r(y₋) in the mean over pairs
    reward accuracy      the share of pairs with r(y₊) > r(y₋), a tie counted half

How far the model has gone is the mean over the tokens of both answers of  KL(π(· | before) ‖ ρ(· | before)), each exact, over the whole
vocabulary. The contexts are those of the answers in the file, not of answers drawn from π: there the distance can be larger.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from inkstone.errors import InkstoneError, RecipeError, RunError, TextError
from inkstone.evaluation.intervals import ratio, with_ones
from inkstone.hub.folder import load
from inkstone.layers.lora import adapted, lora_off
from inkstone.models.headed import Headed
from inkstone.models.resized_decoder import resized
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.conversing import LEAST_WRITTEN, ConversingSettings, ids_of_texts, nats_of_texts, written_greedily
from inkstone.tasks.dialogue_inputs import last_answer_input
from inkstone.tasks.framing import Frame
from inkstone.tasks.preference_losses import Objective, pair_losses
from inkstone.tasks.understanding import Understanding
from inkstone.text.conversations import Dialogue
from inkstone.text.preferences import Preference, holds_preference, read_preferences
from inkstone.tokens.chat_template import ChatTemplateError
from inkstone.tokens.example_batches import Encoded, ExampleBatch, collate, in_order
from inkstone.tokens.tokenizer import Tokenizer

ASKED_TOKENS = 8192  # of one pass in which the model as it began is asked
KL_ROWS = 256  # tokens whose distributions are held at once


@dataclass(frozen=True)
class Weighed:
    """What the model, and the model as it began, say of a pair: log-probabilities of both answers; or what is written to a question."""

    text: str | None = None
    model: tuple[float, float] = (0.0, 0.0)  # of the preferred answer and of the other
    reference: tuple[float, float] = (0.0, 0.0)
    tokens: tuple[int, int] = (0, 0)
    divergence: float = 0.0  # summed over the tokens of both


def without_model() -> RecipeError:
    """What is said where no model is named to begin with."""
    return RecipeError(
        "prefer needs a model that answers already; tune one with: inkstone tune chat DATA, and give it by --from RUN"
    )


@dataclass
class Prefer(ConversingSettings):
    """The task."""

    objective: Objective = "dpo"
    beta: float = 0.1  # how dear it is to leave the model as it began; of ORPO how much the preference counts
    reference: str | None = None  # the model as it began: a folder
    nearby: str | None = None  # the same from the folder of the run, which may be moved together with it

    name: ClassVar[str] = "prefer"
    score: ClassVar[str] = "reward accuracy"
    counted_in: ClassVar[str] = "pair"

    def __post_init__(self) -> None:
        """Refuse settings that cannot hold."""
        super().__post_init__()
        if self.objective not in get_args(Objective):
            allowed = ", ".join(get_args(Objective))
            raise RecipeError(f"task.objective = {self.objective!r}, but must be one of {allowed}")
        if not self.beta > 0:
            raise RecipeError(f"task.beta = {self.beta}, but must be above 0")
        self._opened: Headed | None = None
        self._home: Path | None = None  # the folder of the run that is asked

    @staticmethod
    def reads(record: Mapping[str, Any]) -> bool:
        """Whether a record has a chosen and a rejected answer."""
        return holds_preference(record)

    def read(self, sources: Sequence[str], understanding: Understanding) -> list[Preference]:
        """The pairs of files, in any of the forms of `text/preferences.py`."""
        found = list(read_preferences(sources, understanding))
        understanding.look_at([pair.text for pair in found])
        understanding.close(len(found))
        return found

    def learn(self, examples: Sequence[Preference]) -> None:
        """Nothing must be known beforehand."""

    def converse(self, tokenizer: Tokenizer, folder: Path | None) -> tuple[Tokenizer, list[int]]:
        """As every task that converses; the model in the folder is what the tuned one is compared with.

        Raises RecipeError where there is none.
        """
        if folder is None:
            raise without_model()
        self._home = folder
        self.reference = self.reference or str(folder.resolve())
        return super().converse(tokenizer, folder)

    def kept_in(self, folder: Path) -> dict[str, Any]:
        """As JSON holds it in the folder of a run: with the way from there to the model as it began."""
        assert self.reference is not None
        with contextlib.suppress(ValueError):  # on another drive there is none
            self.nearby = os.path.relpath(self.reference, folder.resolve())
        return self.to_dict()

    def _reference_folder(self) -> Path:
        """Where the model as it began lies: beside the run as it did, or else where it was."""
        assert self.reference is not None
        if self._home is not None and self.nearby is not None:
            nearby = (self._home.resolve() / self.nearby).resolve()
            if (nearby / "config.json").exists():
                return nearby
        return Path(self.reference)

    def learns_whole(self) -> bool:
        """Only where nothing is compared with the model as it began, of which the rows of tokens are a part."""
        return self.objective == "orpo" and super().learns_whole()

    def texts(self, examples: Sequence[Preference]) -> list[str]:
        """All that is said."""
        return [pair.text for pair in examples]

    def lengths(self, examples: Sequence[Preference]) -> list[int]:
        """Tokens of the longer of both conversations."""
        pairs = [self._sides(pair, 1 << 30) for pair in examples]
        self.learn_length([int(side.answers.sum()) for sides in pairs for side in sides if side.answers is not None])
        return [max(len(side.ids) for side in sides) for sides in pairs]

    def _sides(self, pair: Preference, context: int) -> list[Encoded]:
        """The conversation with the preferred answer and the one with the other, the last answer of each to be written."""
        try:
            return [
                last_answer_input(
                    self.template_of(), [*pair.messages, {"role": "assistant", "content": answer}], context
                )
                for answer in (pair.chosen, pair.rejected)
            ]
        except ChatTemplateError as error:
            raise TextError(f"{pair.place}: {error}") from None

    def encode(self, examples: Sequence[Preference | Dialogue], frame: Frame) -> list[list[Encoded]]:
        """Both conversations of a pair as two texts of one input; of a question what its answer follows."""
        return [
            [self._pair(each, frame.context) if isinstance(each, Preference) else self.asked_input(each, frame.context)]
            for each in examples
        ]

    def _pair(self, pair: Preference, context: int) -> Encoded:
        sides = self._sides(pair, context)
        ids, answers = ([getattr(side, name) for side in sides] for name in ("ids", "answers"))
        sequence = np.repeat([0, 1], [len(each) for each in ids])
        cut = any(side.cut for side in sides)
        return Encoded(np.concatenate(ids), answers=np.concatenate(answers), sequence=sequence, cut=cut)

    def with_reference(self, model: Headed, inputs: Sequence[Encoded]) -> list[Encoded]:
        """The pairs with the log-probabilities of both answers, by the model before its first step.

        They stay without where low-rank changes can be left out at any time, and for ORPO, which needs none.
        """
        self._opened = None  # what was opened to score the beginning
        if self.objective == "orpo" or adapted(model.body):
            return list(inputs)
        told, device, training = list(inputs), next(model.parameters()).device, model.training
        model.eval()
        for rows in in_order(inputs, ASKED_TOKENS):
            batch = _on(collate([inputs[row] for row in rows]), device)
            with torch.no_grad():
                known, _ = _log_chances(model, batch)
            for row, each in zip(rows, known.double().cpu().numpy(), strict=True):
                told[row] = replace(told[row], reference=each)
        model.train(training)
        return told

    def _losses(self, model: Headed, batch: ExampleBatch) -> Float[Tensor, " n"]:
        chances, tokens = _log_chances(model, batch)
        reference = batch.reference
        if self.objective != "orpo" and reference is None:
            with torch.no_grad(), lora_off(model.body):
                reference, _ = _log_chances(model, batch)
        return pair_losses(self.objective, self.beta, chances, reference, tokens)

    def loss(self, model: Headed, batch: ExampleBatch, generator: torch.Generator) -> Float[Tensor, ""]:
        """The mean over the pairs."""
        return self._losses(model, batch).mean()

    def nats(self, model: Headed, batch: ExampleBatch) -> tuple[float, int]:
        """The losses of the pairs, summed, and their number."""
        losses = self._losses(model, batch).detach()
        return float(losses.double().sum()), len(losses)

    def outputs(self, model: Headed, batch: ExampleBatch) -> list[Weighed]:
        """What the model and the model as it began say of each pair; a question is answered."""
        assert batch.answers is not None
        if not bool(batch.answers.any()):
            return self._written(model, batch)
        states, wanted, text = model.states_before(batch)
        others, _, _ = self._reference_model(model).states_before(batch)
        weights = (model.body.output_weight, self._reference_model(model).body.output_weight)
        texts = int(text.max()) + 1
        sums = torch.zeros(3, texts, dtype=torch.float64, device=states.device)
        for begin in range(0, len(wanted), KL_ROWS):
            rows = slice(begin, begin + KL_ROWS)
            ours, theirs = (
                (s[rows] @ w.T).float().log_softmax(-1) for s, w in zip((states, others), weights, strict=True)
            )
            theirs = theirs[:, : ours.shape[1]]
            each = [side.gather(1, wanted[rows, None])[:, 0] for side in (ours, theirs)]
            each.append((ours.exp() * (ours - theirs)).sum(-1))
            for number, part in enumerate(each):
                sums[number].index_add_(0, text[rows], part.double())
        tokens = torch.bincount(text, minlength=texts).view(-1, 2).tolist()
        pairs = sums.view(3, -1, 2).tolist()
        return [
            Weighed(None, (a, b), (c, d), (n, m), e + f)
            for (a, b), (c, d), (e, f), (n, m) in zip(*pairs, tokens, strict=True)
        ]

    def _written(self, model: Headed, batch: ExampleBatch) -> list[Weighed]:
        prompts = [ids for ids, _ in ids_of_texts(batch)]
        limits = [self.longest or LEAST_WRITTEN] * len(prompts)
        texts = written_greedily(model.body, prompts, limits, self.template_of().ends)
        return [Weighed(text.strip()) for text in texts]

    def _reference_model(self, model: Headed) -> Headed:
        """The model as it began, opened once; while another learns it is never asked for."""
        if self._opened is None:
            place = self._reference_folder()
            try:
                body: Any = load(place, dtype=torch.float32)
            except InkstoneError as error:
                raise RunError(
                    f"the figures of preferences need the model as it began, and it cannot be opened: {error}"
                ) from None
            body = getattr(body, "body", body)
            beginning = type(self)(objective=self.objective)
            tokenizer, unlearned = beginning.converse(body.tokenizer, place)
            if unlearned:
                body = resized(body, tokenizer, body.settings.context, unlearned)
            self._opened = Headed(body, self.head()).to(next(model.parameters()).device).eval()
        return self._opened

    def answer(self, example: Preference | Dialogue, outputs: Sequence[Weighed]) -> Answer:
        """The rewards of both answers and what is known of them; of a question the answer that is written."""
        found = outputs[0]
        if found.text is not None:
            return {"answer": found.text}
        rewards = [self.beta * (own - other) for own, other in zip(found.model, found.reference, strict=True)]
        likelier = [chance / tokens for chance, tokens in zip(found.model, found.tokens, strict=True)]
        return {
            "rewards": rewards,
            "log_chances_a_token": likelier,
            "kl": found.divergence,
            "tokens": sum(found.tokens),
        }

    def measures(self, examples: Sequence[Preference], answers: Sequence[Answer]) -> dict[str, Measure]:
        """Accuracy and margin of the rewards, the share of pairs whose preferred answer is the likelier one, and the KL."""
        found = {"reward accuracy": Measure(with_ones(_won([answer["rewards"] for answer in answers])), ratio)}
        if any("kl" not in answer for answer in answers):
            return found
        rewards = np.array([answer["rewards"] for answer in answers], dtype=np.float64).reshape(-1, 2)
        kl = np.array([[answer["kl"], answer["tokens"]] for answer in answers], dtype=np.float64)
        return found | {
            "likelier": Measure(with_ones(_won([answer["log_chances_a_token"] for answer in answers])), ratio),
            "margin": Measure(with_ones(rewards[:, 0] - rewards[:, 1]), ratio, "nats"),
            "KL": Measure(kl, ratio, "nats a token", lower_is_better=True),
        }

    def mistakes(self, examples: Sequence[Preference], answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """The question, the preferred answer, and the one to which the model gives more."""
        rows = []
        for pair, answer in zip(examples, answers, strict=True):
            right = answer["rewards"][0] > answer["rewards"][1]
            rows.append(
                {
                    "place": pair.place,
                    "text": "\n\n".join(message["content"] for message in pair.messages),
                    "gold": pair.chosen,
                    "predicted": pair.chosen if right else pair.rejected,
                    "right": right,
                    "loss": answer["rewards"][1] - answer["rewards"][0],
                }
            )
        return rows

    def yardstick(
        self, train: Sequence[Preference], parts: Sequence[Sequence[Preference]], seed: int
    ) -> tuple[str, list[list[Answer]]]:
        """The longer or the shorter answer, whichever people preferred more often in the training part."""
        sign = 1 if np.mean(_won([_lengths(pair, 1)["rewards"] for pair in train])) >= 0.5 else -1
        name = f"the {'longer' if sign > 0 else 'shorter'} answer"
        return name, [[_lengths(pair, sign) for pair in part] for part in parts]

    def samples(self, model: Headed, examples: Sequence[Preference]) -> list[dict[str, Any]]:
        """The likeliest answers to a few of the questions, with those that were preferred."""
        return self.sample_answers(model, [(pair.messages, pair.chosen) for pair in examples])


def _log_chances(model: Headed, batch: ExampleBatch) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2"]]:
    """The log-probability of both answers of each pair, and their tokens."""
    nats, tokens, _, _ = nats_of_texts(model, batch)
    return -nats.view(-1, 2), tokens.to(nats.dtype).view(-1, 2)


def _won(pairs: Sequence[Sequence[float]]) -> Float[np.ndarray, " n"]:
    """1 where the first is larger, a half where both are the same."""
    both = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return (1 + np.sign(both[:, 0] - both[:, 1])) / 2


def _lengths(pair: Preference, sign: int) -> Answer:
    return {"rewards": [float(sign * len(answer)) for answer in (pair.chosen, pair.rejected)]}


def _on(batch: ExampleBatch, device: torch.device) -> ExampleBatch:
    moved = {name: value.to(device) for name, value in vars(batch).items() if isinstance(value, Tensor)}
    return replace(batch, **moved)
