"""What becomes of the texts of a request whose client hangs up while they are handed to the engine."""

import asyncio
from types import SimpleNamespace

from inkstone.inference.requests import Request
from inkstone.inference.sampling import Sampling
from inkstone.serving.hearing import Hearing
from inkstone.serving.settings import ServingSettings


class Engine:
    """Takes requests and notes which were given up."""

    def __init__(self):
        self.taken, self.cancelled = [], []
        self.then = lambda: None

    def submit(self, request, hear):
        self.taken.append(request)
        self.then()
        return request

    def cancel(self, writing):
        self.cancelled.append(writing)


def test_all_that_the_engine_has_taken_is_given_up_where_nobody_waits_any_more():
    engine = Engine()
    requests = [Request((1,), Sampling(), sample=sample) for sample in range(3)]
    house = SimpleNamespace(settings=ServingSettings())
    hearing = Hearing(SimpleNamespace(name="mine", engine=engine), requests, house)  # type: ignore[arg-type]
    engine.then = hearing.close  # as the event loop does, between the engine's yes and our note of it
    asyncio.run(hearing.begin())
    assert engine.taken == requests[:1] == engine.cancelled
