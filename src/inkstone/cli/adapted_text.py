"""What `inkstone tune language-modelling` says at its end."""

from typing import Any


def adapted_as_text(outcome: dict[str, Any]) -> str:
    """The bits per byte on new and old text before and after, a sample, and the next commands."""
    from inkstone.progress import human_count, human_time

    folder = outcome["folder"]
    rows = [("new text", outcome["new_before"], outcome["bits_per_byte"])]
    if "old_after" in outcome:
        rows.append(("old text", outcome["old_before"], outcome["old_after"]))
    lines = ["", f"{'bits per byte':<14}{'before':>8}{'after':>8}"]
    lines += [f"{name:<14}{before:8.3f}{after:8.3f}  {after / before - 1:+.1%}" for name, before, after in rows]
    if len(rows) == 1:
        lines.append("no old text is known, so what was forgotten is not; name some: --set task.replay_text=FILE")
    elif outcome["forgetting"] > 0.02:
        lines.append("more was forgotten than 2 %: a larger --set task.replay keeps more of the old")
    steps = f" in {outcome['steps']:,} steps" if outcome["steps"] else ""
    replayed = f", {outcome['replay']:.0%} of them of old text" if outcome["replay"] else ""
    lines += [
        f"{human_count(outcome['parameters'], 'weights')} · {human_count(outcome['tokens'], 'tokens')} seen{steps}{replayed} · "
        f"{human_time(outcome['seconds'])} in all",
        "",
        outcome["sample"].strip(),
        "",
        f"report    {folder}/report.html",
        f'next      inkstone generate {folder} "..."',
        f"          inkstone eval {folder} TEXT",
    ]
    return "\n".join(lines)
