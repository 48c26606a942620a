"""ARPA files: what we write is read by KenLM and by a reader written here from the format's description, with equal scores."""

import math

import numpy as np
import pytest
import torch

from inkstone.errors import RunError
from inkstone.hub.arpa import read_arpa, word_tokenizer, write_arpa
from inkstone.models.ngram import NGram, NGramSettings
from inkstone.tokens.learning import learn_tokenizer

WORDS = ["<s>", "</s>", "<unk>", "ink", "on", "stone", "墨", "brush", "paper", "soot", "glue", "water", "seal"]


def documents(seed: int, low: int = 3, high: int = len(WORDS)) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    weights = 1 / np.arange(1, high - low + 1)
    return [random.choice(np.arange(low, high), random.integers(0, 12), p=weights / weights.sum()) for _ in range(70)]


def counted(order: int, **settings) -> NGram:
    model = NGram(NGramSettings(len(WORDS), order, **settings), word_tokenizer(WORDS))
    model.fit(documents(0))
    return model


def with_one_end_token() -> NGram:
    tokenizer = learn_tokenizer(iter(["ink on stone, 墨 on 砚"] * 20), "byte-bpe", 280)
    model = NGram(NGramSettings(280, 3), tokenizer)
    model.fit(documents(0, 5, 40))
    return model


class Arpa:
    """The format as its description says, one line at a time; log₁₀."""

    def __init__(self, path):
        self.grams: dict[tuple, tuple[float, float]] = {}
        self.sizes: list[int] = []
        for line in path.read_text(encoding="utf-8").split("\n"):
            fields = line.split("\t")
            if line.startswith("ngram "):
                self.sizes.append(int(line.split("=")[1]))
            elif len(fields) > 1:
                self.grams[tuple(fields[1].split(" "))] = (float(fields[0]), float(fields[2]) if fields[2:] else 0.0)

    def score(self, word, context) -> float:
        if (*context, word) in self.grams:
            return self.grams[*context, word][0]
        return self.grams.get(context, (0.0, 0.0))[1] + self.score(word, context[1:])

    def text(self, words) -> list[float]:
        read, scores = ("<s>",), []
        for word in (*words, "</s>"):
            scores.append(
                self.score(word, read[max(0, len(read) - len(self.sizes) + 1) :] if len(self.sizes) > 1 else ())
            )
            read += (word,)
        return scores


def names_of(model: NGram, ids) -> list[str]:
    return [model.tokenizer.backend.id_to_token(int(number)) for number in ids]


@pytest.mark.parametrize(
    "make",
    [
        lambda: counted(1),
        lambda: counted(3),
        lambda: counted(5, min_count=2),
        lambda: counted(3, smoothing="stupid-backoff"),
        with_one_end_token,
    ],
    ids=["unigrams", "trigrams", "pruned", "stupid-backoff", "one end token"],
)
def test_the_written_file_scores_as_the_model(make, tmp_path):
    model = make()
    write_arpa(model, tmp_path / "model.arpa")
    arpa = Arpa(tmp_path / "model.arpa")
    assert arpa.sizes == [sum(len(gram) == n for gram in arpa.grams) for n in range(1, len(arpa.sizes) + 1)]
    held = documents(1, 3 if len(WORDS) == model.settings.vocab_size else 5)
    for document, nats in zip(held, model.score_documents(held), strict=True):
        scores = arpa.text(names_of(model, document))
        assert sum(scores) * math.log(10) == pytest.approx(-nats, abs=1e-5 * len(scores))


@pytest.mark.parametrize(
    "settings", [{"order": 3}, {"order": 5, "min_count": 2}, {"order": 4, "smoothing": "stupid-backoff"}]
)
def test_kenlm_reads_ours(settings, tmp_path):
    kenlm = pytest.importorskip("kenlm")
    model = counted(**settings)
    write_arpa(model, tmp_path / "model.arpa")
    theirs = kenlm.Model(str(tmp_path / "model.arpa"))
    held = [*documents(1), np.array([3, 2, 2, 5])]  # unknown words too
    for document in held:
        text = " ".join(names_of(model, document))
        ours, _ = model.step(torch.tensor([[0, *document.tolist()]]), model.start(1))
        targets = torch.tensor([[*document.tolist(), 1]])
        ours = ours.gather(2, targets[..., None])[0, :, 0].numpy() / math.log(10)
        scores = [score for score, _, _ in theirs.full_scores(text, bos=True, eos=True)]
        np.testing.assert_allclose(ours, scores, atol=1e-5 / math.log(10))


