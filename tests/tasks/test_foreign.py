"""Checkpoints that transformers saved with a head, asked here: the answers are those that transformers gives."""

import csv
import json

import numpy as np
import pytest
import tokenizers
import torch
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
)

from hub.test_bert_tasks import LABELS, checkpoint
from inkstone import predict
from inkstone.errors import RunError, TextError
from inkstone.evaluation.tag_schemes import scheme_faults
from inkstone.tasks.predict import Predictor
from inkstone.tasks.scoring import eval as evaluate

TEXTS = ["this film is lovely in every way", "it is dull", "who saw it", "ben saw this awful film, anna"]
TAGS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "E-PER", 4: "S-PER"}


def saved(folder, model, config, **options):
    """A checkpoint as others publish it, the model, and its tokenizer."""
    theirs = checkpoint(folder, model, config, **options)
    if config is RobertaConfig:  # padding is token 1; <s> a </s></s> b </s>, and no segments
        path = folder / "tokenizer.json"
        path.write_text(path.read_text().replace("[PAD]", "[?]").replace("[CLS]", "[PAD]").replace("[?]", "[CLS]"))
        backend = tokenizers.Tokenizer.from_file(str(path))
        backend.post_processor = tokenizers.processors.RobertaProcessing(("[SEP]", 2), ("[CLS]", 0))
        backend.save(str(path))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), model_max_length=30, cls_token="[CLS]", sep_token="[SEP]"
    )
    tokenizer.save_pretrained(folder)
    return theirs, tokenizer


def read(tokenizer, config, *texts, **options):
    """The inputs of their model."""
    return tokenizer(*texts, return_tensors="pt", return_token_type_ids=config is BertConfig, **options)


@pytest.mark.parametrize(
    "model, config", [(BertForSequenceClassification, BertConfig), (RobertaForSequenceClassification, RobertaConfig)]
)
@pytest.mark.parametrize("several", [False, True])
@torch.no_grad()
def test_the_labels_of_texts_and_pairs_are_theirs(model, config, several, tmp_path):
    problem = f"{'multi' if several else 'single'}_label_classification"
    theirs, tokenizer = saved(tmp_path, model, config, id2label=LABELS, problem_type=problem)
    for given in (*((text,) for text in TEXTS), (TEXTS[0], TEXTS[1]), (" ".join(TEXTS * 3),)):
        scores = theirs(**read(tokenizer, config, *given, truncation=True)).logits[0]
        expected = scores.sigmoid() if several else scores.softmax(-1)
        (answer,) = predict(tmp_path, [given[0] if len(given) == 1 else list(given)])
        assert list(answer["probabilities"]) == list(LABELS.values())
        np.testing.assert_allclose(list(answer["probabilities"].values()), expected, rtol=0, atol=1e-4)
        if several:
            assert answer["labels"] == [LABELS[at] for at in range(3) if expected[at] >= 0.5]
        else:
            assert answer["label"] == LABELS[int(expected.argmax())]


@pytest.mark.parametrize(
    "model, config", [(BertForTokenClassification, BertConfig), (RobertaForTokenClassification, RobertaConfig)]
)
@torch.no_grad()
def test_the_tag_of_each_word_is_theirs_whatever_their_scheme(model, config, tmp_path):
    theirs, tokenizer = saved(tmp_path, model, config, id2label=TAGS)
    unlike = 0  # tags that no scheme allows there
    for text in TEXTS:
        (answer,) = predict(tmp_path, [text])
        words = answer["tokens"]
        assert "".join(words) == text.replace(" ", "")
        inputs = read(tokenizer, config, words, is_split_into_words=True)
        scores = theirs(**inputs).logits[0].log_softmax(-1)
        firsts = [inputs.word_ids().index(at) for at in range(len(words))]
        best, tags = scores[firsts].max(-1)
        assert answer["tags"] == [TAGS[int(tag)] for tag in tags]
        assert answer["probability"] == pytest.approx(float(best.sum().exp()), abs=1e-4)
        assert all(text[span["start"] : span["end"]] == span["text"] for span in answer["spans"])
        inside = {at for span in answer["spans"] for at in range(*span["tokens"])}
        assert inside == {at for at, tag in enumerate(answer["tags"]) if tag != "O"}
        unlike += len(scheme_faults(answer["tags"], "BIOES"))
    assert unlike


