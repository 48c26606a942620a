"""The counts of several processes as one: what Prometheus is told is the same whichever of them it happens to ask."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric

GROWING = ("counter", "histogram")  # kinds that only grow; of a process that is gone they stay in the sum
WHEN = "_created"  # ends the names of samples that are times


def summed(processes: Sequence[Sequence["Metric"]]) -> list["Metric"]:
    """The families of all processes, samples of one name and the same labels added up; of times the first."""
    from prometheus_client.core import Metric

    families: dict[str, Metric] = {}
    values: dict[str, dict[tuple, float]] = {}
    for family in (each for process in processes for each in process):
        families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
        known = values.setdefault(family.name, {})
        for sample in family.samples:
            key = sample.name, *sorted(sample.labels.items())
            if key not in known:
                known[key] = sample.value
            elif sample.name.endswith(WHEN):
                known[key] = min(known[key], sample.value)
            else:
                known[key] += sample.value
    for name, known in values.items():
        for (sample_name, *labels), value in known.items():
            families[name].add_sample(sample_name, dict(labels), value)
    return list(families.values())


def left_behind(process: Sequence["Metric"]) -> list["Metric"]:
    """What is kept of a process that is gone, so that no sum ever falls: all that only grows."""
    return [family for family in process if family.type in GROWING]


def as_text(families: Iterable["Metric"]) -> bytes:
    """Families as Prometheus reads them."""
    from prometheus_client import generate_latest

    return generate_latest(_Told(families))  # type: ignore[arg-type]


class _Told:
    def __init__(self, families: Iterable["Metric"]):
        self.families = families

    def collect(self) -> Iterable["Metric"]:
        return self.families
