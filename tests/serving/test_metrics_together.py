"""The counts of several processes, added up."""

from prometheus_client.parser import text_string_to_metric_families

from inkstone.serving.metrics import Metrics
from inkstone.serving.metrics_together import as_text, left_behind, summed


def counted(requests: int, seconds: float, under_way: int) -> Metrics:
    metrics = Metrics()
    for _ in range(requests):
        metrics.requests.labels("POST", "/v1/completions", 200).inc()
        metrics.seconds.labels("/v1/completions").observe(seconds)
    metrics.under_way.inc(under_way)
    return metrics


def values(families) -> dict[str, float]:
    told = text_string_to_metric_families(as_text(families).decode())
    return {
        sample.name
        + "".join(f" {value}" for name, value in sorted(sample.labels.items()) if name == "le"): sample.value
        for family in told
        for sample in family.samples
    }


def test_counters_histograms_and_gauges_add_up():
    first, second = counted(2, 0.02, 1), counted(3, 0.7, 4)
    second.requests.labels("GET", "/v1/models", 200).inc()
    families = summed([first.families(), second.families()])
    found = values(families)
    assert found["inkstone_request_seconds_bucket 0.025"] == 2 and found["inkstone_request_seconds_bucket 1.0"] == 5
    assert found["inkstone_request_seconds_count"] == 5 and found["inkstone_requests_under_way"] == 5
    samples = {tuple(each.labels.values()): each.value for each in families[0].samples if each.name.endswith("_total")}
    assert samples == {("POST", "/v1/completions", "200"): 5, ("GET", "/v1/models", "200"): 1}
    created = [values(each.families())["inkstone_requests_created"] for each in (first,)]
    assert found["inkstone_requests_created"] >= created[0]


def test_one_process_is_told_as_it_is():
    metrics = counted(2, 0.02, 1)
    assert values(summed([metrics.families()])) == values(metrics.families())


def test_of_a_process_that_is_gone_what_grows_stays():
    gone, now = counted(2, 0.02, 3), counted(1, 0.02, 1)
    found = values(summed([left_behind(gone.families()), now.families()]))
    assert found["inkstone_request_seconds_count"] == 3 and found["inkstone_requests_under_way"] == 1
