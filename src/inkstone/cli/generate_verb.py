"""`inkstone generate RUN "prompt"`: continue a prompt, streamed to the screen as it is written."""

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from inkstone.cli.screen import shown

if TYPE_CHECKING:
    from inkstone.inference.continuation import Generated


WITHOUT_END = 10**12  # tokens of an endless text, unless it ends itself


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument("run", metavar="RUN", help="a run folder, a checkpoint folder, or a hub name")
    parser.add_argument(
        "prompt", metavar="PROMPT", nargs="?", help="the text to continue; - or nothing: standard input, if it is piped"
    )
    sampling_arguments(parser)
    precision_argument(parser)
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile the code of decoders for this machine first, where that was not done before: seconds, once",
    )
    parser.add_argument("--samples", type=int, default=1, metavar="N", help="continuations to write; default: 1")
    parser.add_argument("--beams", type=int, default=1, metavar="N", help="beam search with N beams; nothing is drawn")
    parser.add_argument(
        "--length-penalty", type=float, default=0.6, metavar="A", help="of beam search, 0 favours short; default: 0.6"
    )
    parser.add_argument(
        "--no-repeat-ngram", type=int, default=0, metavar="N", help="in beam search no N tokens stand twice; 0: off"
    )
    draft_arguments(parser)
    parser.add_argument(
        "--endless",
        action="store_true",
        help="past the context keep the first tokens and the last ones in sight; without --max-tokens write until the text ends, or Ctrl-C",
    )
    parser.add_argument(
        "--window", type=int, metavar="N", help="tokens in sight of an endless text; default: the context"
    )
    parser.add_argument("--sinks", type=int, metavar="N", help="of these, the first ones; default: 4")
    stretching_arguments(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json-schema", metavar="FILE", help="write JSON that this schema allows")
    form.add_argument("--regex", metavar="R", help="write what matches this pattern from end to end")
    form.add_argument("--choices", nargs="+", metavar="TEXT", help="write one of these texts")


def sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of drawing tokens, the same for every verb that writes text. What is not given is left to `Sampling`."""
    parser.add_argument("--max-tokens", type=int, metavar="N", help="new tokens at most; default: 200")
    parser.add_argument("--max-length", type=int, metavar="N", help="tokens of prompt and continuation at most")
    parser.add_argument("--temperature", type=float, metavar="T", help="0: always the likeliest token; default: 0.8")
    parser.add_argument("--top-k", type=int, metavar="K", help="only the K likeliest tokens; default: all")
    parser.add_argument("--top-p", type=float, metavar="P", help="only the likeliest, which sum to P; default: all")
    parser.add_argument(
        "--min-p", type=float, metavar="P", help="only tokens P times as likely as the likeliest; default: 0.05"
    )
    parser.add_argument("--repetition-penalty", type=float, metavar="R", help="above 1: less of what was read")
    parser.add_argument("--presence-penalty", type=float, metavar="P", help="above 0: less of what was written")
    parser.add_argument("--frequency-penalty", type=float, metavar="F", help="above 0: the less, the more often it was")
    parser.add_argument("--stop", action="append", metavar="TEXT", help="end before this text; may be given repeatedly")
    parser.add_argument("--seed", type=int, metavar="N", help="another number, another text; default: 0")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto, the default: a GPU where there is one")


def draft_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a draft that guesses ahead."""
    parser.add_argument(
        "--draft",
        metavar="DRAFT",
        help="guess several tokens and check them at once: lookup (what followed the same words before), ngram (counted from the run's training text), or a smaller run with the same tokenizer",
    )
    parser.add_argument("--draft-tokens", type=int, default=4, metavar="N", help="guessed at once, at most; default: 4")


def stretching_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that stretch a model to a longer context."""
    parser.add_argument(
        "--context", type=int, metavar="N", help="read N tokens at once, more than the model was trained on"
    )
    parser.add_argument(
        "--rope-scaling",
        choices=["linear", "ntk", "yarn"],
        help="how its positions are stretched to --context; default: yarn",
    )


def precision_argument(parser: argparse.ArgumentParser) -> None:
    """The option for the precision of the weights, the same for every verb that writes text."""
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16", "int8", "int4"),
        default="auto",
        help="of the weights: auto leaves their numbers as they are; int8 and int4 take a quarter of the memory or less and lose a little",
    )


def sampling_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Those of the options above that were given."""
    from dataclasses import fields

    from inkstone.inference.sampling import Sampling

    given = {field.name: getattr(options, field.name) for field in fields(Sampling)}
    return {name: value for name, value in given.items() if value is not None}


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Write, say what it cost, return the continuations."""
    import time

    from inkstone.hub.download import local_folder
    from inkstone.hub.folder import load
    from inkstone.inference.constrained import constraint_of
    from inkstone.inference.drafts import draft_of
    from inkstone.inference.generation import generate, sampling_from, stream
    from inkstone.inference.prefill import context_of, prompt_ids
    from inkstone.inference.quantisation import in_precision
    from inkstone.inference.speculative import check_draft, speculation_of
    from inkstone.inference.window import window_of
    from inkstone.models.longer_context import stretched_to
    from inkstone.progress import human_count, human_time
    from inkstone.tokens.chat_template import ends_in

    prompt = prompt_of(options.prompt)
    settings = sampling_settings(options)
    if options.endless and options.max_tokens is None:
        settings["max_tokens"] = WITHOUT_END
    sampling = sampling_from(settings)
    form = {"json_schema": options.json_schema, "regex": options.regex, "choices": options.choices}
    constraint = constraint_of(**form)
    if options.draft:
        check_draft(options.draft, options.draft_tokens, options.run)
    opened = stretched_to(load(options.run, device=options.device), options.context, options.rope_scaling)
    ends = ends_in(local_folder(options.run), opened.tokenizer)
    model = in_precision(opened, options.precision)
    if options.compile:
        model = _compiled(model, options)
    began = time.perf_counter()
    if options.beams == 1 and options.samples == 1 and not options.json:
        speculation = speculation_of(options.draft, options.draft_tokens, model, options.run)
        wide = window_of(model, context_of(model), **_window(options))
        done = []
        form_and_help = {"constraint": constraint, "speculation": speculation, "window": wide}
        prompt_ids(model, prompt)  # what cannot go on is refused before anything is printed
        print(prompt, end="", flush=True)
        for piece in stream(model, prompt, sampling, ends=ends, **form_and_help):
            print(shown(piece.text), end="", flush=True)
            done += [piece.generated] if piece.generated else []
        print()
    else:
        done = generate(
            model,
            prompt,
            samples=options.samples,
            beams=options.beams,
            length_penalty=options.length_penalty,
            no_repeat_ngram=options.no_repeat_ngram,
            ends=ends,
            draft=draft_of(options.draft, model, options.run) if options.draft else None,
            draft_tokens=options.draft_tokens,
            **_window(options),
            **form,
            **settings,
        )
        if not options.json:
            print(shown("\n\n".join(_numbered(prompt, number, one) for number, one in enumerate(done, start=1))))
    seconds = time.perf_counter() - began
    tokens = sum(len(one.ids) for one in done)
    if not options.json:
        speed = f"{human_count(tokens / seconds)} tokens/s"
        took = human_time(seconds) if seconds >= 1 else f"{1000 * seconds:.0f} ms"
        print(f"{tokens:,} tokens in {took}, {speed}", file=sys.stderr)
        if told := _speculated(done):
            print(told, file=sys.stderr)
        cut = sum(one.finish_reason == "length" for one in done)
        if constraint is not None and cut:
            print(
                f"{cut} of {len(done)} texts used up their tokens before the form was complete; --max-tokens N allows more",
                file=sys.stderr,
            )
    return {
        "prompt": prompt,
        "samples": [_facts(one) for one in done],
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds,
    }


def _window(options: argparse.Namespace) -> dict[str, Any]:
    return {"endless": options.endless, "window": options.window, "sinks": options.sinks}


def _speculated(done: list["Generated"]) -> str:
    """What a draft was worth; nothing where there was none."""
    facts = [one.speculated for one in done if one.speculated is not None]
    drafted = sum(each.drafted for each in facts)
    if not facts:
        return ""
    if not drafted:
        return "draft: nothing was guessed"
    told = f"draft: {sum(each.accepted for each in facts) / drafted:.0%} of {drafted:,} guessed tokens stood"
    faster = facts[-1].speed_up
    return told if faster is None else f"{told}, {faster:.2f} times the speed of plain steps"


def _compiled(model: Any, options: argparse.Namespace) -> Any:
    from inkstone.inference.fast_decoder import for_generation
    from inkstone.inference.native import library
    from inkstone.progress import LiveLine

    live = LiveLine(quiet=options.json or library.find() is not None)
    live.show("compiling the code of decoders for this machine, once")
    model = for_generation(model, max(options.samples, options.beams), compiled=True)
    live.clear()
    return model


def prompt_of(words: str | None) -> str:
    """The prompt as given, or standard input when it is piped; at a terminal with no prompt, the empty one.

    The newline that ends piped text is no part of it: it would be one more token, after which a new line begins.
    """
    if words is not None and words != "-":
        return words
    if words is None and sys.stdin.isatty():
        return ""
    return sys.stdin.buffer.read().decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")


def _numbered(prompt: str, number: int, one: "Generated") -> str:
    return f"── {number} (log-probability {one.log_probability:.1f}) ──\n{prompt}{one.text}"


def _facts(one: "Generated") -> dict[str, Any]:
    return {
        "text": one.text,
        "ids": list(one.ids),
        "log_probability": one.log_probability,
        "log_probabilities": list(one.log_probabilities),
        "finish_reason": one.finish_reason,
        **(
            {}
            if one.speculated is None
            else {"speculated": {**asdict(one.speculated), "acceptance": one.speculated.acceptance}}
        ),
        "tokens_per_second": one.tokens_per_second,
    }
