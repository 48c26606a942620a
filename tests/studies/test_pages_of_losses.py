"""Pages and tables of studies whose score is no share and the lower the better: it is told with its unit, its sign as it is."""

import pytest

from inkstone.cli.search_settings_verb import as_text
from inkstone.cli.tune_verb import study_as_text
from inkstone.studies.repeat_page import repeat_page
from inkstone.studies.search_page import search_page


def trial(number, score):
    return {
        "number": number,
        "score": score,
        "settings": {"task.rows": 2**number},
        "given_up": score is None,
        "seconds": 3.0,
    }


def test_a_search_by_loss_shows_losses(tmp_path):
    trials = [trial(1, -2.31), trial(2, -2.5), trial(3, None)]
    table = {
        "folder": "x", "task": "chat", "data": ["a"], "names": ["task.rows"], "logarithmic": [], "score": "answer loss",
        "unit": "nats a token", "lower_is_better": True, "best": trials[0], "trials": trials,
    }  # fmt: skip
    page = search_page(tmp_path, table).read_text(encoding="utf-8")
    assert "2.310 nats a token" in page and "-2.3" not in page and "231.0" not in page
    first, second, third = as_text(table).splitlines()[1:4]
    assert "2.310 nats a token" in first and "2.500 nats a token" in second and "–" in third


@pytest.mark.parametrize("study", ["seeds", "folds", "curve"])
def test_a_study_of_losses_shows_losses_beside_shares(study, tmp_path):
    def figure(value):
        return {
            "value": value,
            "low": value - 0.1,
            "high": value + 0.1,
            "unit": "nats a token",
            "lower_is_better": True,
        }

    rows = [
        {
            "name": f"run-{number}", "yardstick": None, "examples": {"train": 9}, "seconds": 3.0, "folder": "x",
            "figures": {"answer loss": figure(2 + number / 10), "exact match": {"value": 0.5, "low": 0.4, "high": 0.6}},
        }
        for number in range(2)
    ]  # fmt: skip
    table = {
        "study": study, "task": "chat", "score": "answer loss", "part": "dev", "folder": "x", "rows": rows, "yardstick": None,
        "mean": {"answer loss": 2.05, "exact match": 0.5}, "deviation": {"answer loss": 0.05, "exact match": 0.01},
        **({"together": {"answer loss": figure(2.0)}} if study == "folds" else {}),
    }  # fmt: skip
    page = repeat_page(tmp_path, table).read_text(encoding="utf-8")
    assert "2.000 nats a token" in page and "50.0 %" in page and "200.0 %" not in page
    assert "2.100 nats a token" in study_as_text(table)
