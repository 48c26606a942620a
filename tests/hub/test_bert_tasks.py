"""BERT and RoBERTa with a head: scores against transformers, which wrote or opens the same folder."""

import json

import pytest
import tokenizers
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    RobertaConfig,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
)

from inkstone import load
from inkstone.errors import CheckpointError, RunError
from inkstone.hub import bert_tasks
from inkstone.hub.bert_tasks import pooler_of
from inkstone.models.headed import Headed, HeadSettings
from inkstone.tokens.example_batches import ExampleBatch

from .test_bert import SHAPE, own

LABELS = {0: "dull", 1: "fine", 2: "odd"}
OPENERS = {
    "class": AutoModelForSequenceClassification,
    "token": AutoModelForTokenClassification,
    "span": AutoModelForQuestionAnswering,
}
CHECKPOINTS = {
    "bert-class": (BertForSequenceClassification, BertConfig, "class"),
    "bert-token": (BertForTokenClassification, BertConfig, "token"),
    "bert-span": (BertForQuestionAnswering, BertConfig, "span"),
    "roberta-class": (RobertaForSequenceClassification, RobertaConfig, "class"),
    "roberta-token": (RobertaForTokenClassification, RobertaConfig, "token"),
    "roberta-span": (RobertaForQuestionAnswering, RobertaConfig, "span"),
}
WORDS = (
    "this",
    "film",
    "is",
    "in",
    "every",
    "way",
    "fine",
    "lovely",
    "dull",
    "awful",
    "who",
    "saw",
    "it",
    "anna",
    "ben",
)


def checkpoint(folder, model, config, **options):
    """A checkpoint in which every number is random, with a tokenizer as published ones have."""
    torch.manual_seed(0)
    types = {"type_vocab_size": 2} if config is BertConfig else {"type_vocab_size": 1, "pad_token_id": 1}
    theirs = model(config(**SHAPE, **types, **options)).eval()
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    theirs.save_pretrained(folder)
    special = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"]
    vocabulary = {token: number for number, token in enumerate([*special, *WORDS])}
    backend = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = tokenizers.normalizers.BertNormalizer()
    backend.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    backend.add_special_tokens(special)
    backend.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    backend.save(str(folder / "tokenizer.json"))
    return theirs


