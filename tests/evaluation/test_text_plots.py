"""Plots are well-formed and put their marks where the numbers say."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from inkstone.evaluation.text_plots import bar_plot, histogram, zipf_plot


def widths(svg: str) -> list[float]:
    return [float(rect.get("width")) for rect in ElementTree.fromstring(svg) if rect.get("fill") == "#33475b"]


def test_bars_are_as_long_as_their_values():
    ours = widths(bar_plot("<a & b>", ["x", "<y>"], [10, 5]))
    assert ours[0] == pytest.approx(2 * ours[1], abs=0.1)


def test_a_histogram_gathers_what_is_too_long_in_the_last_column():
    svg = histogram("t", "words", {0: 1, 2: 4, 90: 2, 500: 2}, most=50)
    heights = [float(rect.get("height")) for rect in ElementTree.fromstring(svg) if rect.get("fill") == "#33475b"]
    assert len(heights) == 51 and heights[50] == heights[2] == 4 * heights[0] and ">50+<" in svg


@pytest.mark.parametrize("counts", [np.array([]), np.array([1.0]), np.array([50.0, 3.0, 1.0])])
def test_zipf_of_little_text_is_still_a_plot(counts):
    ElementTree.fromstring(zipf_plot("Zipf", counts, None, "rank", "count"))


def test_the_line_of_a_perfect_law_runs_through_its_points():
    counts = 1e6 * np.arange(1, 10_001) ** -1.0
    svg = zipf_plot("Zipf", counts, 1.0, "rank", "count")
    points = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)
    ends = re.search(r'd="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)" stroke="#b5533c"', svg)
    assert ends and np.allclose(np.float64(ends.groups()), np.float64([*points[0], *points[-1]]), atol=0.2)
