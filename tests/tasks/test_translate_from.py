"""Translators that begin at a model: at one of ours that was trained on spans, and at a Marian folder that transformers saved."""

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, MarianConfig, MarianMTModel

from hub.checkpoints import VOCAB, tokenizer as byte_tokenizer
from inkstone.hub.export import export
from inkstone.hub.folder import load
from inkstone.tasks.framing import Frame
from inkstone.tasks.parallel_pairs import Translated
from inkstone.tasks.predict import Predictor, predict
from inkstone.training.pretraining import train
from inkstone.training.tuning import tune

from .test_translate import written

SMALL = ["train.threads=1", "train.device=cpu", "train.steps=3", "task.yardstick=false"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return written(tmp_path_factory.mktemp("pairs"), "train", 60, 1)


def marian(folder):
    torch.manual_seed(0)
    end = byte_tokenizer().end
    shape = dict(
        vocab_size=VOCAB, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64, pad_token_id=end, eos_token_id=end,
        decoder_start_token_id=end, forced_eos_token_id=None, scale_embedding=True, activation_function="swish",
    )  # fmt: skip
    MarianMTModel(MarianConfig(**shape)).save_pretrained(folder)
    byte_tokenizer().save(folder)
    return folder


def test_at_a_run_that_was_trained_on_spans(tmp_path, pairs):
    (tmp_path / "text.txt").write_text(
        "the stone is red. Tom has a black stone. 石头是红色的。\n" * 60, encoding="utf-8"
    )
    shape = ["model.width=32", "model.n_layers=1", "model.context=64", "tokenizer.vocab_size=320", *SMALL[:3]]
    train(
        [tmp_path / "text.txt"],
        family="encoder_decoder",
        settings=[*shape, "text.clean=false"],
        out=tmp_path / "base",
        quiet=True,
    )
    before = load(tmp_path / "base")
    settings = [*SMALL, "train.learning_rate=1e-9", "task.directions=both"]
    tune("translate", pairs, model=tmp_path / "base", settings=settings, out=tmp_path / "run", quiet=True)
    body = load(tmp_path / "run").body
    old, new = before.settings.vocab_size, body.settings.vocab_size
    assert new == old + 10 and body.settings.n_sentinels == before.settings.n_sentinels == 100
    assert torch.allclose(body.embedding.weight[:old], before.embedding.weight[:old], atol=1e-6)
    assert torch.allclose(body.embedding.weight[new:], before.embedding.weight[old:], atol=1e-6)
    assert body.tokenizer.backend.token_to_id("<2zh>") == old
    assert [
        answer["to"] for answer in predict(tmp_path / "run", ["the stone is red.", "石头是红色的。"], device="cpu")
    ] == ["zh", "en"]


def test_at_a_marian_folder_and_out_again(tmp_path, pairs):
    """What transformers writes from the exported folder is what the run writes."""
    folder = marian(tmp_path / "marian")
    settings = [*SMALL, "task.length_penalty=0", "task.beams=3"]
    tune("translate", pairs, model=folder, settings=settings, out=tmp_path / "run", quiet=True)
    predictor = Predictor.load(tmp_path / "run", "cpu")
    example = Translated("f:1", "Tom has a red stone.", (), None, "en", "zh")
    ((said,),) = predictor.outputs([example])
    ((asked,),) = predictor.task.encode([example], Frame.of(predictor.model.tokenizer, 64))
    out = export(tmp_path / "run")
    theirs, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(out).eval(), AutoTokenizer.from_pretrained(out)
    assert tokenizer(example.source)["input_ids"] == asked.ids.tolist()
    most = predictor.task.most_tokens(len(asked.ids))
    ids = theirs.generate(torch.tensor([asked.ids.tolist()]), max_new_tokens=most)[0].tolist()
    assert len(ids) == said.tokens + 1 and tokenizer.decode(ids, skip_special_tokens=True).strip() == said.text
