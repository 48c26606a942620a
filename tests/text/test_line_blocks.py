from hypothesis import given, strategies as st

from inkstone.text.line_blocks import line_blocks

LINES = st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=30)


@given(LINES, st.integers(1, 40), st.integers(1, 60), st.booleans())
def test_lines_stay_whole_and_numbered(lines, cut, size, last_end):
    content = b"\n".join(lines) + (b"\n" if last_end else b"")
    blocks = [content[at : at + cut] for at in range(0, len(content), cut)]
    number = 1
    for first, block in line_blocks(blocks, 1000, lambda line: None, size):
        assert first == number
        assert content.startswith(block)
        assert block.endswith(b"\n") or block == content
        content = content[len(block) :]
        number += block.count(b"\n")
    assert not content


@given(st.lists(st.booleans(), max_size=12), st.integers(1, 7), st.integers(1, 30))
def test_overlong_lines_are_left_out_and_told(kinds, cut, size):
    lines = [b"x" * 40 if long else b"short" for long in kinds]
    content = b"".join(line + b"\n" for line in lines)
    blocks = [content[at : at + cut] for at in range(0, len(content), cut)]
    told: list[int] = []
    found = list(line_blocks(blocks, 20, told.append, size))
    assert told == [number for number, long in enumerate(kinds, 1) if long]
    assert b"".join(block for _, block in found) == b"short\n" * kinds.count(False)
    for first, block in found:
        assert lines[first - 1] == block.split(b"\n")[0]
