"""Blocks of whole lines from blocks of bytes."""

from collections.abc import Callable, Iterable, Iterator

BLOCK = 4 << 20


def line_blocks(
    blocks: Iterable[bytes], limit: int, too_long: Callable[[int], None], size: int = BLOCK
) -> Iterator[tuple[int, bytes]]:
    """(number of the first line, whole lines of about `size` bytes together); the last line may lack its end.

    A line that has grown past `limit` bytes when the next block comes is left out, and its number told to `too_long`.

    >>> list(line_blocks([b"a\\nb", b"b\\nc"], limit=99, too_long=print, size=1))
    [(1, b'a\\n'), (2, b'bb\\n'), (3, b'c')]
    """
    number = 1  # of the first line in `waiting`
    waiting: list[bytes] = []
    length = 0
    rest = 0  # bytes in `waiting` after its last line end
    overlong = False
    for block in blocks:
        if overlong:
            end = block.find(b"\n") + 1
            if not end:
                continue
            block, overlong = block[end:], False
            number += 1
        end = block.rfind(b"\n") + 1
        if end:
            waiting.append(block[:end])
            length += end
            block = block[end:]
            rest = 0
            if length >= size:
                whole = b"".join(waiting)
                yield number, whole
                number += whole.count(b"\n")
                waiting, length = [], 0
        waiting.append(block)
        length += len(block)
        rest += len(block)
        if rest > limit:
            whole = b"".join(waiting)
            end = whole.rfind(b"\n") + 1
            if end:
                yield number, whole[:end]
                number += whole.count(b"\n")
            too_long(number)
            waiting, length, rest, overlong = [], 0, 0, True
    if length:
        yield number, b"".join(waiting)
