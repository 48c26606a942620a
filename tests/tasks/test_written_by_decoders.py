"""Summaries and translations by a decoder: what it reads and learns, from the start, from a language model of ours, with low-rank changes."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from inkstone.hub.export import export
from inkstone.hub.folder import load
from inkstone.layers.cross_entropy import token_nats
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.models.headed import Headed
from inkstone.tasks.framing import Frame
from inkstone.tasks.parallel_pairs import Translated
from inkstone.tasks.predict import Predictor, predict
from inkstone.tasks.summarize import Summarize
from inkstone.tasks.translate import Translate
from inkstone.tasks.written import Pair
from inkstone.tokens.example_batches import collate
from inkstone.tokens.learning import learn_tokenizer
from inkstone.training.pretraining import train
from inkstone.training.tuning import tune

from . import test_summarize, test_translate

STORIES = [test_summarize.story(np.random.default_rng(n)) for n in range(40)]
TOKENIZER = learn_tokenizer([" ".join(story) for story in STORIES], "byte-bpe", 320)
PAIRS = [Pair(str(n), source, (summary,)) for n, (source, summary) in enumerate(STORIES)]
FRAME = Frame.of(TOKENIZER, 64)


def untrained() -> Headed:
    settings = DecoderSettings.of_size(TOKENIZER.vocab_size, 16, 1, context=64)
    body = Decoder(settings, TOKENIZER).initialise(torch.Generator().manual_seed(0))
    return Headed(body, decoding().head())


def decoding(**settings) -> Summarize:
    task = Summarize(**settings)
    task.suit("decoder")
    return task


def test_a_decoder_reads_the_source_an_end_and_goes_on_with_the_target():
    (inputs,) = decoding().encode(PAIRS[:1], FRAME)
    end, source, target = TOKENIZER.end, *(TOKENIZER.encode(text) for text in STORIES[0])
    assert inputs[0].ids.tolist() == [end, *source, end, *target, end]
    assert inputs[0].answers.tolist() == [False] * (len(source) + 2) + [True] * (len(target) + 1)


@torch.no_grad()
def test_the_loss_is_that_of_the_target_alone():
    model, task = untrained(), decoding(smoothing=0.0)
    batch = collate([each for inputs in task.encode(PAIRS[:6], FRAME) for each in inputs])
    nats, tokens = task.nats(model, batch)
    expected = []
    for pair in PAIRS[:6]:
        source, target = TOKENIZER.encode(pair.source), TOKENIZER.encode(pair.targets[0])
        ids = torch.tensor([[TOKENIZER.end, *source, TOKENIZER.end, *target, TOKENIZER.end]])
        states = model.body.hidden(ids)[0, len(source) + 1 : -1]
        expected.append(token_nats(states, model.body.output_weight, ids[0, len(source) + 2 :]))
    assert (nats, tokens) == (pytest.approx(float(torch.cat(expected).sum()), rel=1e-5), len(torch.cat(expected)))
    loss = task.loss(model, batch, torch.Generator())
    assert float(loss) == pytest.approx(nats / tokens, rel=1e-5)


def test_a_long_source_leaves_room_for_what_is_written():
    task = decoding()
    long = Pair("here", " ".join(source for source, _ in STORIES[:6]), ("ink",))
    task.encode(PAIRS, FRAME)
    (inputs,) = task.encode([long], FRAME)
    assert len(inputs) > 1 and all(len(each.ids) + task.longest <= FRAME.context for each in inputs[1:])
    assert not any(each.cut for each in inputs)
    translate = Translate(learned=(("en", "zh"),), placeholders=0)
    translate.suit("decoder")
    pairs = [Translated("a", long.source, ("墨",), None, "en", "zh"), Translated("b", "ink", ("墨",), None, "en", "zh")]
    none, (one,) = translate.encode(pairs, FRAME)
    assert none == [] and one.answers.any()  # a pair that does not fit is not learned from


def test_sources_are_asked_without_a_look_at_their_targets():
    task, model = decoding(beams=2), untrained()
    predictor = Predictor(model, task, 64)
    task.encode(PAIRS, FRAME)
    known = predictor.answers(PAIRS[:5])
    assert known == predictor.answers([Pair(pair.place, pair.source) for pair in PAIRS[:5]])


SMALL = ["model.width=64", "model.n_layers=2", "tokenizer.vocab_size=320", "train.threads=1", "train.device=cpu"]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoder")
    train, test = test_summarize.written(folder / "a.jsonl", 300, 1), test_summarize.written(folder / "b.jsonl", 20, 2)
    how = ["train.steps=150", "task.rows=16", "model.dropout=0", "task.beams=1", "task.no_repeat_ngram=0"]
    outcome = tune(
        "summarize", [train], test=[test], family="decoder", settings=[*SMALL, *how], out=folder / "run", quiet=True
    )
    return folder, outcome


def test_from_the_start_it_learns_to_summarise(tuned):
    folder, outcome = tuned
    figures, yardstick = outcome["figures"]["test"], outcome["yardstick"]["figures"]["test"]
    assert figures["ROUGE-L"]["value"] > yardstick["ROUGE-L"]["value"] > 0.1
    body = load(folder / "run").body
    assert body.family == "decoder"


def test_transformers_writes_the_same_summaries(tuned):
    folder, _ = tuned
    out = export(folder / "run")
    theirs, reader = AutoModelForCausalLM.from_pretrained(out).eval(), AutoTokenizer.from_pretrained(out)
    texts = [source for source, _ in STORIES[:8]]
    answers = predict(folder / "run", texts, device="cpu")
    for text, answer in zip(texts, answers, strict=True):
        ids = reader(text, return_tensors="pt")["input_ids"]
        written = theirs.generate(ids)[0, ids.shape[1] :]
        assert reader.decode(written, skip_special_tokens=True).strip() == answer["summary"]


def test_a_language_model_of_ours_is_tuned_to_translate_both_ways_and_by_low_rank_changes(tmp_path):
    (tmp_path / "text.txt").write_text("the stone is red. Tom has a black stone. 石头是红色的。\n" * 60, "utf-8")
    train(
        [tmp_path / "text.txt"], settings=[*SMALL, "train.steps=3", "text.clean=false"], out=tmp_path / "lm", quiet=True
    )
    pairs = test_translate.written(tmp_path, "train", 40, 1)
    settings = ["train.threads=1", "train.device=cpu", "train.steps=3", "task.directions=both", "task.yardstick=false"]
    outcome = tune("translate", pairs, model=tmp_path / "lm", settings=settings, out=tmp_path / "run", quiet=True)
    assert {"BLEU en-zh", "BLEU zh-en"} <= set(outcome["figures"]["dev"])
    body, before = load(tmp_path / "run").body, load(tmp_path / "lm")
    assert body.tokenizer.backend.token_to_id("<2zh>") >= before.settings.vocab_size
    (answer,) = predict(tmp_path / "run", ["the stone is red."], to="zh", device="cpu")
    assert answer["to"] == "zh" and isinstance(answer["translation"], str)

    again = [*settings[:3], "task.placeholders=0", "task.yardstick=false", "task.lora_rank=2"]
    tune("translate", pairs, model=tmp_path / "lm", settings=again, out=tmp_path / "low-rank", quiet=True)
    assert (tmp_path / "low-rank" / "adapter" / "adapter_model.safetensors").exists()
    merged, before = load(tmp_path / "low-rank").body.state_dict(), before.state_dict()
    assert torch.equal(merged["embedding.weight"], before["embedding.weight"])
    changed = [name for name, tensor in merged.items() if not torch.equal(tensor, before[name])]
    assert changed and all("norm" not in name for name in changed)
