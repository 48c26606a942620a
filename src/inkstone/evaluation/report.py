"""The report of a run: one HTML file that opens offline, drawn from what the run recorded."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkstone.evaluation.curve_plot import CurvePlot, curve_plot
from inkstone.evaluation.model_card import model_card
from inkstone.evaluation.page import NONE, rendered, shown, source
from inkstone.evaluation.record import Record, number, read_record
from inkstone.evaluation.task_report import task_page
from inkstone.files import write_text
from inkstone.progress import human_count, human_time
from inkstone.run import Run

COMPRESSORS = ("xz -9e", "zstd -19")
SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
GREYS = 4  # shades of the bar of stages, beside the colour of training


def report(run_folder: Path | str) -> Path:
    """Write report.html and the model card README.md of a run anew, and return the report's path.

    A run that is unfinished, or whose files are damaged, gets a report of what there is. Raises RunError where the
    folder is no run.
    """
    run = Run.open(run_folder)
    record = read_record(run)
    path = run.folder / "report.html"
    write_text(path, task_page(run, record) if record.stages["data"] else page(record))
    write_text(run.folder / "README.md", model_card(record))
    return path


def page(record: Record) -> str:
    """The report as HTML."""
    return rendered(
        source("report.html.jinja"),
        record=record,
        **record.stages,
        name=record.folder.resolve().name,
        folder=shlex.quote(str(record.folder)),
        scores=record.stages["evaluation"] or record.stages["outcome"],
        last=_last_figure(record),
        bars=bars(record),
        plots=plots(record),
        comparison=comparison(record),
        stages=stage_times(record),
        operations=_operations(record),
        peak=share_of_peak(record),
        again=_again(record),
        resume=_resume(record),
        adapted=adapted(record),
    )


@dataclass(frozen=True)
class Bar:
    """One figure of the comparison: a length in percent of the longest, and the interval's place on it."""

    key: str
    tool: str
    value: float
    length: float
    low: float | None = None
    high: float | None = None


def bars(record: Record) -> list[Bar]:
    """The model beside the compressors, in bits per byte; the best first, ours where it stands among them."""
    scores = record.stages["evaluation"] or record.stages["outcome"]
    found: list[tuple[str, str, float]] = []
    ours = number(scores.get("bits_per_byte"))
    if ours is not None:
        found.append(("this_model", "", ours))
    yardsticks = scores.get("yardsticks")
    for tool in COMPRESSORS if isinstance(yardsticks, dict) else ():
        for key, name in (("alone", tool), ("after_training_text", f"{tool} after training text")):
            value = number(yardsticks.get(name))  # type: ignore[union-attr]
            if value is not None:
                found.append((key, tool, value))
    low, high = number(scores.get("low")), number(scores.get("high"))
    longest = max([value for *_, value in found] + [high or 0.0], default=0.0) or 1.0
    drawn = []
    for key, tool, value in sorted(found, key=lambda item: item[2]):
        whisker = key == "this_model" and low is not None and high is not None
        drawn.append(
            Bar(
                key,
                tool,
                value,
                length=round(100 * value / longest, 2),
                low=round(100 * low / longest, 2) if whisker and low is not None else None,
                high=round(100 * high / longest, 2) if whisker and high is not None else None,
            )
        )
    return drawn


def plots(record: Record) -> list[CurvePlot]:
    """The learning curve over time, steps and tokens, each with the level of the better compressor."""
    levels = [bar.value for bar in bars(record) if bar.key == "after_training_text"]
    level = min(levels, default=None)
    drawn = [curve_plot(axis, record.train, record.held_out, level) for axis in ("seconds", "step", "tokens")]
    return [plot for plot in drawn if plot is not None]


