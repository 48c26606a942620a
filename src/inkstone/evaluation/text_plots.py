"""Plots of text statistics as SVG files that stand by themselves: bars, and Zipf's law on logarithmic axes."""

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from inkstone.progress import human_count

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 40, 44  # margins
INK, FAINT, LINE = "#33475b", "#d9dfe5", "#b5533c"


def bar_plot(title: str, labels: Sequence[str], values: Sequence[float]) -> str:
    """Horizontal bars with their labels and values, the first on top."""
    row = 20
    greatest = max(values, default=0) or 1
    left = 24 + 8 * max((_columns(label) for label in labels), default=1)
    scale = (WIDTH - left - 80) / greatest
    parts = []
    for number, (label, value) in enumerate(zip(labels, values, strict=True)):
        y = TOP + row * number
        parts += [
            f'<rect x="{left}" y="{y}" width="{value * scale:.1f}" height="{row - 5}" fill="{INK}"/>',
            f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{escape(label)}</text>',
            f'<text x="{left + value * scale + 6:.1f}" y="{y + 12}">{human_count(value)}</text>',
        ]
    return _page(title, parts, TOP + row * len(labels) + 12)


def histogram(title: str, x_label: str, counts: dict[int, int], most: int = 80) -> str:
    """Columns of how often each whole number from 0 occurs; what is greater than `most` is added to the last column."""
    last = min(max(counts, default=0), most)
    heights = np.zeros(last + 1)
    for value, count in counts.items():
        heights[min(value, last)] += count
    highest = heights.max() or 1
    step = (WIDTH - LEFT - RIGHT) / (last + 1)
    floor = HEIGHT - BOTTOM
    parts = []
    for value, height in enumerate(heights):
        tall = (floor - TOP) * height / highest
        parts.append(
            f'<rect x="{LEFT + step * value:.1f}" y="{floor - tall:.1f}" width="{max(step - 1, 0.5):.1f}" '
            f'height="{tall:.1f}" fill="{INK}"/>'
        )
    every = max(1, 5 * math.ceil((last + 1) / 50))
    for value in range(0, last + 1, every):
        more = "+" if value == most and max(counts, default=0) > most else ""
        parts.append(
            f'<text x="{LEFT + step * (value + 0.5):.1f}" y="{floor + 16}" text-anchor="middle">{value}{more}</text>'
        )
    parts.append(f'<text x="{LEFT - 6}" y="{TOP + 8}" text-anchor="end">{human_count(float(highest))}</text>')
    parts.append(f'<text x="{LEFT - 6}" y="{floor}" text-anchor="end">0</text>')
    parts.append(_below(x_label))
    return _page(title, parts, HEIGHT)


def zipf_plot(title: str, counts: np.ndarray, exponent: float | None, x_label: str, y_label: str) -> str:
    """Counts (sorted, the greatest first) over their ranks, both logarithmic, with the line of Zipf's law."""
    if not len(counts):
        return _page(title, [], HEIGHT)
    x_decades = max(1, math.ceil(math.log10(len(counts)) + 1e-9))
    y_decades = max(1, math.ceil(math.log10(counts[0]) + 1e-9))

    def place(rank: float, count: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * math.log10(rank) / x_decades
        return x, HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * math.log10(count) / y_decades

    parts = []
    for power in range(x_decades + 1):
        x, _ = place(10**power, 1)
        parts.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="{FAINT}"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{human_count(10.0**power)}</text>'
        )
    for power in range(y_decades + 1):
        _, y = place(1, 10**power)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{FAINT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{human_count(10.0**power)}</text>')
    if exponent is not None:
        ranks = np.unique(np.geomspace(1, (counts > 1).sum(), 50).astype(int))
        height = np.exp(np.mean(np.log(counts[ranks - 1]) + exponent * np.log(ranks)))
        ends = [rank for rank in (1.0, float(len(counts))) if height * rank**-exponent >= 1]
        if len(ends) == 1:
            ends.append(float(height ** (1 / exponent)))
        points = [place(rank, min(height * rank**-exponent, 10.0**y_decades)) for rank in ends]
        parts.append(f'<path d="{_path(points)}" stroke="{LINE}" stroke-dasharray="5 4" fill="none"/>')
    shown = np.unique(np.geomspace(1, len(counts), 300).astype(int))
    points = [place(int(rank), float(counts[rank - 1])) for rank in shown]
    parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{INK}"/>' for x, y in points]
    parts += [_below(x_label), f'<text x="{LEFT}" y="{TOP - 6}">{escape(y_label)}</text>']
    return _page(title, parts, HEIGHT)


def _below(text: str) -> str:
    middle = (WIDTH + LEFT) / 2
    return f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(text)}</text>'


def _path(points: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _columns(text: str) -> int:
    """About how wide a text is, in Latin letters."""
    return sum(1 + (ord(character) > 0x2E80) for character in text)


def _page(title: str, parts: list[str], height: int) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="11" fill="#222">'
    )
    heading = f'<text x="{WIDTH / 2:.0f}" y="18" text-anchor="middle" font-size="14">{escape(title)}</text>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', heading, *parts, "</svg>", ""])
