"""The command line: a table of verbs, each a file of its own that is imported only when it is called."""

import argparse
import importlib
import json
import os
import sys
from types import ModuleType
from typing import Any

VERBS = {
    "train": "train a language model on your text in the minutes you give",
    "tune": "tune a model for a task on labelled examples: classification and more",
    "search-settings": "try settings of a task one after another and say which did best",
    "predict": "ask a tuned model for its answers to texts",
    "search": "find the passages of a folder that a question is about, and what they answer",
    "generate": "continue a prompt with a trained model",
    "chat": "talk with a model, turn by turn",
    "serve": "serve models behind HTTP, in the form of OpenAI's API, and the studio in the browser",
    "adapt": "let a model that answers learn from the marks that people gave its answers",
    "eval": "score a model on held-out text, or a tuned model on labelled examples",
    "compare": "train every kind of language model on your text and lay their figures side by side",
    "clean": "clean text and remove duplicates, with a reason for all that is dropped",
    "stats": "count words, n-grams and sentences, and weigh the terms of each file",
    "vectors": "learn word vectors from your text, and ask them for neighbours and analogies",
    "align": "learn which word translates which from two files of translated lines",
    "report": "write a run's report and model card anew",
    "export": "write a model in another program's format",
    "quantise": "round the weights of a model to 8 or 4 bits, and say what that costs",
    "import": "bring a checkpoint of others into a run folder",
    "demo": "show an idea on small data: autoencoders on written digits",
    "doctor": "show what this machine has and what Inkstone will use",
}


def verb_module(verb: str) -> ModuleType:
    """The module of a verb: it has `arguments(parser)` and `run(options) -> dict`, the outcome as facts."""
    return importlib.import_module(f"inkstone.cli.{verb.replace('-', '_')}_verb")


class VerbParser(argparse.ArgumentParser):
    """The parser of one verb: an option that it does not have is refused in its name, with the nearest that it has."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse has it, but for what looks like an option and is none."""
        from difflib import get_close_matches

        found, unknown = super().parse_known_args(args, namespace)
        wrong = next((word.split("=")[0] for word in unknown if word.startswith("--")), "--")
        if wrong != "--":
            names = [name.removeprefix("--") for each in self._actions for name in each.option_strings]
            near = get_close_matches(wrong.removeprefix("--"), names, n=1)
            self.error(f"there is no option {wrong}" + (f"; did you mean --{near[0]}?" if near else ""))
        return found, unknown


def parser_for(verb: str | None) -> argparse.ArgumentParser:
    """The parser of the whole command, with the options of one verb filled in."""
    from inkstone import __version__

    parser = argparse.ArgumentParser(
        prog="inkstone", description="Inkstone (砚) turns your own text into a language model that you own."
    )
    parser.add_argument("--version", action="version", version=f"inkstone {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=VerbParser)
    for name, summary in VERBS.items():
        sub = verbs.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == verb:
            verb_module(name).arguments(sub)
        sub.add_argument("--json", action="store_true", help="print the outcome as one JSON object")
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 something for the person to mend, 130 interrupted."""
    from inkstone.errors import InkstoneError, Interrupted, nearest

    words = sys.argv[1:] if arguments is None else arguments
    verb = next((word for word in words if word in VERBS), None)
    options = argparse.Namespace(json=False, debug=False)  # until the words are read
    try:
        if words and not words[0].startswith("-") and words[0] not in VERBS:
            parser_for(None).error(f"there is no verb {words[0]!r}; {nearest(words[0], VERBS)}")
        options = parser_for(verb).parse_args(words)
        options.own_process = arguments is None
        outcome = verb_module(options.verb).run(options)
        if options.json:
            print(json.dumps(outcome, ensure_ascii=False))
        return 0
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("inkstone: stopped", file=sys.stderr)
        return 130
    except InkstoneError as error:
        if options.debug:
            raise
        if options.json:
            _print_if_read(json.dumps({"error": str(error), "kind": type(error).__name__}, ensure_ascii=False))
        print(f"inkstone: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, Interrupted) else 2
    except Exception as error:
        if options.debug:
            raise
        print(
            f"inkstone: {type(error).__name__}: {error} (this should not happen; run again with --debug to see where)",
            file=sys.stderr,
        )
        return 1


def _print_if_read(text: str) -> None:
    """Print to standard output, whose reader may have been stopped as well."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # what is still held back is to go nowhere, too, when the process ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
