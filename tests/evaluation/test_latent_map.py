"""The map of a latent space: principal axes against the eigenvectors of the covariance, and an SVG that is one."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from inkstone.evaluation.latent_map import latent_map, principal_plane

SVG = "{http://www.w3.org/2000/svg}"


def some_points() -> np.ndarray:
    draws = np.random.default_rng(0)
    return draws.normal(size=(200, 5)) @ draws.normal(size=(5, 5)) + 3


def test_the_plane_is_that_of_the_largest_eigenvalues():
    points = some_points()
    plane, share = principal_plane(points)
    values, vectors = np.linalg.eigh(np.cov(points.T))
    expected = (points - points.mean(0)) @ vectors[:, ::-1][:, :2]
    assert np.allclose(np.abs(plane), np.abs(expected), atol=1e-8)
    assert np.allclose(share, values[::-1][:2] / values.sum())


def test_one_dimension_is_a_line():
    plane, share = principal_plane(np.array([[1.0], [2.0], [4.0]]))
    assert not plane[:, 1].any() and share.tolist() == pytest.approx([1, 0])


def test_equal_points_are_one_place():
    assert not principal_plane(np.ones((3, 4)))[0].any()
    assert "nan" not in latent_map(np.ones((3, 4)))


def test_every_point_stands_inside_with_its_text_and_colour():
    points = some_points()
    titles, groups = [f"<{at}> & more" for at in range(200)], [str(at % 3) for at in range(200)]
    root = ElementTree.fromstring(latent_map(points, titles=titles, groups=groups, title="a & b"))
    circles = root.findall(f"{SVG}circle")
    assert len(circles) == 200 + 3  # and the legend
    assert [circle.find(f"{SVG}title").text for circle in circles[:200]] == titles
    assert all(0 <= float(circle.get(name)) <= 640 for circle in circles[:200] for name in ("cx", "cy"))
    assert len({circle.get("fill") for circle in circles}) == 3
    plane, _ = principal_plane(points)
    highest = int(plane[:, 1].argmax())
    assert float(circles[highest].get("cy")) == min(float(circle.get("cy")) for circle in circles[:200])
