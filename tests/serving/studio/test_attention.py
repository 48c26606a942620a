"""Attention maps on the page, against what the server sent."""

import base64

import httpx
import numpy as np
import pytest

pytestmark = pytest.mark.slow
TEXT = "ink and paper"


def weights(studio, model: str, kind: str) -> np.ndarray:
    answer = httpx.post(f"{studio.url}/studio/api/attention", json={"model": model, "text": TEXT}).json()
    found = answer["maps"][kind]
    shape = (found["layers"], found["heads"], len(found["rows"]), len(found["columns"]))
    return np.frombuffer(base64.b64decode(found["weights"]), "<u2").reshape(shape) / 65535


@pytest.mark.parametrize(("model", "kind"), [("base", "decoder"), ("labels", "encoder")])
def test_the_map_is_what_the_model_computed(visit, studio, model, kind):
    window = visit()
    page = window.open(f"attention?model={model}")
    page.fill("textarea >> nth=0", TEXT)
    page.click("text=Show")
    page.wait_for_selector(".grid")
    expected = weights(studio, model, kind)
    assert page.locator(".thumb").count() == expected.shape[0] * expected.shape[1]
    heads = expected.shape[1]
    page.locator(".thumb").nth(2 * heads - 1).click()  # the last head of the second layer
    drawn = page.evaluate(
        "(() => { const c = document.querySelector('.grid'); "
        "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, n) => n % 4 === 3); })()"
    )
    size = expected.shape[2]
    np.testing.assert_allclose((np.array(drawn).reshape(size, size) / 255) ** 2, expected[1, -1], atol=0.01)
    box = page.locator(".grid").bounding_box()
    row, column = size - 1, 2
    page.locator(".grid").hover(
        position={"x": box["width"] * (column + 0.5) / size, "y": box["height"] * (row + 0.5) / size}
    )
    share = float(page.inner_text(".told").split(" takes ")[1].split(" %")[0])
    assert share == pytest.approx(100 * expected[1, -1, row, column], abs=0.51)
    page.locator(".grid").focus()
    page.keyboard.press("ArrowRight")
    share = float(page.inner_text(".told").split(" takes ")[1].split(" %")[0])
    assert share == pytest.approx(100 * expected[1, -1, row, column + 1], abs=0.51)
    window.keep(f"attention-{kind}")


def test_a_token_shows_where_it_looks(visit, studio):
    page = visit().open("attention?model=base")
    page.fill("textarea >> nth=0", TEXT)
    page.click("text=Show")
    page.wait_for_selector(".grid")
    page.locator(".tok").nth(0).click()
    assert page.locator(".tok").nth(0).get_attribute("aria-pressed") == "true"
    heats = page.evaluate(
        "[...document.querySelectorAll('.tok')].map(each => parseFloat(each.style.getPropertyValue('--heat')))"
    )
    assert heats[0] == 72 and not any(heats[1:])  # the first token can see itself alone
