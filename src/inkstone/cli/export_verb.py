"""`inkstone export RUN`: a model in another program's format."""

import argparse
import json
from typing import Any

from inkstone.cli.generate_verb import stretching_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument("run", metavar="RUN", help="a run folder, or a checkpoint folder in Hugging Face layout")
    parser.add_argument(
        "--to",
        choices=["hf", "gguf", "ctranslate2", "arpa", "peft"],
        default="hf",
        help="hf: transformers, vLLM; gguf: llama.cpp, Ollama; ctranslate2: its Generator or Translator; arpa: an n-gram model for KenLM; peft: the low-rank changes of a "
        "tuned run (default: hf)",
    )
    parser.add_argument(
        "--out",
        metavar="PATH",
        help="where to write (default: beside the run, as RUN-hf, RUN.gguf, RUN-ctranslate2, RUN.arpa or RUN-peft)",
    )
    parser.add_argument(
        "--dtype",
        choices=["float32", "float16", "bfloat16", "q8_0", "q4_0", "int8"],
        help="type of the weights; q8_0 and q4_0 for gguf, int8 for ctranslate2 (default: as stored)",
    )
    stretching_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Export and say what opens the result."""
    from inkstone.hub.export import export
    from inkstone.progress import human_bytes

    path = export(
        options.run,
        to=options.to,
        out=options.out,
        dtype=options.dtype,
        context=options.context,
        rope_scaling=options.rope_scaling,
    )
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files if file.is_file())
    if not options.json:
        print(f"{path}  ({human_bytes(size)})")
        if options.to == "hf":
            described = json.loads((path / "config.json").read_text(encoding="utf-8"))
            kind = (described.get("architectures") or ["AutoModel"])[0]
            served = f", or  vllm serve {path}" if kind.endswith(("CausalLM", "LMHeadModel")) else ""
            print(f"Open it:  {kind}.from_pretrained({str(path)!r})  in transformers{served}")
        elif options.to == "ctranslate2":
            kind = "Generator" if (path / "vocabulary.json").exists() else "Translator"
            print(f"Open it:  ctranslate2.{kind}({str(path)!r})  in Python; its tokens are those of tokenizer.json")
        elif options.to == "peft":
            print(f"Open it:  PeftModel.from_pretrained(MODEL, {str(path)!r})  in peft, MODEL being what was tuned")
        elif options.to == "arpa":
            print(
                f"Open it:  kenlm.Model({str(path)!r})  in Python; it reads text as tokens of this run, set apart by spaces"
            )
        else:
            print(f"Open it:  llama-cli -m {path}  or, in a Modelfile for Ollama,  FROM {path.resolve()}")
    return {"path": str(path), "format": options.to, "bytes": size, "files": [file.name for file in files]}
