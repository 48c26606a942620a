"""Families other than the decoder: exported as what other programs know, and other programs' checkpoints opened."""

import json
import math
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer, BartConfig, BartForConditionalGeneration

from inkstone.errors import CheckpointError, RunError
from inkstone.evaluation.evaluate import eval as evaluate
from inkstone.hub.export import export
from inkstone.hub.folder import load
from inkstone.hub.import_model import import_model
from inkstone.training import pretraining
from inkstone.training.pretraining import train
from training.small_runs import MACHINE, prose

from .checkpoints import tokenizer
from .test_bert import CHECKPOINTS, checkpoint, wordpiece


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Small runs of three families on one text."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "prose.txt").write_text(prose(20_000), encoding="utf-8")
    common = ["train.steps=10", "train.threads=1", "tokenizer.vocab_size=300"]
    small = [*common, "model.width=32", "model.n_layers=1", "model.context=32", "train.batch_tokens=128"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretraining, "measure_machine", lambda *_: MACHINE)
        for name, family, settings in (
            ("encoder", "encoder", small),
            ("bert", "encoder", [*small, "model.layout=bert"]),
            ("encoder_decoder", "encoder_decoder", small),
            ("ngram", "ngram", [*common, "model.order=3"]),
        ):
            train([str(folder / "prose.txt")], family=family, out=folder / name, settings=settings, quiet=True)
    return folder


@pytest.mark.parametrize(("name", "opened"), [("encoder", "EsmForMaskedLM"), ("bert", "BertForMaskedLM")])
def test_an_encoder_run_opens_in_transformers(name, opened, runs, tmp_path):
    out = export(runs / name, "hf", tmp_path / "out")
    theirs, ours = AutoModelForMaskedLM.from_pretrained(out).eval(), load(runs / name)
    assert theirs.__class__.__name__ == opened
    ids = torch.tensor([AutoTokenizer.from_pretrained(out)("An beso fa il.")["input_ids"]])
    with torch.no_grad():
        logits = theirs(ids).logits[..., : ours.settings.vocab_size]
        torch.testing.assert_close(logits, ours(ids)[..., : ours.settings.vocab_size], atol=1e-4, rtol=1e-4)


def test_an_ngram_run_is_scored_alike_from_its_arpa_file(runs, tmp_path):
    from inkstone.hub.arpa import read_arpa

    path = export(runs / "ngram", "arpa", tmp_path / "model.arpa")
    ours, again = load(runs / "ngram"), read_arpa(path)
    ids = np.array(ours.tokenizer.encode("An beso fa il. Mir no os."))
    words = [ours.tokenizer.backend.id_to_token(int(number)) for number in ids]
    theirs = np.array([again.tokenizer.backend.token_to_id(word) for word in words])
    one, other = ours.score_documents([ids])[0], again.score_documents([theirs])[0]
    assert math.isclose(one, other, rel_tol=1e-4)


def test_what_a_format_has_no_room_for_is_said(runs, tmp_path):
    with pytest.raises(RunError, match="family 'ngram', which 'hf' has no layout for"):
        export(runs / "ngram", "hf", tmp_path / "out")
    with pytest.raises(RunError, match="norm"):  # ours has its norms before each part, BART after it
        export(runs / "encoder_decoder", "hf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_masked_language_models_of_others_are_opened_by_load(name, tmp_path):
    theirs = checkpoint(name)
    theirs.save_pretrained(tmp_path)
    wordpiece(tmp_path)
    ours = load(tmp_path)
    ids = torch.randint(4, 10, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=1e-4)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load(tmp_path)


def test_a_bart_checkpoint_is_opened_by_load(tmp_path):
    torch.manual_seed(0)
    theirs = BartForConditionalGeneration(
        BartConfig(
            vocab_size=310, d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=4,
            encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=40, pad_token_id=1, eos_token_id=2,
            decoder_start_token_id=2,
        )
    ).eval()  # fmt: skip
    theirs.save_pretrained(tmp_path)
    tokenizer().save(tmp_path)
    ours = load(tmp_path)
    generator = torch.Generator().manual_seed(1)
    source, target = (torch.randint(3, 250, (2, n), generator=generator) for n in (7, 5))
    with torch.no_grad():
        expected = theirs(input_ids=source, decoder_input_ids=target).logits.log_softmax(-1)
        found, _ = ours.step(target, ours.start(2, memory=ours.encode(source)))
    torch.testing.assert_close(found, expected[..., : found.shape[-1]], atol=1e-4, rtol=1e-4)


def test_a_masked_language_model_becomes_a_run(tmp_path):
    """Imported, scored on a text, and named for what it is."""
    folder, text = tmp_path / "checkpoint", tmp_path / "text.txt"
    checkpoint("bert").save_pretrained(folder)
    wordpiece(folder)
    run = import_model(folder, tmp_path / "run")
    assert run.recipe().model.family == "encoder" and run.recipe().model.width == 32
    assert run.facts()["origin"]["architecture"] == "BertForMaskedLM"
    text.write_text("ink on stones. stones on ink.\n" * 3, encoding="utf-8")
    figures = evaluate(run.folder, [text], compressors=False)
    assert figures["likelihood"] == "pseudo-log-likelihood" and figures["bits_per_byte"] > 0


def test_an_imported_encoder_goes_out_as_it_came_in(tmp_path):
    folder = tmp_path / "checkpoint"
    checkpoint("roberta").save_pretrained(folder)
    wordpiece(folder)
    (folder / "LICENSE").write_text("free")
    (import_model(folder, tmp_path / "run").folder / "LICENSE").write_text("free")
    out = export(tmp_path / "run", "hf", tmp_path / "out")
    for name in ("config.json", "model.safetensors", "tokenizer.json", "LICENSE"):
        assert (out / name).read_bytes() == (folder / name).read_bytes()


def test_the_model_card_goes_out_with_an_encoder_of_ours(runs, tmp_path):
    out = export(runs / "encoder", "hf", tmp_path / "bert")
    assert (out / "README.md").read_bytes() == (runs / "encoder" / "README.md").read_bytes()


def test_tables_of_another_order_are_refused(runs, tmp_path):
    folder = tmp_path / "ngram"
    shutil.copytree(runs / "ngram", folder)
    config = json.loads((folder / "config.json").read_text())
    config["settings"]["order"] = 4
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="keys_4"):
        load(folder)


def test_a_run_of_ours_is_not_imported(runs, tmp_path):
    with pytest.raises(RunError, match="a run of Inkstone already"):
        import_model(runs / "ngram", tmp_path / "again")
    assert not (tmp_path / "again").exists()