@pytest.mark.parametrize(
    "model, config", [(BertForQuestionAnswering, BertConfig), (RobertaForQuestionAnswering, RobertaConfig)]
)
@torch.no_grad()
def test_the_answer_is_their_best_stretch(model, config, tmp_path):
    theirs, tokenizer = saved(tmp_path, model, config)
    for context in TEXTS:
        question = "who saw the film"
        inputs = read(tokenizer, config, question, context, return_offsets_mapping=True)
        places = inputs.pop("offset_mapping")[0].tolist()
        out = theirs(**inputs)
        inside = [at for at, side in enumerate(inputs.sequence_ids()) if side == 1]
        first, last = (scores[0, [0, *inside]].softmax(-1) for scores in (out.start_logits, out.end_logits))
        pairs = [(i, j) for i in range(len(inside)) for j in range(i, len(inside))]
        i, j = max(pairs, key=lambda pair: float(first[1 + pair[0]] * last[1 + pair[1]]))
        (answer,) = predict(tmp_path, [[question, context]])
        assert (answer["start"], answer["stop"]) == (places[inside[i]][0], places[inside[j]][1])
        assert answer["confidence"] == pytest.approx(float(first[1 + i] * last[1 + j]), abs=1e-4)


@torch.no_grad()
def test_a_checkpoint_is_scored_on_examples_that_name_its_labels(tmp_path):
    theirs, tokenizer = saved(tmp_path / "their", BertForSequenceClassification, BertConfig, id2label=LABELS)
    told = [LABELS[int(theirs(**read(tokenizer, BertConfig, text)).logits.argmax())] for text in TEXTS]
    wrong = next(label for label in LABELS.values() if label != told[-1])
    for name, labels in (("own.csv", [*told[:-1], wrong]), ("other.csv", ["a", "b", "a", "b"])):
        with open(tmp_path / name, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *zip(TEXTS, labels, strict=True)])
    figures = evaluate(tmp_path / "their", [tmp_path / "own.csv"])
    assert figures["examples"] == 4 and figures["figures"]["accuracy"]["value"] == 0.75
    with pytest.raises(TextError, match=r"its labels \(a, b\) are none of those that .* gives \(dull, fine, odd\)"):
        evaluate(tmp_path / "their", [tmp_path / "other.csv"])
    with pytest.raises(RunError, match="has no figures of its own"):
        evaluate(tmp_path / "their")


def test_tags_of_another_scheme_are_scored_as_the_spans_that_they_are(tmp_path):
    saved(tmp_path / "their", BertForTokenClassification, BertConfig, id2label=TAGS)
    answers = predict(tmp_path / "their", [text.split() for text in TEXTS])
    rows = []
    for answer in answers:
        tags = ["O"] * len(answer["tokens"])
        for span in answer["spans"]:
            first, stop = span["tokens"]
            tags[first:stop] = ["B-PER", *["I-PER"] * (stop - first - 1)]
        rows.append("\n".join(f"{word}\t{tag}" for word, tag in zip(answer["tokens"], tags, strict=True)))
    (tmp_path / "gold.conll").write_text("\n\n".join(rows) + "\n", encoding="utf-8")
    figures = evaluate(tmp_path / "their", [tmp_path / "gold.conll"])["figures"]
    assert figures["span F1"]["value"] == figures["tag accuracy"]["value"] == 1


def test_questions_without_an_answer_may_get_none_where_the_examples_have_such(tmp_path):
    saved(tmp_path / "their", BertForQuestionAnswering, BertConfig)
    records = [
        {"id": "1", "question": "who saw it", "context": TEXTS[3], "answers": [{"text": "ben", "answer_start": 0}]},
        {"id": "2", "question": "who is ben", "context": TEXTS[1], "answers": [], "is_impossible": True},
    ]
    (tmp_path / "gold.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    figures = evaluate(tmp_path / "their", [tmp_path / "gold.jsonl"])["figures"]
    assert "right where there is none" in figures
    assert "no_answer" not in predict(tmp_path / "their", [["who saw it", TEXTS[3]]])[0]


def test_a_checkpoint_that_tells_an_amount_is_refused(tmp_path):
    saved(tmp_path, BertForSequenceClassification, BertConfig, num_labels=1)
    with pytest.raises(RunError, match="tells an amount"):
        Predictor.load(tmp_path)
