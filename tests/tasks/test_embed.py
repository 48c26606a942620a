"""Sentence vectors: the losses against their formulas, places and correlations against brute force, and runs from end to end."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from inkstone import eval, predict, tune
from inkstone.errors import RecipeError, TextError
from inkstone.evaluation.ranking import ndcg
from inkstone.recipe import load_recipe
from inkstone.tasks.embed import Embed, apart, contrast
from inkstone.tasks.framing import Frame
from inkstone.tasks.predict import Predictor
from inkstone.tasks.related_texts import Related
from inkstone.tasks.retrieval_places import own_places, places_by_words, rank_correlation, rank_statistics, words_alike
from inkstone.tokens.example_batches import collate
from inkstone.tokens.learning import learn_tokenizer

TOKENIZER = learn_tokenizer(["ink stone brush paper 端砚产于肇庆 " * 20], vocab_size=320)


def unit(rows, seed=0):
    return torch.nn.functional.normalize(torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed)), dim=-1)


def plain_contrast(asked, wanted, unlike, asked_numbers, wanted_numbers, temperature):
    """Row by row, as the formula says."""
    n, total = len(asked), 0.0
    for i in range(n):
        own = math.exp(float(asked[i] @ wanted[i]) / temperature)
        to, back = own, own
        for j in range(n):
            same = wanted_numbers[j][0] == wanted_numbers[i][0] or asked_numbers[j] == asked_numbers[i]
            if j != i and not same:
                to += math.exp(float(asked[i] @ wanted[j]) / temperature)
                back += math.exp(float(asked[j] @ wanted[i]) / temperature)
            if unlike is not None and wanted_numbers[j][1] != wanted_numbers[i][0]:
                to += math.exp(float(asked[i] @ unlike[j]) / temperature)
        total -= (math.log(own / to) + math.log(own / back)) / 2
    return total / n


@pytest.mark.parametrize("with_unlike", [False, True])
def test_the_contrastive_loss_is_its_formula_and_the_same_text_is_no_negative(with_unlike):
    asked, wanted, unlike = unit(5), unit(5, 1), unit(5, 2) if with_unlike else None
    asked_numbers, wanted_numbers = (
        torch.tensor([0, 1, 2, 2, 3]),
        torch.tensor([[10, 20], [11, 13], [12, 21], [13, 22], [10, 12]]),
    )
    loss = contrast(asked, wanted, unlike, asked_numbers, wanted_numbers, 0.2)
    expected = plain_contrast(asked, wanted, unlike, asked_numbers.tolist(), wanted_numbers.tolist(), 0.2)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    blind = contrast(asked, wanted, unlike, torch.arange(5), torch.arange(30, 40).reshape(5, 2), 0.2)
    assert blind.item() > loss.item()  # without knowing that some are the same there are more negatives


def encoded(task, examples):
    return collate([inputs[0] for inputs in task.encode(examples, Frame.of(TOKENIZER, 16))])


def test_the_texts_of_a_row_come_apart_as_each_would_stand_alone():
    examples = [
        Related("1", ("ink stone", "brush", "paper paper")),
        Related("2", ("端砚" * 30,)),
        Related("3", ("a", "b")),
    ]
    batch = encoded(Embed(), examples)
    texts, rows = apart(batch, 3)
    frame = Frame.of(TOKENIZER, 16)
    alone = [frame.single(TOKENIZER.encode(text))[0].tolist() for example in examples for text in example.texts]
    assert [ids[valid].tolist() for ids, valid in zip(texts.ids, texts.valid, strict=True)] == alone
    assert rows.tolist() == [0, 0, 0, 1, 2, 2]
    firsts, rows = apart(batch, 1)
    assert [ids[valid].tolist() for ids, valid in zip(firsts.ids, firsts.valid, strict=True)] == [
        alone[0],
        alone[3],
        alone[4],
    ]
    assert rows.tolist() == [0, 1, 2]


class Counting(torch.nn.Module):
    """A vector of how often each token stands in a text, of length one."""

    def forward(self, batch):
        counts = torch.zeros(len(batch.ids), TOKENIZER.vocab_size)
        counts.scatter_add_(1, batch.ids, batch.valid.float())
        return torch.nn.functional.normalize(counts, dim=-1)


def test_rows_with_a_text_that_is_cut_say_so():
    frame = Frame.of(TOKENIZER, 16)
    rows = [Related("1", ("on and on " * 20, "on")), Related("2", ("on", "on and")), Related("3", ("on and on " * 20,))]
    assert [inputs[0].cut for inputs in Embed().encode(rows, frame)] == [True, False, True]


def test_scores_are_learned_by_the_squared_error_of_the_cosine():
    task = Embed()
    examples = [Related("1", ("ink stone", "ink stone"), 1.0), Related("2", ("ink", "端砚"), 5.0)]
    task.learn(examples)
    assert (task.form, task.lowest, task.highest) == ("scored", 1.0, 5.0)
    batch = encoded(task, examples)
    texts, _ = apart(batch, 2)
    v = Counting()(texts)
    expected = ((v[0] @ v[1] - 0) ** 2 + (v[2] @ v[3] - 1) ** 2) / 2
    assert task.loss(Counting(), batch, torch.Generator()).item() == pytest.approx(float(expected), rel=1e-5)


def test_lines_alone_are_read_twice_with_dropout():
    task = Embed(dropout=0.5, temperature=1.0)
    examples = [
        Related(str(n), (text,), alone=True) for n, text in enumerate(("ink stone", "brush and paper", "端砚产于肇庆"))
    ]
    task.learn(examples)
    assert task.form == "line"
    batch = encoded(task, examples)
    torch.manual_seed(0)
    one, other = (task.loss(Counting().train(), batch, torch.Generator()).item() for _ in range(2))
    assert one != other
    still = task.loss(Counting().eval(), batch, torch.Generator()).item()  # nothing is left out: each is exactly itself
    lines, _ = apart(batch, 1)
    v = Counting()(lines)
    assert still == pytest.approx(plain_contrast(v, v, None, [0, 1, 2], [[0], [1], [2]], 1.0), rel=1e-4)


def test_answers_hold_vectors_and_how_alike_two_texts_are():
    task = Embed()
    examples = [
        Related("1", ("ink stone", "ink stone")),
        Related("2", ("paper",)),
        Related("3", ("ink stone",), alone=True),
    ]
    outputs = task.outputs(Counting(), encoded(task, examples))
    assert [len(vectors) for vectors in outputs] == [2, 1, 3]
    pair, single, line = (task.answer(e, [o]) for e, o in zip(examples, outputs, strict=True))
    assert pair["similarity"] == pytest.approx(1, abs=1e-5) and len(pair["vectors"]) == 2
    assert list(single) == ["vector"] and len(line["vectors"]) == 3
    json.dumps([pair, single, line])


def test_places_are_those_of_brute_force_and_other_right_texts_do_not_count_against_one():
    draw = np.random.default_rng(0)
    asked = [f"q{n % 7}" for n in range(30)]
    wanted = [f"p{draw.integers(12)}" for _ in range(30)]
    examples = [Related(str(n), (a, w)) for n, (a, w) in enumerate(zip(asked, wanted, strict=True))]
    # Whole numbers, so that ties are ties however the products are added up; in an order that no hash decides.
    of = {text: draw.integers(-9, 10, size=4).astype(float) for text in dict.fromkeys([*asked, *wanted])}
    answers = [{"vectors": [of[a].tolist(), of[w].tolist()]} for a, w in zip(asked, wanted, strict=True)]
    places = own_places(examples, answers)
    for row, example in enumerate(examples):
        q, p = example.texts
        right = {e.texts[1] for e in examples if e.texts[0] == q} - {p}
        rivals = {text for text in wanted if text not in right and text != p}
        better = sum(of[q] @ of[other] >= of[q] @ of[p] for other in rivals)
        assert places[row] == 1 + better
    figures = Embed().measures(examples, answers)
    assert figures["recall@1"].value == pytest.approx((places == 1).mean())
    by_hand = [ndcg([*range(place - 1), "own"], {"own": 1.0}, 10) for place in places]
    assert figures["nDCG@10"].value == pytest.approx(np.mean(by_hand))


def test_spearman_is_that_of_scipy():
    draw = np.random.default_rng(1)
    first, second = draw.integers(0, 6, 50).astype(float), draw.normal(size=50)
    sums = rank_statistics(first, second + first / 4).sum(0)
    assert float(rank_correlation(sums[None])[0]) == pytest.approx(spearmanr(first, second + first / 4).statistic)
    assert float(rank_correlation(rank_statistics(np.ones(5), second[:5]).sum(0)[None])[0]) == 0


def test_words_alone_find_what_shares_words():
    examples = [
        Related("1", ("what is ink", "ink is black")),
        Related("2", ("产于哪里？", "端砚产于肇庆")),
        Related("3", ("x", "y")),
    ]
    assert [answer["place"] for answer in places_by_words(examples)] == [1, 1, 3]
    alike = words_alike(examples, [Related("1", ("ink is black", "black is ink")), Related("2", ("ink", "砚"))])
    assert alike[0]["similarity"] == pytest.approx(1) and alike[1]["similarity"] == 0


def test_what_cannot_be_learned_is_refused():
    with pytest.raises(TextError, match="has the score 3"):
        Embed().learn([Related("1", ("a", "b"), 3.0), Related("2", ("c", "d"), 3.0)])
    with pytest.raises(TextError, match="two rows"):
        Embed().learn([Related("1", ("a", "b"))])
    for settings in ({"temperature": 0.0}, {"stride": 3}):
        with pytest.raises(RecipeError):
            Embed.of(settings)
    with pytest.raises(TextError, match="no text"):
        Embed().asked([7])


THINGS = ("ink", "stone", "brush", "paper", "tea", "river", "moon", "wine")
CALLED = ("墨", "砚", "笔", "纸", "茶", "河", "月", "酒")
SMALL = ["train.steps=80", "task.rows=16", "model.width=32", "model.n_layers=1", "tokenizer.vocab_size=320"]
SMALL += ["train.learning_rate=0.006", "model.dropout=0.0"]


def write_pairs(path, number, seed, scored=False):
    """English and Chinese sentences with the same two things in them; or such pairs with the number of things shared."""
    draw = np.random.default_rng(seed)
    lines = []
    for at in range(number):
        a, b, c = draw.choice(8, 3, replace=False)
        english = f"number {at} is of {THINGS[a]} and {THINGS[b]}"
        if scored:
            other = (a, b, c)[draw.integers(1, 3)]
            rows = [{"sentence1": english, "sentence2": f"the {THINGS[a if at % 2 else c]} with {THINGS[other]}"}]
            shared = len({THINGS[a], THINGS[b]} & {*rows[0]["sentence2"].replace("the ", "").split(" with ")})
            rows[0]["score"] = shared
        else:
            rows = [{"query": english, "positive": f"第{900 - at}号说的是{CALLED[a]}和{CALLED[b]}"}]
        lines += [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embed")
    outcome = tune(
        "embed",
        [write_pairs(folder / "train.jsonl", 200, 0)],
        test=[write_pairs(folder / "test.jsonl", 30, 1)],
        settings=SMALL,
        out=folder / "run",
        quiet=True,
    )
    return folder, outcome


def test_texts_find_their_translations_by_what_was_learned(tuned):
    folder, outcome = tuned
    figures, words = outcome["figures"]["test"], outcome["yardstick"]["figures"]["test"]
    assert outcome["score"] == "nDCG@10"
    assert figures["nDCG@10"]["value"] > 0.5 > words["nDCG@10"]["value"]
    assert eval(folder / "run", [folder / "test.jsonl"])["figures"] == figures
    one, pair = predict(folder / "run", ["of ink and tea", ["of ink and tea", "说的是墨和茶"]])
    assert len(one["vector"]) == 32 and np.linalg.norm(one["vector"]) == pytest.approx(1, abs=1e-4)
    other = predict(folder / "run", [{"query": "of ink and tea", "positive": "说的是河和月"}])[0]
    assert pair["similarity"] > other["similarity"]


def test_a_vector_does_not_depend_on_what_is_read_beside_it(tuned):
    predictor = Predictor.load(tuned[0] / "run", "cpu")
    short, long = Related("1", ("of ink",)), Related("2", ("of ink and tea and moon " * 9, "说的是墨"))
    alone, beside = predictor.answers([short])[0], predictor.answers([long, short])[1]
    assert alone["vector"] == pytest.approx(beside["vector"], abs=2e-6)


@pytest.mark.slow
def test_scored_pairs_and_lines_are_learned_from_end_to_end(tmp_path):
    data = write_pairs(tmp_path / "scored.jsonl", 200, 0, scored=True)
    outcome = tune("embed", [data], settings=SMALL, out=tmp_path / "scored", quiet=True)
    assert outcome["score"] == "Spearman" and outcome["figures"]["dev"]["Spearman"]["value"] > 0.4
    lines = tmp_path / "lines.txt"
    draw = np.random.default_rng(0)
    lines.write_text(
        "\n".join(f"{' '.join(draw.choice(THINGS, 4))}, number {n}." for n in range(120)), encoding="utf-8"
    )
    settings = [*SMALL, "train.steps=20"]
    outcome = tune("embed", [str(lines)], settings=settings, out=tmp_path / "lines", quiet=True)
    assert outcome["score"] == "nDCG@10" and outcome["examples"]["train"] + outcome["examples"]["dev"] == 120
    outcome = tune("embed", [str(lines)], dev=[data], settings=settings, out=tmp_path / "both", quiet=True)
    assert outcome["score"] == "Spearman"


def test_the_recipe_of_the_examples_runs(tmp_path):
    recipe = Path(__file__).parent.parent.parent / "examples" / "embed.toml"
    assert load_recipe(recipe).task.name == "embed"
    data = write_pairs(tmp_path / "train.jsonl", 24, 0)
    small = ["train.steps=2", "task.rows=4", "model.width=32", "model.n_layers=1", "tokenizer.vocab_size=300"]
    assert tune("", [data], recipe=recipe, settings=small, out=tmp_path / "run", quiet=True)["steps"] == 2
