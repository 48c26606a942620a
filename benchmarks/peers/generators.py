"""One engine with one model in a process of its own, asked to write on its standard input: what `generation.py` races.

    python benchmarks/peers/generators.py CONTESTANT FORMAT RUN --threads 2

Each line in is {"prompts": [[id, ...], ...], "tokens": n}; each line out {"seconds": s, "texts": [[id, ...], ...]}, the first one
{"ready": true}. Texts are written greedily to exactly n tokens.
So thread pools of several engines are never in one process, and each is set as it is fastest.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

Prompts = list[list[int]]
Writer = Callable[[Prompts, int], Prompts]


def inkstone(form: str, folder: Path, threads: int, compiled: bool, most_rows: int) -> Writer:
    """One text: what `inkstone generate` streams from. Several: the batching engine that `inkstone serve` writes with."""
    import torch

    from inkstone.hub.folder import load
    from inkstone.inference.engine import Engine, Heard, Request
    from inkstone.inference.fast_decoder import for_generation
    from inkstone.inference.generation import stream
    from inkstone.inference.quantisation import in_precision
    from inkstone.inference.sampling import Sampling
    from inkstone.inference.slotted import slotted

    torch.set_num_threads(threads)
    model = in_precision(load(folder), form)
    alone = for_generation(model, 1, compiled)
    engine: list[Engine] = []

    def together(prompts: Prompts, tokens: int) -> Prompts:
        if not engine:
            engine.append(
                Engine(slotted(model, most_rows, model.settings.context, compiled=compiled), prompt_tokens=512)
            )
        texts: Prompts = [[] for _ in prompts]
        sampling = Sampling(temperature=0, max_tokens=tokens)

        def hear(place: int) -> Callable[[Heard], None]:
            return lambda heard: texts[place].extend(heard.ids)

        for place, prompt in enumerate(prompts):
            engine[0].submit(Request(tuple(prompt), sampling, ends=frozenset()), hear(place))
        while engine[0].step():
            pass
        return texts

    def write(prompts: Prompts, tokens: int) -> Prompts:
        if len(prompts) > 1:
            return together(prompts, tokens)
        sampling = Sampling(temperature=0, max_tokens=tokens)
        pieces = stream(alone, prompts[0], sampling, ends=())
        return [list(piece.generated.ids) for piece in pieces if piece.generated]

    return write


def transformers(form: str, folder: Path, threads: int, way: str) -> Writer:
    """`transformers.generate` with a cache that grows, a static one, or that and its forward pass compiled."""
    import torch
    import transformers as theirs

    torch.set_num_threads(threads)
    theirs.utils.logging.set_verbosity_error()
    theirs.utils.logging.disable_progress_bar()
    model = theirs.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, form)).eval()
    model.generation_config.eos_token_id = None
    if way == "compiled":
        model.forward = torch.compile(model.forward)
    options = {} if way == "growing" else {"cache_implementation": "static"}

    def write(prompts: Prompts, tokens: int) -> Prompts:
        ids = torch.tensor(prompts)
        settings = dict(attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False, pad_token_id=0)
        return model.generate(ids, **settings, **options)[:, ids.shape[1] :].tolist()

    return write


def llama_cpp(form: str, folder: Path, threads: int, most_rows: int) -> Writer:
    """llama.cpp's server in this process, as many slots as rows; whole answers, no log-probabilities."""
    from inkstone.hub.folder import load
    from inkstone.hub.llama_cpp import LlamaCpp

    model = load(folder)
    engine = LlamaCpp(model, slots=most_rows, capacity=model.settings.context, dtype=form, threads=threads)

    def write(prompts: Prompts, tokens: int) -> Prompts:
        texts: Prompts = [[] for _ in prompts]

        def one(place: int) -> None:
            asked = dict(prompt=prompts[place], n_predict=tokens, temperature=0, ignore_eos=True, cache_prompt=False)
            answer = engine.server.handle_completions(asked)
            texts[place] = [0] * answer["usage"]["completion_tokens"]  # ids are told only at a cost

        run = [threading.Thread(target=one, args=(place,)) for place in range(len(prompts))]
        for thread in run:
            thread.start()
        for thread in run:
            thread.join()
        return texts

    return write


