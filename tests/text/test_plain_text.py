from hypothesis import given, strategies as st

from inkstone.text.plain_text import pieces


@given(
    st.lists(st.sampled_from(["墨", "ink ", "\n", "\n\n", "\r\n", "\f", "é", "🖌"]), max_size=400).map("".join),
    st.integers(1, 50),
    st.integers(1, 50),
)
def test_pieces_put_together_are_the_text_and_do_not_depend_on_the_blocks(text, size, other):
    content = text.encode()
    blocks = [content[at : at + size] for at in range(0, len(content), size)]
    others = [content[at : at + other] for at in range(0, len(content), other)]
    found = list(pieces(blocks, whole=100, piece=40))
    assert b"".join(found) == content
    assert all(piece.decode() for piece in found)
    assert found == list(pieces(others, whole=100, piece=40))
    if len(content) <= 100:
        assert len(found) == bool(content)
    else:
        assert all(len(piece) <= 40 for piece in found)


def test_a_cut_falls_after_a_form_feed_else_a_blank_line_else_a_line():
    for boundary in ("\f", "\n\n", "\n"):
        beginning = "a" * 25 + boundary + "b" * 3 + ("\n" if boundary != "\n" else "") + "c"
        found = next(pieces([(beginning + "d" * 200).encode()], whole=100, piece=40))
        assert found.decode() == "a" * 25 + boundary
