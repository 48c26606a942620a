"""The peer of `quality.py`: a GPT-2 model in the transformers Trainer, given the same text and the same minutes.

    python benchmarks/peers/trainer.py TRAIN.txt OUT --minutes 10 --setting best

"defaults" leaves every training argument as the Trainer has it (AdamW at 5e-5, linear decay, batches of 8).
"best" is what did best of a few settings tried by hand: batches of 4, AdamW at 3e-3 with β₂ 0.95, warm-up, and no dropout
where the text is read fewer than twice. Both train the same GPT-2 shape and a byte-level BPE tokenizer of the same size,
and both first train a copy for a few steps, in the Trainer itself, so that the decay of the learning rate ends with the
minutes.
"""

import argparse
import copy
import math
import time
from pathlib import Path

BEGAN = time.monotonic()  # before the imports, which are part of what a person waits for

import torch  # noqa: E402
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402
from transformers import (  # noqa: E402
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
    set_seed,
)

CONTEXT = 256
END = "<|endoftext|>"
TIMED = 0.03  # of the minutes, spent on finding out how long a step takes


def learn_tokenizer(text: str, vocab_size: int) -> PreTrainedTokenizerFast:
    """GPT-2's own kind: byte-level BPE behind GPT-2's pattern."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(text.splitlines(keepends=True), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=END, bos_token=END, unk_token=END)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("text")
    parser.add_argument("out")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--setting", choices=("defaults", "best"), required=True)
    parser.add_argument("--vocab", type=int, default=2048)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    set_seed(0)
    text = Path(options.text).read_text(encoding="utf-8")
    tokenizer = learn_tokenizer(text, options.vocab)
    paragraphs = text.splitlines(keepends=True)
    pieces = ["".join(paragraphs[i : i + 500]) for i in range(0, len(paragraphs), 500)]
    ids = [number for encoding in tokenizer(pieces)["input_ids"] for number in encoding]
    ids = [tokenizer.eos_token_id, *ids, tokenizer.eos_token_id]
    rows = [
        {"input_ids": ids[i : i + CONTEXT], "labels": ids[i : i + CONTEXT]}
        for i in range(0, len(ids) - CONTEXT, CONTEXT)
    ]
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=CONTEXT,
            n_embd=options.width,
            n_layer=options.layers,
            n_head=max(2, options.width // 64),
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    best = options.setting == "best"
    batch = options.batch if best else 8
    arguments = {"per_device_train_batch_size": batch, "report_to": [], "save_strategy": "no", "use_cpu": True}
    if best:
        arguments |= {
            "learning_rate": options.learning_rate,
            "adam_beta2": 0.95,
            "warmup_steps": 20,
            "weight_decay": 0.1,
        }
    timing = TrainingArguments(options.out + "-timing", max_steps=100_000, disable_tqdm=True, **arguments)
    speed = step_seconds(model, rows, timing, options.minutes * 60 * TIMED)
    left = options.minutes * 60 - (time.monotonic() - BEGAN) - 2
    steps = max(1, math.floor(left / speed))
    if best and steps * batch < 2 * len(rows):
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            options.out + "-trainer", max_steps=steps, disable_tqdm=True, logging_steps=max(1, steps // 10), **arguments
        ),
        train_dataset=rows,
        data_collator=default_data_collator,
    )
    trainer.train()
    model.save_pretrained(options.out)
    tokenizer.save_pretrained(options.out)
    print(f"{steps} steps of {batch * CONTEXT} tokens in {time.monotonic() - BEGAN:.0f} s", flush=True)


class Clock(TrainerCallback):
    """The moment at which each step ended; training stops after so many seconds."""

    def __init__(self, seconds: float):
        self.end = time.perf_counter() + seconds
        self.ended: list[float] = []

    def on_step_end(self, args, state, control, **kwargs):
        """One more step is done."""
        self.ended.append(time.perf_counter())
        control.should_training_stop = self.ended[-1] > self.end and len(self.ended) > 3


def step_seconds(model: GPT2LMHeadModel, rows: list[dict], arguments: TrainingArguments, seconds: float) -> float:
    """Seconds of one step, from steps of a copy of the model; the first ones are slower and left out."""
    clock = Clock(seconds)
    Trainer(
        model=copy.deepcopy(model), args=arguments, train_dataset=rows, data_collator=default_data_collator,
        callbacks=[clock],
    ).train()  # fmt: skip
    timed = clock.ended[len(clock.ended) // 3 :]
    return (timed[-1] - timed[0]) / (len(timed) - 1)


if __name__ == "__main__":
    main()
