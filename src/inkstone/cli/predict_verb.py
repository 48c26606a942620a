"""`inkstone predict RUN [INPUT...]`: what a tuned model says to texts."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

OF_FILES = (".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".gz", ".xz", ".bz2", ".zst")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument("run", metavar="RUN", help="a run or a checkpoint tuned for a task")
    parser.add_argument(
        "inputs", nargs="*", metavar="INPUT", help="texts, or files as by --file; none: lines of standard input"
    )
    parser.add_argument("--file", dest="files", action="append", default=[], metavar="FILE", help="lines or records")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="write the answers there, as JSON lines; NAME.conllu: as CoNLL-U; translations in NAME.txt: as text",
    )
    parser.add_argument("--context", metavar="FILE", help="the text that all inputs, questions then, are about")
    parser.add_argument(
        "--to",
        metavar="LANGUAGE",
        help="of a translator of several languages: which one to write; of a Whisper: en, for English",
    )
    parser.add_argument(
        "--language", metavar="LANGUAGE", help="of a Whisper: the language that is spoken; by default it tells"
    )
    parser.add_argument("--words", action="store_true", help="of a Whisper: the time of each word, too")
    parser.add_argument(
        "--long",
        choices=["cut", "split"],
        default="cut",
        help="of a text longer than the context: cut leaves its end out, split reads it in windows and joins what is said to "
        "them, for runs that classify or embed; default: cut",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto, the default: a GPU where there is one")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Answer, one JSON object a line."""
    import json
    from pathlib import Path

    from inkstone.files import write_text
    from inkstone.hub.download import local_folder
    from inkstone.hub.folder import read_config
    from inkstone.tasks.predict import predict
    from inkstone.tasks.tag_conllu import conllu_of

    texts, named = parted(options.inputs, options.run)
    inputs, files = texts, options.files + named
    if not inputs and not files:
        inputs = [line.rstrip("\r\n") for line in sys.stdin if line.strip()]
        if not inputs:
            print("inkstone: no input: give texts, --file FILE, or lines of standard input", file=sys.stderr)
    answers = predict(
        options.run,
        inputs,
        files=files,
        context=options.context,
        to=options.to,
        language=options.language,
        words=options.words,
        long=options.long,
        device=options.device,
    )
    if files and not answers:
        print(f"inkstone: no input: there is no line with text in {', '.join(map(str, files))}", file=sys.stderr)
    if options.out and options.out.lower().endswith(".conllu"):
        task = read_config(local_folder(options.run)).get("task", {})
        write_text(Path(options.out), conllu_of(answers, task.get("tag_column")))
    elif options.out and options.out.lower().endswith(".txt") and all("translation" in each for each in answers):
        write_text(Path(options.out), "".join(each["translation"].removesuffix("\n") + "\n" for each in answers))
    elif options.out:
        write_text(Path(options.out), "".join(json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers))
    if cut := sum("cut" in answer for answer in answers):
        print(f"inkstone: of {cut:,} of the inputs the end was left out: the context is too short", file=sys.stderr)
        if options.long == "cut" and any("probabilities" in answer or "vector" in answer for answer in answers):
            print("inkstone: --long split reads them to the end, in windows", file=sys.stderr)
    if not options.json and (answers or options.out):
        print(
            f"{len(answers):,} answer{'s' * (len(answers) != 1)} in {options.out}"
            if options.out
            else "\n".join(map(as_text, answers))
        )
    return {"run": options.run, "answers": answers}


def parted(inputs: Sequence[str], run: str) -> tuple[list[str], list[str]]:
    """Texts, and names of files that are there: nobody means the name. Of a run that hears, all are recordings, which it opens itself."""
    from inkstone.hub.download import local_folder
    from inkstone.hub.folder import read_config
    from inkstone.hub.whisper import is_whisper

    files = [each for each in inputs if os.path.isfile(each)]
    for each in inputs:
        if each not in files and each.lower().endswith(OF_FILES) and len(each.split()) == 1:
            print(f"inkstone: there is no file {each}: these letters are asked about as a text", file=sys.stderr)
    config = read_config(local_folder(run)) if files else {}
    if not files or is_whisper(config) or (config.get("task") or {}).get("name") == "transcribe":
        return list(inputs), []
    for file in files:
        print(f"inkstone: {file} is a file: what is in it is asked about, as by --file {file}", file=sys.stderr)
    return [each for each in inputs if each not in files], files


def told(predicate: dict[str, Any]) -> str:
    """A predicate and its roles: who did what to whom, when and where."""
    roles = [f"{role['label']} {role['question']}".rstrip() + f": {role['text']}" for role in predicate["roles"]]
    return f"{predicate['text']}\t{' | '.join(roles)}"


def transcript(answer: dict[str, Any]) -> str:
    """What is said in a recording, and below it when."""
    if "segments" in answer:
        lines = [f"  {each['start']:.2f}–{each['end']:.2f} {each['text']}" for each in answer["segments"]]
        language = f"\t{answer['language']}" if answer["language"] else ""
        if answer.get("words"):
            lines = [_word_times(answer)]
        return "\n".join((f"{answer['text'] or '(nothing)'}\t{answer['confidence']:.3f}{language}", *lines))
    return "\n".join(
        (f"{answer['text'] or '(nothing)'}\t{answer['confidence']:.3f}", *filter(None, [_word_times(answer)]))
    )


def _word_times(answer: dict[str, Any]) -> str:
    times = "  ".join(f"{word['start']:.2f}–{word['end']:.2f} {word['word']}" for word in answer["words"])
    return times and f"  {times}"


def as_text(answer: dict[str, Any]) -> str:
    """One answer as a line: what is said first, then how sure it is."""
    import json

    if "probabilities" in answer:
        said = answer.get("label") or ", ".join(answer.get("labels", ()))
        sure = max(answer["probabilities"].values())
        return f"{said or '(none)'}\t{sure:.3f}\t{answer['input'] if isinstance(answer['input'], str) else json.dumps(answer['input'], ensure_ascii=False)}"
    if "seconds" in answer:
        return transcript(answer)
    if "start" in answer:
        asked = answer["input"]["question"] if isinstance(answer["input"], dict) else answer["input"]
        return f"{answer['text'] or '(no answer)'}\t{answer['confidence']:.3f}\t{asked if isinstance(asked, str) else asked[0]}"
    if "translation" in answer:
        return answer["translation"]
    if "record" in answer:
        return f"{json.dumps(answer['record'], ensure_ascii=False)}\t{answer['confidence']:.3f}"
    if "summary" in answer:
        return answer["summary"]
    if "predicates" in answer:
        return "\n".join(map(told, answer["predicates"])) or "(no predicate)"
    if "tags" in answer:
        return " ".join(f"{word}/{tag}" for word, tag in zip(answer["tokens"], answer["tags"], strict=True))
    return " ".join(answer["words"]) if "words" in answer else json.dumps(answer, ensure_ascii=False)
