"""`inkstone chat RUN`: talk with a model, turn by turn; a line is a turn."""

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from inkstone.cli.generate_verb import (
    draft_arguments,
    precision_argument,
    sampling_arguments,
    sampling_settings,
)
from inkstone.cli.screen import shown

if TYPE_CHECKING:
    from inkstone.inference.conversation import Conversation

COMMANDS = "/reset forgets what was said, /seed N draws otherwise, /quit ends"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument("run", metavar="RUN", help="a run folder, a checkpoint folder, or a hub name")
    parser.add_argument("--system", metavar="TEXT", help="what stands before the conversation")
    sampling_arguments(parser)
    precision_argument(parser)
    draft_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Answer line by line until the input ends; return the turns."""
    from inkstone.inference.conversation import chat

    conversation = chat(
        options.run,
        system=options.system,
        device=options.device,
        precision=options.precision,
        draft=options.draft,
        draft_tokens=options.draft_tokens,
        **sampling_settings(options),
    )
    if not options.json:
        kind = "" if conversation.template else "This is a base model: it continues your text. "
        print(f"{kind}{COMMANDS}.", file=sys.stderr)
    turns = []
    for line in lines():
        if line.startswith("/"):
            if line.split()[0] == "/quit":
                break
            print(obey(conversation, line), file=sys.stderr)
        elif line:
            turns.append({"user": line, "answer": answer(conversation, line, quiet=options.json)})
    return {"turns": turns}


def answer(conversation: "Conversation", line: str, quiet: bool) -> str:
    """Stream the answer to the screen; Ctrl-C ends the answer, not the conversation."""
    written: list[str] = []
    pieces = conversation.say(line)
    try:
        for piece in pieces:
            written.append(piece.text)
            if not quiet:
                print(shown(piece.text), end="", flush=True)
    except KeyboardInterrupt:
        pieces.close()  # type: ignore[attr-defined]
    if not quiet:
        print(flush=True)
    return "".join(written)


def obey(conversation: "Conversation", line: str) -> str:
    """Carry out a command and say what was done."""
    name, *words = line.split()
    if name == "/reset" and not words:
        conversation.reset()
        return "forgotten"
    if name == "/seed" and len(words) == 1 and words[0].isdecimal():
        conversation.reseed(int(words[0]))
        return f"seed {int(words[0])}"
    return f"{line!r} is no command: {COMMANDS}"


def lines() -> Iterator[str]:
    """What the person types, or the lines of piped input."""
    if not sys.stdin.isatty():
        yield from (line.rstrip("\r\n") for line in sys.stdin)
        return
    import readline  # noqa: F401  (gives `input` its history and editing)

    while True:
        try:
            yield input("> ").strip()
        except EOFError:
            print(file=sys.stderr)
            return
