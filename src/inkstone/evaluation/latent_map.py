"""A map of a latent space: points in many dimensions on the plane in which they spread most, as SVG."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from jaxtyping import Float

from inkstone.files import write_text

SIDE, MARGIN, LEGEND = 640, 30, 120  # pixels
COLOURS = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf",
)  # fmt: skip


def principal_plane(points: Float[np.ndarray, "n z"]) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " 2"]]:
    """The points on their first two principal axes, and the share of the variance on each (Pearson 1901).

    Each axis points to where its largest component is positive, so that the same points give the same map.
    """
    centred = points.astype(np.float64) - points.mean(0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2]
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])[:, None]
    share = spread[:2] ** 2 / max((spread**2).sum(), 1e-300)
    plane = centred @ axes.T
    missing = 2 - plane.shape[1]
    return np.pad(plane, ((0, 0), (0, missing))), np.pad(share, (0, missing))


def latent_map(
    points: Float[np.ndarray, "n z"], *, titles: Sequence[str] = (), groups: Sequence[str] = (), title: str = ""
) -> str:
    """An SVG of the points on their principal plane: `titles` show under the pointer, `groups` give the colours."""
    plane, share = principal_plane(points)
    low, high = plane.min(0), plane.max(0)
    scale = (SIDE - 2 * MARGIN) / np.maximum(high - low, 1e-12).max()
    places = MARGIN + (plane - (low + high) / 2) * scale + (SIDE - 2 * MARGIN) / 2
    names = sorted(set(groups))
    width = SIDE + (LEGEND if names else 0)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {SIDE}" font-family="sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{SIDE}" fill="#fff"/>',
        f'<text x="{SIDE / 2}" y="{SIDE - 8}" text-anchor="middle">{share[0]:.0%} of the variance</text>',
        f'<text x="16" y="{SIDE / 2}" text-anchor="middle" transform="rotate(-90 16 {SIDE / 2})">{share[1]:.0%}</text>',
    ]
    for at, (x, y) in enumerate(places):
        colour = COLOURS[names.index(groups[at]) % len(COLOURS)] if names else COLOURS[0]
        said = f"<title>{escape(titles[at])}</title>" if titles else ""
        lines.append(
            f'<circle cx="{x:.1f}" cy="{SIDE - y:.1f}" r="3" fill="{colour}" fill-opacity="0.6">{said}</circle>'
        )
    for at, name in enumerate(names):
        y = MARGIN + 20 * at
        lines.append(f'<circle cx="{SIDE + 12}" cy="{y}" r="5" fill="{COLOURS[at % len(COLOURS)]}"/>')
        lines.append(f'<text x="{SIDE + 24}" y="{y + 4}">{escape(name)}</text>')
    return "\n".join([*lines, "</svg>\n"])


def write_latent_map(path: Path, points: Float[np.ndarray, "n z"], **words) -> None:
    """Write the map as a file, whole or not at all; `words` are those of `latent_map`."""
    write_text(path, latent_map(points, **words))
