"""What a server counts, in the form that Prometheus reads."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from inkstone.errors import MissingExtraError
from inkstone.serving.api_errors import ApiError
from inkstone.serving.metrics_together import as_text

if TYPE_CHECKING:
    from inkstone.serving.house import House

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
MOST_SECONDS = 5.0  # that other processes have to tell what they counted
# Facts of an engine: name there, name here, whether it only grows, words
ENGINE = (
    ("slots", "slots", False, "Texts that can be written at once"),
    ("running", "texts_under_way", False, "Texts that have a slot"),
    ("waiting", "texts_waiting", False, "Texts that wait for a slot"),
    ("tokens_read", "prompt_tokens", True, "Tokens of prompts that were read"),
    ("tokens_reused", "prompt_tokens_reused", True, "Tokens of prompts that a slot held already"),
    ("tokens_written", "written_tokens", True, "Tokens that were written"),
    ("finished", "texts_finished", True, "Texts that came to their end"),
    ("cancelled", "texts_cancelled", True, "Texts that were given up, since nobody waited for them"),
    ("failed", "texts_failed", True, "Texts that an error ended"),
)
TIMES = (
    ("to_first_token", "time_to_first_token_seconds", "From request to the first token"),
    ("between_tokens", "time_between_tokens_seconds", "Between two tokens of a text"),
)


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ImportError:
            raise MissingExtraError("prometheus-client", "serve", "the server") from None
        self.registry = CollectorRegistry()
        self.others: Callable[[], Future[bytes]] | None = (
            None  # asks for the counts of all processes, where there are several
        )

        def named(kind: Any, name: str, words: str, labels: tuple[str, ...], **more: Any) -> Any:
            return kind(f"inkstone_{name}", words, labels, registry=self.registry, **more)

        self.requests = named(Counter, "requests", "Requests that were answered", ("method", "path", "status"))
        self.seconds = named(
            Histogram, "request_seconds", "From request to the end of the answer", ("path",), buckets=SECONDS
        )
        self.under_way = named(Gauge, "requests_under_way", "Requests that are being answered", ())
        self.asked = named(Counter, "task_inputs", "Inputs that models tuned for a task were asked about", ("model",))

    def watch(self, house: "House") -> None:
        """Show the facts of the engines as well, as they are when somebody looks."""
        self.registry.register(_Engines(house))  # type: ignore[arg-type]

    def families(self) -> list[Any]:
        """All of it, as it is now in this process."""
        return list(self.registry.collect())

    async def text(self) -> bytes:
        """All of it as it is read, of all processes behind the port. Raises ApiError where they cannot be asked."""
        if self.others is None:
            return as_text(self.families())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self.others()), MOST_SECONDS)
        except TimeoutError:
            raise ApiError(
                503, "the other processes do not say what they have counted", headers={"retry-after": "1"}
            ) from None


class _Engines:
    def __init__(self, house: "House"):
        self.house = house

    def collect(self) -> Iterable[Any]:
        """The facts as Prometheus has them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        facts = {model.name: model.engine.facts for model in list(self.house) if model.kind == "language"}  # type: ignore[union-attr]
        for fact, name, grows, words in ENGINE:
            family = (CounterMetricFamily if grows else GaugeMetricFamily)(f"inkstone_{name}", words, labels=["model"])
            for model, own in facts.items():
                family.add_metric([model], getattr(own, fact))
            yield family
        for fact, name, words in TIMES:
            family = HistogramMetricFamily(f"inkstone_{name}", words, labels=["model"])
            for model, own in facts.items():
                times = getattr(own, fact)
                heights = list(accumulate(times.counts))
                bounds = [*map(str, times.bounds), "+Inf"]
                family.add_metric([model], list(zip(bounds, heights, strict=True)), times.sum)
            yield family

    def describe(self) -> Iterable[Any]:
        """Nothing beforehand."""
        return ()
