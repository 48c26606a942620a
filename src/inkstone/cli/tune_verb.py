"""`inkstone tune TASK DATA --from MODEL`."""

import argparse
from typing import Any

from inkstone.cli.run_options import can_be_resumed, takes_settings


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    from inkstone.run import TRAINING
    from inkstone.tasks import TASKS

    tasks = ", ".join([*TASKS, TRAINING])
    parser.add_argument("task", nargs="?", default="", metavar="TASK", help=f"what to learn: {tasks}")
    parser.add_argument(
        "data", nargs="*", metavar="DATA", help="files or folders of examples, or data:NAME; or new text"
    )
    parser.add_argument("--from", dest="model", metavar="MODEL", help="a run or checkpoint; none: from the start")
    parser.add_argument("--dev", action="append", default=[], metavar="DATA", help="examples to choose weights by")
    parser.add_argument(
        "--test", action="append", default=[], metavar="DATA", help="examples to score once, at the end"
    )
    parser.add_argument("--minutes", type=float, help="wall clock for everything, at most (default 5)")
    parser.add_argument("--family", metavar="NAME", help="the kind of body where there is no --from")
    parser.add_argument("--out", metavar="FOLDER", help="the run folder (default runs/TASK-NAME)")
    parser.add_argument("--recipe", metavar="FILE", help="a TOML file of settings")
    takes_settings(parser)
    parser.add_argument(
        "--folds", type=int, metavar="K", help="cross-validation: each K-th of the data once the test part"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="so many runs that differ in their random draws alone")
    parser.add_argument("--learning-curve", action="store_true", help="runs on an eighth, a quarter, a half and all")
    can_be_resumed(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Tune, and say what came of it."""
    from inkstone.cli.train_verb import start_of_process

    began = start_of_process() if options.own_process else None
    from inkstone.studies.repeat import tune

    outcome = tune(
        options.task,
        options.data,
        folds=options.folds,
        seeds=options.seeds,
        learning_curve=options.learning_curve,
        model=options.model,
        dev=options.dev,
        test=options.test,
        minutes=options.minutes,
        family=options.family,
        out=options.out,
        recipe=options.recipe,
        settings=options.settings,
        resume=options.resume,
        fresh=options.fresh,
        began=began,
    )
    if not options.json and "adapted_from" in outcome:
        from inkstone.cli.adapted_text import adapted_as_text

        print(adapted_as_text(outcome))
    elif not options.json:
        print(study_as_text(outcome) if "study" in outcome else as_text(outcome))
    return outcome


def as_text(outcome: dict[str, Any]) -> str:
    """The figures of each part beside the yardstick's, and the next command."""
    from inkstone.evaluation.figure_words import figure_in_words, is_better, value_in_words
    from inkstone.progress import human_count, human_time

    folder, yardstick = outcome["folder"], outcome["yardstick"]
    chats = outcome["task"] in ("chat", "prefer")
    lines = [""]
    for part, figures in outcome["figures"].items():
        lines.append(f"{part}, {outcome['examples'][part]:,} examples")
        for name, figure in figures.items():
            beside = ""
            if yardstick is not None and name in yardstick["figures"][part]:
                known = yardstick["figures"][part][name]["value"]
                told = value_in_words(known, "plain") if figure.get("unit") else f"{100 * known:.1f}"
                beside = f"   {yardstick['name']} {told}"
            lines.append(f"  {name:<20}{figure_in_words(figure)}{beside}")
    main = next(iter(outcome["figures"].values()))[outcome["score"]]
    if yardstick is not None:
        other = next(iter(yardstick["figures"].values()))[outcome["score"]]
        began = yardstick["name"] == "as it began"
        known = "the model as it began" if began else f"{yardstick['name']}, which takes seconds,"
        if main["value"] == other["value"] == 1:
            lines.append(f"  {known} is right everywhere, too: harder examples would tell")
        elif not is_better(main, other) and began:
            lines.append("  the model is no better than it was: more examples, or other settings")
        elif not is_better(main, other):
            lines.append(
                f"  it is not better than {yardstick['name']}, which takes seconds: more examples, or --from a model"
            )
    asked = {"transcribe": "RECORDING"}.get(outcome["task"], '"..."')
    lines += [
        f"{human_count(outcome['parameters'], 'weights')} · {outcome['steps']:,} steps, {outcome['epochs']:.1f} times the "
        f"examples · {human_time(outcome['seconds'])} in all",
        "",
        f"report    {folder}/report.html",
        f"next      inkstone chat {folder}" if chats else f"next      inkstone predict {folder} {asked}",
        f"          inkstone eval {folder} DATA",
    ]
    return "\n".join(lines)


def study_as_text(table: dict[str, Any]) -> str:
    """The runs of a study, one a line, and what they come to."""
    from inkstone.evaluation.figure_words import figure_in_words, value_in_words

    score = table["score"]
    unit = table["rows"][0]["figures"][score].get("unit", "")

    def told(value: float, width: int = 0) -> str:
        return f"{100 * value:{width}.1f}" if not unit else value_in_words(value, "plain", width)

    sign = f" {unit or '%'}" if unit != "plain" else ""
    lines = ["", f"{table['task']}, {score} on {table['part']}"]
    for row in table["rows"]:
        beside = f"   {table['yardstick']} {told(row['yardstick'][score]['value'])}" if row["yardstick"] else ""
        lines.append(
            f"  {row['name']:<14}{told(row['figures'][score]['value'], 5)}{sign}{beside}   {row['examples']['train']:,} examples to learn from"
        )
    if table["study"] != "curve":
        lines.append(f"  {'mean':<14}{told(table['mean'][score], 5)}{sign} ± {told(table['deviation'][score])}")
    if score in table.get("together", {}):
        lines.append(f"  {'all together':<14}{figure_in_words(table['together'][score], 5)}")
    lines += ["", f"page      {table['folder']}/study.html"]
    return "\n".join(lines)