def batch(rows: int = 2, length: int = 12, most: int = 20, types: bool = True) -> ExampleBatch:
    """Random ids; the second row is shorter, and every second token begins a unit."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, most, (rows, length), generator=generator)
    valid = torch.arange(length) < torch.tensor([[length], [length - 4]])
    segments = torch.where(torch.arange(length) > 5, 1, 0).expand(rows, -1) if types else None
    units = torch.arange(0, length, 2).expand(rows, -1)
    return ExampleBatch(ids, valid, segments, units, units < valid.sum(1, keepdim=True), None, torch.ones(rows))


def scores_of_transformers(model, kind: str, b: ExampleBatch) -> torch.Tensor:
    types = {} if b.types is None else {"token_type_ids": b.types}
    out = model(b.ids, attention_mask=b.valid.long(), **types)
    if kind == "span":
        return torch.stack([out.start_logits, out.end_logits], dim=-1)
    return (
        out.logits.gather(1, b.units[..., None].expand(-1, -1, out.logits.shape[-1])) if kind == "token" else out.logits
    )


def seen(scores: torch.Tensor, kind: str, b: ExampleBatch) -> torch.Tensor:
    """Without the scores of padding."""
    return scores if kind == "class" else scores[b.unit_valid if kind == "token" else b.valid]


@pytest.mark.parametrize("name", CHECKPOINTS)
@torch.no_grad()
def test_scores_of_a_checkpoint_equal_those_of_transformers(name, tmp_path):
    model, config, kind = CHECKPOINTS[name]
    labels = {} if kind == "span" else {"id2label": LABELS}
    theirs = checkpoint(tmp_path, model, config, classifier_dropout=0.3, **labels)
    ours = load(tmp_path)
    assert isinstance(ours, Headed) and ours.head.kind == kind and ours.head.dropout == 0.3
    assert ours.head.labels == (() if kind == "span" else tuple(LABELS.values()))
    b = batch(types=name.startswith("bert"))
    found, expected = ours(b), scores_of_transformers(theirs, kind, b)
    torch.testing.assert_close(seen(found, kind, b), seen(expected, kind, b), rtol=0, atol=1e-4)
    filled = ours.body(b.ids).softmax(-1)  # there is nothing in it that fills in hidden tokens
    torch.testing.assert_close(filled, torch.full_like(filled, 1 / SHAPE["vocab_size"]))


@pytest.mark.parametrize("kind", OPENERS)
@torch.no_grad()
def test_a_body_with_a_head_opens_in_transformers_and_comes_back(kind, tmp_path):
    checkpoint(tmp_path / "base", *CHECKPOINTS["roberta-class"][:2])
    body = load(tmp_path / "base").body if kind == "span" else own()
    labels = () if kind == "span" else tuple(LABELS.values())
    head = HeadSettings(kind, labels, "first", kind == "class", dropout=0.25)
    ours = Headed(body, head).initialise_head(torch.Generator().manual_seed(0)).eval()
    for weight in ours.scores.parameters():
        weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(2)))
    bert_tasks.write(ours, tmp_path / "out", {"context": 30})
    theirs = OPENERS[kind].from_pretrained(tmp_path / "out").eval()
    b = batch(types=kind != "span")
    expected = seen(ours(b), kind, b)
    torch.testing.assert_close(seen(scores_of_transformers(theirs, kind, b), kind, b), expected, rtol=0, atol=1e-4)
    back = load(tmp_path / "out")
    torch.testing.assert_close(seen(back(b), kind, b), expected, rtol=0, atol=1e-4)
    assert back.head == (head if kind == "class" else HeadSettings(kind, labels, "first", dropout=0.25))
    assert AutoTokenizer.from_pretrained(tmp_path / "out").model_max_length == 30
    if labels:
        assert theirs.config.id2label == LABELS and theirs.config.label2id["odd"] == 2


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("told", [{"temperature": 2.0}, {"temperature": 3.0, "own_temperature": 2.0}])
@torch.no_grad()
def test_the_kind_of_labels_and_the_temperature_go_with_it(several, told, tmp_path):
    ours = Headed(own(), HeadSettings("class", ("a", "b"), "first", True)).initialise_head(torch.Generator())
    ours.eval()
    bert_tasks.write(ours, tmp_path, {"several": several, **told})
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert theirs.config.problem_type == f"{'multi' if several else 'single'}_label_classification"
    b = batch()
    torch.testing.assert_close(scores_of_transformers(theirs, "class", b) * 2, ours(b), rtol=0, atol=1e-4)


@pytest.mark.parametrize("model, config", [(BertModel, BertConfig), (RobertaModel, RobertaConfig)])
@torch.no_grad()
def test_a_body_alone_is_read_with_its_pooler_or_without(model, config, tmp_path):
    theirs = checkpoint(tmp_path, model, config)
    b = batch(types=config is BertConfig)
    out = theirs(b.ids, attention_mask=b.valid.long(), token_type_ids=b.types)
    ours = load(tmp_path)
    expected = torch.nn.functional.normalize(out.pooler_output, dim=-1)
    torch.testing.assert_close(ours(b), expected, rtol=0, atol=1e-4)
    pooler = pooler_of(tmp_path)
    assert torch.equal(pooler["weight"], theirs.pooler.dense.weight)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({name: t for name, t in tensors.items() if "pooler" not in name}, tmp_path / "model.safetensors")
    expected = torch.nn.functional.normalize(out.last_hidden_state[:, 0], dim=-1)
    torch.testing.assert_close(load(tmp_path)(b), expected, rtol=0, atol=1e-4)
    assert pooler_of(tmp_path) is None


def test_a_head_that_is_damaged_is_named(tmp_path):
    checkpoint(tmp_path, BertForSequenceClassification, BertConfig, id2label=LABELS)
    tensors = load_file(tmp_path / "model.safetensors")
    weights = tmp_path / "model.safetensors"
    save_file({name: each for name, each in tensors.items() if name != "classifier.bias"}, weights)
    with pytest.raises(CheckpointError, match=r"classifier\.bias, of its head, is missing"):
        load(tmp_path)
    save_file({**tensors, "classifier.weight": torch.zeros(3, 31)}, weights)
    with pytest.raises(CheckpointError, match=r"classifier\.weight has the shape \(3, 31\).*\(3, 32\)"):
        load(tmp_path)
    save_file(tensors, weights)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "id2label": {"0": "a", "1": "b"}}))
    with pytest.raises(RunError, match=r"id2label names .* but the head has 3 scores"):
        load(tmp_path)


@pytest.mark.parametrize(
    "head, complaint",
    [
        (HeadSettings("class", ("a", "b"), "mean"), "the pooling 'mean' without a dense layer.*task.pooling=first"),
        (HeadSettings("token", ("a", "b"), crf=True), "a CRF over the tags; tune again with task.crf=false"),
        (HeadSettings("token", ("a", "b"), dense=True), "a dense layer before the scores of tokens"),
        (HeadSettings("span"), "segments that mark what the question and the context share"),
        (HeadSettings("vector"), "a head of the kind 'vector'"),
    ],
)
def test_what_transformers_has_no_class_for_is_refused_with_the_way_out(head, complaint, tmp_path):
    with pytest.raises(RunError, match=complaint):
        bert_tasks.write(Headed(own(), head), tmp_path / "out", {})
    assert not (tmp_path / "out").exists()


def test_bodies_of_another_layout_are_refused():
    from .checkpoints import decoder

    head = HeadSettings("class", ("a", "b"), "first", True)
    with pytest.raises(RunError, match="the family 'decoder'; tune again --from an encoder"):
        bert_tasks.refuse_others(Headed(decoder("qwen3"), head))
    pairs = Headed(own(layout="modern"), head)
    with pytest.raises(
        RunError, match="the layout 'modern' for pairs of texts; tune again --from an encoder of the layout"
    ):
        bert_tasks.refuse_others(pairs, pairs=True)
    bert_tasks.refuse_others(pairs)
