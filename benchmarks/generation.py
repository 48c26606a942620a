"""How many tokens a second does generation write? Ours and `transformers.generate` in turn, from the same weights.

    python benchmarks/generation.py --pairs 5

A random model of about 30 million weights in the Qwen3 layout is saved as a folder, which both open. Each continues a prompt
of 64 tokens by 256 likeliest tokens with a key/value cache, for one text and for eight; reading the prompt is in the
time. The peer runs as it does by default (a cache that grows), with its static cache, and with --compiled with the
static cache and its forward pass compiled, the compilation itself not counted. In bfloat16 a chip without units for it
is slow, so there fewer tokens are written unless it has them.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import transformers

from inkstone.hub.folder import load, save
from inkstone.inference.generation import stream
from inkstone.inference.sampling import Sampling
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.tokens.learning import learn_tokenizer
from inkstone.training.machine import matmul_rate
from results import write_result

SETTINGS = DecoderSettings(8192, 512, 8, 8, 4, 64, 1536, 1024)
Writer = Callable[[int], list[int]]  # writes so many tokens, gives those of the first text


def random_folder(folder: Path) -> int:
    """Save a model in which no matrix is zero, and return how many weights it has."""
    tokenizer = learn_tokenizer(iter(["ink"]), "byte-bpe", 260)
    tokenizer.backend.add_tokens([f"token {number}" for number in range(tokenizer.vocab_size, SETTINGS.vocab_size)])
    generator = torch.Generator().manual_seed(0)
    model = Decoder(SETTINGS, type(tokenizer)(tokenizer.backend, end=tokenizer.end)).initialise(generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.02)
    save(model, folder)
    return model.n_parameters()


def ours(folder: Path, form: str, prompt: list[int], batch: int) -> Writer:
    """The generator that `inkstone generate` streams from."""
    model = load(folder, dtype=form)

    def write(tokens: int) -> list[int]:
        sampling = Sampling(temperature=0, max_tokens=tokens)
        pieces = [piece for piece in stream(model, prompt, sampling, batch, ends=()) if piece.generated]
        return list(pieces[0].generated.ids) if pieces[0].generated else []

    return write


def peer(folder: Path, form: str, prompt: list[int], batch: int, cache: str, compiled: bool) -> Writer:
    """`transformers.generate` with one kind of cache."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, form)).eval()
    model.generation_config.eos_token_id = None
    if compiled:
        model.forward = torch.compile(model.forward)
    ids = torch.tensor([prompt]).expand(batch, -1)
    options = {} if cache == "dynamic" else {"cache_implementation": cache}

    def write(tokens: int) -> list[int]:
        mask = torch.ones_like(ids)
        rows = model.generate(
            ids, attention_mask=mask, max_new_tokens=tokens, do_sample=False, pad_token_id=0, **options
        )
        return rows[0, len(prompt) :].tolist()

    return write


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=64, help="tokens of the prompt")
    parser.add_argument("--tokens", type=int, default=256, help="tokens to write")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--formats", nargs="+", choices=("float32", "bfloat16"), default=["float32", "bfloat16"])
    parser.add_argument("--compiled", action="store_true", help="also the peer compiled (adds some minutes)")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "generation.json"))
    options = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    if options.threads:
        torch.set_num_threads(options.threads)
    slow = matmul_rate(torch.bfloat16, "cpu", 1.0) < matmul_rate(torch.float32, "cpu", 1.0)
    prompt = torch.randint(0, 256, (options.prompt,), generator=torch.Generator().manual_seed(1)).tolist()
    rows = []
    notes = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = random_folder(folder)
        for form in options.formats:
            tokens = min(options.tokens, 32) if form == "bfloat16" and slow else options.tokens
            for batch in options.batches:
                writers: dict[str, Writer] = {
                    "inkstone": ours(folder, form, prompt, batch),
                    "transformers": peer(folder, form, prompt, batch, "dynamic", False),
                    "transformers, static cache": peer(folder, form, prompt, batch, "static", False),
                }
                if options.compiled:
                    writers["transformers, compiled"] = peer(folder, form, prompt, batch, "static", True)
                # The number of tokens sets the size of a static cache, so the first round has it too.
                texts = {who: write(tokens) for who, write in writers.items()}
                same = all(text == texts["inkstone"] for text in texts.values())
                if not same:
                    notes.append(f"{form}, {batch} texts: the tokens differ, as rounding decides between likely ones")
                times: dict[str, list[float]] = {who: [] for who in writers}
                for _ in range(options.pairs):
                    for who, write in writers.items():
                        begin = time.perf_counter()
                        write(tokens)
                        times[who].append(time.perf_counter() - begin)
                for who, seconds in times.items():
                    ratios = [mine / other for mine, other in zip(times["inkstone"], seconds, strict=True)]
                    rate = batch * tokens / statistics.median(seconds)
                    ratio = None if who == "inkstone" else round(1 / statistics.median(ratios), 2)
                    rows.append([form, batch, who, round(rate, 1), ratio])
                    print(*rows[-1], sep="\t", flush=True)
    write_result(
        Path(options.out),
        question="How many tokens a second does generation write, greedily, with a cache?",
        columns=["number format", "texts at once", "who", "tokens a second", "inkstone is faster by"],
        rows=rows,
        notes=[
            f"Qwen3 layout, {weights / 1e6:.1f} M weights, prompt of {options.prompt} tokens, {options.tokens} new ones; "
            f"{options.pairs} rounds in turn, medians; {torch.get_num_threads()} threads",
            "several texts continue one prompt, which ours reads once and the peer once for each",
            *(
                [f"this chip has no units for bfloat16: {min(options.tokens, 32)} new tokens there"]
                if slow and "bfloat16" in options.formats
                else []
            ),
            *notes,
        ],
    )


if __name__ == "__main__":
    main()
