"""The cache of keys and values against tensors that are simply put together."""

import pytest
import torch
from hypothesis import given, strategies as st

from inkstone.layers.kv_cache import KeyValueCache
from inkstone.layers.rotary import frequencies, rotate, rotation


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(0, 99))
def test_what_was_put_in_comes_out_in_order(sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    cache, given_keys = KeyValueCache(2, 3), [torch.zeros(3, 2, 0, 4)] * 2
    for size in sizes:
        for layer in range(2):
            new = torch.randn(3, 2, size, 4, generator=generator)
            given_keys[layer] = torch.cat((given_keys[layer], new), dim=2)
            keys, values = cache.extend(layer, new, -new)
            assert torch.equal(keys, given_keys[layer]) and torch.equal(values, -given_keys[layer])
        cache.length += size


def test_rows_are_chosen_and_repeated():
    cache = KeyValueCache(1, 3)
    keys = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 1, 5, 2)
    cache.extend(0, keys, keys)
    cache.length = 5
    cache = cache.select(torch.tensor([2, 0, 0, 1]))
    assert cache.batch == 4 and cache.length == 5
    found, _ = cache.extend(0, keys[:1].expand(4, 1, 5, 2), keys[:1].expand(4, 1, 5, 2))
    assert found[:, 0, 4, 0].tolist() == [2, 0, 0, 1] and (found[:, :, 5:] == 0).all()


def test_places_are_kept_of_each_row_and_more_is_read_after_them():
    cache = KeyValueCache(2, 2)
    keys = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    for layer in range(2):
        cache.extend(layer, keys, -keys)
    cache.length = 5
    cache.keep(torch.tensor([[4, 0], [1, 2]]))
    assert cache.length == 2
    expected = torch.stack((keys[0][:, [4, 0]], keys[1][:, [1, 2]]))
    for layer in range(2):
        found = cache.extend(layer, keys[:, :, :1], -keys[:, :, :1])
        assert torch.equal(found[0], torch.cat((expected, keys[:, :, :1]), dim=2)) and torch.equal(found[1], -found[0])


def test_what_is_cut_off_is_written_over():
    cache = KeyValueCache(1, 1)
    keys = torch.randn(1, 2, 9, 4, generator=torch.Generator().manual_seed(0))
    cache.extend(0, keys[:, :, :6], -keys[:, :, :6])
    cache.length = 6
    assert cache.truncate(2).length == 2
    found, values = cache.extend(0, keys[:, :, 6:], -keys[:, :, 6:])
    assert torch.equal(found, keys[:, :, [0, 1, 6, 7, 8]]) and torch.equal(values, -found)
    for length in (3, -1):
        with pytest.raises(ValueError, match=f"length = {length}"):
            cache.truncate(length)


@given(st.integers(0, 6), st.integers(0, 20), st.integers(1, 12), st.integers(0, 99))
def test_keys_that_move_up_are_those_that_would_have_been_read_there(start, count, after, seed):
    omega = frequencies(8, 100.0)
    length = start + count + after
    bare = torch.randn(2, 3, length, 8, generator=torch.Generator().manual_seed(seed))
    cache = KeyValueCache(2, 2)
    for layer in range(2):
        cache.extend(layer, rotate(bare, *rotation(omega, 0, length)), bare)
    cache.length = length
    cache.forget(start, count, omega)
    left = torch.cat((bare[:, :, :start], bare[:, :, start + count :]), dim=2)
    more = torch.ones(2, 3, 1, 8)
    for layer in range(2):
        keys, values = cache.extend(layer, more, more)
        assert torch.equal(values, torch.cat((left, more), dim=2))
        torch.testing.assert_close(keys[:, :, :-1], rotate(left, *rotation(omega, 0, left.shape[2])), atol=2e-5, rtol=0)
    with pytest.raises(ValueError, match="cannot be left out"):
        cache.forget(start, cache.length - start + 1, omega)