def ctranslate2(form: str, folder: Path, threads: int) -> Writer:
    """CTranslate2's Generator."""
    import ctranslate2 as theirs

    from inkstone.hub.ctranslate2_folder import vocabulary, write_ctranslate2
    from inkstone.hub.folder import load

    if form not in theirs.get_supported_compute_types("cpu"):
        raise NotImplementedError(f"CTranslate2 does not compute in {form} on this processor")
    model = load(folder)
    with tempfile.TemporaryDirectory() as name:
        write_ctranslate2(model, Path(name) / "model", form)
        generator = theirs.Generator(str(Path(name) / "model"), intra_threads=threads, compute_type=form)
    names = vocabulary(model.tokenizer, model.settings.vocab_size)

    def write(prompts: Prompts, tokens: int) -> Prompts:
        spelled = [[names[number] for number in prompt] for prompt in prompts]
        length = dict(max_length=tokens, min_length=tokens)
        found = generator.generate_batch(spelled, include_prompt_in_result=False, sampling_topk=1, **length)
        return [list(text.sequences_ids[0]) for text in found]

    return write


def vllm(form: str, folder: Path, threads: int, most_rows: int) -> Writer:
    """vLLM's LLM class, whose server would only add to it."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "2"}
    os.environ["VLLM_CPU_OMP_THREADS_BIND"] = f"0-{threads - 1}"
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # its compiler's tools
    from vllm import LLM, SamplingParams

    longest = json.loads((folder / "config.json").read_text())["max_position_embeddings"]
    model = LLM(str(folder), dtype=form, max_num_seqs=most_rows, max_model_len=longest, enable_prefix_caching=False)

    def write(prompts: Prompts, tokens: int) -> Prompts:
        how = SamplingParams(temperature=0, max_tokens=tokens, min_tokens=tokens, ignore_eos=True, detokenize=False)
        found = model.generate([{"prompt_token_ids": prompt} for prompt in prompts], how, use_tqdm=False)
        return [list(each.outputs[0].token_ids) for each in found]

    return write


def onnxruntime_genai(form: str, folder: Path, threads: int) -> Writer:
    """onnxruntime-genai's generator, over what its own builder makes of the folder."""
    import numpy as np
    import onnxruntime_genai as theirs

    with tempfile.TemporaryDirectory() as name:
        made = Path(name) / "model"
        words = [
            "-i",
            folder,
            "-o",
            made,
            "-p",
            {"float32": "fp32"}.get(form, form),
            "-e",
            "cpu",
            "-c",
            Path(name) / "cache",
        ]
        build = [sys.executable, "-m", "onnxruntime_genai.models.builder", *map(str, words)]
        subprocess.run(build, check=True, stdout=sys.stderr)
        place = made / "genai_config.json"
        config = json.loads(place.read_text())
        config["model"]["decoder"]["session_options"]["intra_op_num_threads"] = threads
        place.write_text(json.dumps(config))
        model = theirs.Model(str(made))

    def write(prompts: Prompts, tokens: int) -> Prompts:
        length = len(prompts[0]) + tokens
        how = theirs.GeneratorParams(model)
        how.set_search_options(batch_size=len(prompts), do_sample=False, max_length=length, min_length=length)
        generator = theirs.Generator(model, how)
        generator.append_tokens(np.array(prompts, dtype=np.int32))
        for _ in range(tokens):
            generator.generate_next_token()
        return [generator.get_sequence(row)[-tokens:].tolist() for row in range(len(prompts))]

    return write


def opened(contestant: str, form: str, folder: Path, threads: int, most_rows: int) -> Writer:
    """The writer of a contestant, named as in `generation.py`."""
    who, _, way = contestant.partition(", ")
    if who == "inkstone":
        return inkstone(form, folder, threads, way != "not compiled", most_rows)
    if who == "transformers":
        return transformers(form, folder, threads, way or "growing")
    if who == "llama.cpp":
        return llama_cpp(form, folder, threads, most_rows)
    if who == "ctranslate2":
        return ctranslate2(form, folder, threads)
    if who == "onnxruntime-genai":
        return onnxruntime_genai(form, folder, threads)
    return vllm(form, folder, threads, most_rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("contestant")
    parser.add_argument("form")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=1, help="texts at once at most")
    options = parser.parse_args()
    out = os.fdopen(os.dup(1), "w")  # what a library prints goes to standard error
    os.dup2(2, 1)

    def say(words: dict) -> None:
        print(json.dumps(words), file=out, flush=True)

    try:
        write = opened(options.contestant, options.form, options.folder, options.threads, options.rows)
    except NotImplementedError as reason:
        say({"ready": False, "reason": str(reason)})
        return
    except ModuleNotFoundError as error:
        say({"ready": False, "reason": f"{error.name} is not installed here"})
        return
    say({"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        began = time.perf_counter()
        texts = write(asked["prompts"], asked["tokens"])
        say({"seconds": time.perf_counter() - began, "texts": texts})
    out.flush()
    os._exit(0)  # some engines wait for their threads for ever


if __name__ == "__main__":
    main()