@pytest.mark.parametrize("order", [1, 2, 4])
def test_what_was_written_is_read_back(order, tmp_path):
    model = counted(order)
    write_arpa(model, tmp_path / "model.arpa")
    again = read_arpa(tmp_path / "model.arpa")
    assert again.settings.order == order and again.settings.smoothing == "foreign"
    assert again.tokenizer.begin == [0] and again.tokenizer.end == 1
    np.testing.assert_allclose(again.score_documents(documents(1)), model.score_documents(documents(1)), rtol=1e-5)
    assert again.tokenizer.encode("ink on  the stone") == [3, 4, 2, 5]


def test_lines_in_any_order_with_any_white_space_are_read(tmp_path):
    """As KenLM (which gives <s> the logarithm 0) and SRILM write them: sorted otherwise, weights left out where they are 0."""
    (tmp_path / "theirs.arpa").write_text(
        "made by hand\n\n\\data\\\nngram 1=4\nngram  2 = 3\n\n\\1-grams:\n-1.0\tb\n-0.5\ta\t-0.25\n0\t<s>\t-0.125\n"
        "-0.75\t</s>\n\n\\2-grams:\n-0.1 a   b\n-0.2\t<s> a\n-0.3\ta a\n\n\\end\\\n",
        encoding="utf-8",
    )
    model = read_arpa(tmp_path / "theirs.arpa")
    ids = model.tokenizer.encode("a b zebra")
    assert ids == [1, 0, 4]
    log10 = -model.score_documents([np.array(ids)]) / math.log(10)
    # <s> a, a b, then <unk> (not listed: −100), then </s>
    assert log10[0] == pytest.approx(-0.2 - 0.1 - 100 - 0.75, abs=1e-4)


GOOD = (
    "\\data\\\nngram 1=3\nngram 2=1\n\n\\1-grams:\n0\t<s>\t0\n-1\t</s>\n-1\ta\t0\n\n\\2-grams:\n-1\t<s> a\n\n\\end\\\n"
)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("no model\n", "no ARPA file"),
        (GOOD.replace("ngram 2", "ngram 3"), ":3: .*'ngram 2=COUNT'"),
        (GOOD.replace("-1\ta\t0", "minus\ta\t0"), ":8: .*no line of a 1-gram"),
        (GOOD.replace("-1\t<s> a", "-1\ta"), ":11: .*no line of a 2-gram"),
        (GOOD.replace("<s> a", "b a"), "'b a': the word 1 is not among"),
        (GOOD.replace("\\2-grams:", "\\3-grams:"), r"'\\2-grams:' should stand"),
        (GOOD.partition("-1\t<s> a")[0], "incomplete"),
        (GOOD.replace("</s>", "b"), "no </s>"),
        (GOOD.replace("-1\ta\t0", "-1\t</s>\t0"), "listed twice"),
    ],
)
def test_what_is_no_arpa_is_refused_with_its_line(wrong, message, tmp_path):
    (tmp_path / "good.arpa").write_text(GOOD, encoding="utf-8")
    read_arpa(tmp_path / "good.arpa")
    (tmp_path / "wrong.arpa").write_text(wrong, encoding="utf-8")
    with pytest.raises(RunError, match=message):
        read_arpa(tmp_path / "wrong.arpa")


def test_a_missing_file_and_one_that_is_no_text(tmp_path):
    with pytest.raises(RunError, match="cannot be opened"):
        read_arpa(tmp_path / "none.arpa")
    (tmp_path / "binary").write_bytes(b"\\data\\\n\xff\xfe")
    with pytest.raises(RunError, match="not UTF-8"):
        read_arpa(tmp_path / "binary")


def test_what_arpa_cannot_hold_is_refused(tmp_path):
    with pytest.raises(RunError, match="add-k"):
        write_arpa(counted(2, smoothing="add-k"), tmp_path / "no.arpa")
    words = [*WORDS[:3], "two words"]
    model = NGram(NGramSettings(4, 2), word_tokenizer(words))
    model.fit([np.array([3, 3])])
    with pytest.raises(RunError, match="white space"):
        write_arpa(model, tmp_path / "no.arpa")
    assert not list(tmp_path.iterdir())
