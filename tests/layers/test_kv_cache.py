"""The cache of keys and values against tensors that are simply put together."""

import torch
from hypothesis import given, strategies as st

from inkstone.layers.kv_cache import KeyValueCache


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