def comparison(record: Record) -> list[dict[str, str]]:
    """What the planner expected beside what came of it."""
    plan, training = record.stages["plan"], record.stages["training"]
    predicted = plan.get("predicted") if isinstance(plan.get("predicted"), dict) else {}
    assert isinstance(predicted, dict)
    rows = []
    for key, planned, measured, words in (
        ("seconds_of_training", plan.get("seconds_for_training"), training.get("seconds"), human_time),
        ("steps", predicted.get("steps"), training.get("steps"), lambda n: f"{n:,.0f}"),
        ("tokens", predicted.get("tokens"), training.get("tokens"), human_count),
        ("tokens_per_second", predicted.get("tokens_per_second"), training.get("tokens_per_second"), human_count),
        ("epochs", predicted.get("epochs"), training.get("epochs"), lambda n: f"{n:.3g}"),
        (
            "bits_per_byte",
            predicted.get("bits_per_byte"),
            record.stages["evaluation"].get("bits_per_byte"),
            lambda n: f"{n:.3f}",
        ),
    ):
        before, after = number(planned), number(measured)
        if before is None and after is None:
            continue
        difference = f"{round(after / before - 1, 3) + 0.0:+.1%}" if before and after is not None else NONE
        planned, measured = (shown(value, words) for value in (before, after))
        rows.append({"key": key, "planned": planned, "measured": measured, "difference": difference})
    return rows


def stage_times(record: Record) -> list[dict[str, Any]]:
    """The wall clock by stage, with what no stage claims as "other"."""
    clocks = record.stages["cost"].get("wall_seconds")
    if not isinstance(clocks, dict):
        return []
    times = {stage: value for stage, item in clocks.items() if (value := number(item)) is not None and value >= 0}
    total = times.pop("total", sum(times.values()))
    times["other"] = max(0.0, total - sum(times.values()))
    largest = [stage for stage, value in times.items() if value >= 0.005 * total]
    return [
        {
            "key": f"stage_{stage}",
            "name": stage,
            "seconds": times[stage],
            "shade": "seal" if stage == "train" else place % GREYS,
        }
        for place, stage in enumerate(largest)
    ]


def share_of_peak(record: Record) -> tuple[str, float] | None:
    """The number format of training, and the share that its speed is of the products measured on the machine."""
    training, machine = record.stages["training"], record.stages["machine"]
    dtype = record.recipe.train.dtype if record.recipe else ""
    peaks = machine.get("matmul_gflops")
    peak = number(peaks.get(dtype)) if isinstance(peaks, dict) else None
    each, speed = number(training.get("flops_per_token")), number(training.get("tokens_per_second"))
    return (dtype, each * speed / (peak * 1e9)) if peak and each and speed else None


@dataclass(frozen=True)
class Change:
    """Bits per byte on a text before and after a model was adapted."""

    key: str
    before: float | None
    after: float | None

    @property
    def difference(self) -> str:
        """The relative change."""
        return f"{self.after / self.before - 1:+.1%}" if self.before and self.after else NONE


def adapted(record: Record) -> list[Change]:
    """What adapting a model changed on new and on old text; nothing of a run that began anew."""
    facts, scores = record.stages["adaptation"], record.stages["evaluation"] or record.stages["outcome"]
    new, old = (facts.get(name) if isinstance(facts.get(name), dict) else {} for name in ("new", "old"))
    assert isinstance(new, dict) and isinstance(old, dict)
    found = (
        Change("new_text", number(new.get("before")), number(scores.get("bits_per_byte"))),
        Change("old_text", number(old.get("before")), number(old.get("after"))),
    )
    return [each for each in found if each.before is not None]


def _operations(record: Record) -> str | None:
    training = record.stages["training"]
    each, tokens = number(training.get("flops_per_token")), number(training.get("tokens"))
    if not each or not tokens:
        return None
    mantissa, exponent = f"{each * tokens:.2e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def _last_figure(record: Record) -> float | None:
    return number(record.held_out[-1]["bits_per_byte"]) if record.held_out else None


def _is_adapted(record: Record) -> bool:
    return bool(record.stages["adaptation"] or (record.recipe and record.recipe.task.model))


def _resume(record: Record) -> str:
    """The command that goes on with an unfinished run."""
    return f"inkstone {'tune' if _is_adapted(record) else 'train'} --resume {shlex.quote(str(record.folder))}"


def _again(record: Record) -> str:
    """The command that trains on the same text for four times as long."""
    verb, end = ["inkstone", "train"], []
    if record.recipe is not None and _is_adapted(record):
        verb, end = (
            ["inkstone", "tune", "language-modelling"],
            ["--from", shlex.quote(record.recipe.task.model or "RUN")],
        )
    if record.recipe is None or record.recipe.text.sources == []:
        return " ".join([*verb, "TEXT", *end, "--minutes 20"])
    minutes = record.recipe.train.minutes or 5
    sources = [shlex.quote(source) for source in record.recipe.text.sources if source != "python:"]
    return " ".join([*verb, *sources, *end, f"--minutes {4 * minutes:g}"])
