import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from inkstone.errors import MissingExtraError
from inkstone.vectors.word_map import on_a_plane, word_map
from inkstone.vectors.word_vectors import WordVectors

SVG = "{http://www.w3.org/2000/svg}"


def vectors(n=30):
    return WordVectors([f"w{i}" for i in range(n - 1)] + ["<砚&>"], np.random.default_rng(0).random((n, 8), np.float32))


def test_pca_is_that_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    values = vectors().vectors.astype(float)
    theirs = decomposition.PCA(2).fit_transform(values)
    np.testing.assert_allclose(np.abs(on_a_plane(values)), np.abs(theirs), atol=1e-8)


def test_neighbours_stay_neighbours_in_tsne():
    pytest.importorskip("sklearn")
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.normal(centre, 0.1, (20, 6)) for centre in (-1.0, 1.0)])
    plane = on_a_plane(values, "tsne")
    nearest = np.linalg.norm(plane[:, None] - plane, axis=2) + 1e9 * np.eye(40)
    assert np.mean((nearest.argmin(axis=1) < 20) == (np.arange(40) < 20)) == 1


@pytest.mark.parametrize("n", [2, 3, 30])
def test_the_picture_is_svg_with_every_word_inside_it(n):
    root = ElementTree.fromstring(word_map(vectors(n)))
    dots = root.findall(f"{SVG}circle")
    assert len(dots) == n
    assert dots[-1].findtext(f"{SVG}title") == "<砚&>"
    assert all(0 <= float(dot.get("cx")) <= 1000 and 0 <= float(dot.get("cy")) <= 1000 for dot in dots)
    assert {text.text for text in root.findall(f"{SVG}text")} <= {*vectors(n).words}


def test_names_do_not_cover_each_other():
    same = WordVectors([f"w{i}" for i in range(5)], np.ones((5, 3), np.float32))
    assert len(ElementTree.fromstring(word_map(same)).findall(f"{SVG}text")) == 1


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.manifold", None)
    with pytest.raises(MissingExtraError, match=r"inkstone\[vectors\]"):
        on_a_plane(np.eye(5), "tsne")
