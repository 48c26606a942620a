"""Token shards: what was written is read, and damage is named."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from inkstone.errors import CheckpointError, TextError
from inkstone.text.document import documents, drop
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.shards import TokenShards, write_shards
from inkstone.tokens.tokenizer import Tokenizer

TEXTS = ["first document", "第二个文档 😀", "a third one,\nwith two lines\n", "x"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return learn_tokenizer(iter(TEXTS * 3), vocab_size=300)


def expected_stream(tokenizer: Tokenizer, texts: list[str]) -> list[int]:
    stream = [tokenizer.end]
    for text in texts:
        stream += [*tokenizer.encode(text), tokenizer.end]
    return stream


@pytest.mark.parametrize("shard_tokens", [1, 5, 7, 1000])
def test_stream_documents_and_counts(tokenizer, tmp_path, shard_tokens):
    written = write_shards([TEXTS[:2], TEXTS[2:]], tokenizer, tmp_path / "shards", shard_tokens=shard_tokens)
    for shards in (written, TokenShards.open(tmp_path / "shards")):
        stream = expected_stream(tokenizer, TEXTS)
        assert shards.n_tokens == len(stream)
        assert shards.n_documents == len(TEXTS)
        assert shards.n_bytes == sum(len(text.encode()) for text in TEXTS)
        assert shards.document_bytes.tolist() == [len(text.encode()) for text in TEXTS]
        assert shards.tokenizer_fingerprint == tokenizer.fingerprint
        assert shards.read(0, len(stream)).tolist() == stream
        assert shards.document_starts.tolist() == [i for i, token in enumerate(stream) if token == tokenizer.end]
        assert [tokenizer.decode(ids) for ids in shards.documents()] == TEXTS


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_any_stretch_across_files(tmp_path_factory, data):
    tokenizer = learn_tokenizer(iter(TEXTS), vocab_size=270)
    shards = write_shards([TEXTS], tokenizer, tmp_path_factory.mktemp("s") / "shards", shard_tokens=6)
    stream = expected_stream(tokenizer, TEXTS)
    start = data.draw(st.integers(0, len(stream)))
    stop = data.draw(st.integers(start, len(stream)))
    assert shards.read(start, stop).tolist() == stream[start:stop]


def test_a_stretch_outside_the_stream_is_refused(tokenizer, tmp_path):
    shards = write_shards([TEXTS], tokenizer, tmp_path / "shards")
    for start, stop in ((-1, 2), (0, shards.n_tokens + 1), (3, 2)):
        with pytest.raises(IndexError):
            shards.read(start, stop)


def test_frames_lose_their_dropped_rows_and_empty_texts_leave_no_trace(tokenizer, tmp_path):
    frame = drop(documents(["keep", "leave", "", "stay"]), pl.col("text") == "leave", "a reason")
    shards = write_shards([frame], tokenizer, tmp_path / "shards")
    assert [tokenizer.decode(ids) for ids in shards.documents()] == ["keep", "stay"]


def test_lone_surrogates_are_replaced_and_counted(tokenizer, tmp_path):
    shards = write_shards([["a\ud800b", "\udc00", "fine"]], tokenizer, tmp_path / "shards")
    assert [tokenizer.decode(ids) for ids in shards.documents()] == ["a�b", "�", "fine"]
    assert shards.index["replaced_characters"] == 2


def test_report_is_told_of_all_bytes(tokenizer, tmp_path):
    told: list[int] = []
    shards = write_shards([TEXTS], tokenizer, tmp_path / "shards", report=told.append)
    assert sum(told) == shards.n_bytes


def test_no_text_leaves_nothing_behind(tokenizer, tmp_path):
    with pytest.raises(TextError, match="no text"):
        write_shards([[""], []], tokenizer, tmp_path / "shards")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_the_older_shards(tokenizer, tmp_path):
    write_shards([TEXTS], tokenizer, tmp_path / "shards")

    def breaks():
        yield TEXTS
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_shards(breaks(), tokenizer, tmp_path / "shards")
    assert [path.name for path in tmp_path.iterdir()] == ["shards"]
    assert TokenShards.open(tmp_path / "shards").n_documents == len(TEXTS)


def files_of(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["tokens-00000.bin", "tokens-00002.bin", "document-starts.npy", "document-bytes.npy"])
@pytest.mark.parametrize("damage", ["missing", "torn", "longer", "flipped"])
def test_damage_is_noticed_and_named(tokenizer, tmp_path, name, damage):
    folder = tmp_path / "shards"
    write_shards([TEXTS], tokenizer, folder, shard_tokens=10)
    assert name in files_of(folder)
    path = folder / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(content[:-1])
    elif damage == "longer":
        path.write_bytes(content + b"\0")
    else:
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(CheckpointError, match=name):
        TokenShards.open(folder)


def test_any_flipped_bit_of_the_index_is_noticed(tokenizer, tmp_path):
    folder = tmp_path / "shards"
    write_shards([TEXTS], tokenizer, folder)
    path = folder / "index.json"
    content = path.read_bytes()
    facts = json.loads(content)
    generator = np.random.default_rng(0)
    for place in generator.choice(len(content) * 8, 300, replace=False).tolist():
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(bytes(damaged))
        try:
            shards = TokenShards.open(folder)
        except CheckpointError as error:
            assert "index.json" in str(error)
        else:  # white space between the facts may differ; the facts may not
            assert shards.index == facts


def test_a_folder_without_shards_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"index\.json is missing"):
        TokenShards.open(tmp_path)
