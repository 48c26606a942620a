"""Tagging: what is said never breaks a scheme, places are those of the input, figures are those of evaluation/spans."""

import json

import numpy as np
import pytest
import torch

from inkstone.errors import RecipeError, RunError, TextError
from inkstone.evaluation.spans import tag_scores
from inkstone.evaluation.tag_schemes import scheme_faults
from inkstone.layers.crf import LinearChainCRF
from inkstone.layers.tag_moves import tag_moves
from inkstone.models.crf_tagger import load_tagger
from inkstone.models.headed import Headed, HeadSettings
from inkstone.models.word_reader import WordReader, WordReaderSettings
from inkstone.tasks import tag as tag_module
from inkstone.tasks.framing import Frame
from inkstone.tasks.predict import Predictor
from inkstone.tasks.tag import Tag
from inkstone.tasks.tag_conllu import conllu_of
from inkstone.tasks.tag_readings import Reading
from inkstone.tasks.tagged import Tagged
from inkstone.tasks.understanding import Understanding
from inkstone.text.conllu import parse_conllu
from inkstone.text.dictionary import dictionary_tags
from inkstone.tokens.example_batches import collate
from inkstone.tokens.learning import learn_tokenizer

NAMES = "Anna B-PER\nsaw O\nNew B-LOC\nYork I-LOC\n. O\n\nBen B-PER\nLee I-PER\nleft O\n. O\n\nwe O\nleft O\n. O\n"
PARTS = "the DET\nink NOUN\nis AUX\nblack ADJ\n\nthe DET\nstone NOUN\nis AUX\nwhite ADJ\n"
LINES = "我 爱 北京\n北京 大学 在 北京\nNew York 在 美国\n"


def read(tmp_path, text, name="data.txt", **settings):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    task, understanding = Tag(**settings), Understanding("train", [str(path)])
    examples = task.read([str(path)], understanding)
    task.learn(examples)
    return task, examples, understanding


def predictor(task, examples, context=2048):
    tokenizer = learn_tokenizer(task.texts(examples) * 3, "character", 500)
    frame = Frame.of(tokenizer, context)
    body = WordReader(WordReaderSettings(tokenizer.vocab_size, width=8, word_width=6, filters=5), tokenizer)
    inputs = [each for own in task.encode(examples, frame) for each in own]
    body.learn_words(inputs, torch.Generator().manual_seed(0))
    model = Headed(body, task.head()).initialise_head(torch.Generator().manual_seed(1))
    with torch.no_grad():  # a fresh head says the same of every word
        model.scores.weight.mul_(100)
        body.characters.weight.mul_(20)
    return Predictor(model, task, context)


def test_names_are_read_as_a_scheme_and_parts_of_speech_as_none(tmp_path):
    task, examples, understanding = read(tmp_path, NAMES)
    assert task.labels == ("B-LOC", "B-PER", "I-LOC", "I-PER", "O") and task.score == "span F1"
    assert task.head().crf and understanding.labels["B-PER"] == 2
    assert examples[0].text == "Anna saw New York ."
    task, _, _ = read(tmp_path, PARTS)
    assert task.labels == ("ADJ", "AUX", "DET", "NOUN") and task.score == "accuracy" and not task.head().crf
    assert read(tmp_path, PARTS, crf=True)[0].head().crf
    task, examples, _ = read(tmp_path, LINES, segment=True)
    assert task.labels == ("B", "E", "M", "S") and task.score == "word F1" and task.head().crf
    assert "".join(examples[2].words) == "NewYork在美国"


def test_both_tags_of_a_label_are_there_and_one_tag_is_nothing_to_learn(tmp_path):
    task, _, _ = read(tmp_path, "a B-X\nb O\n")
    assert task.labels == ("B-X", "I-X", "O")
    with pytest.raises(TextError, match="two at least"):
        Tag(scheme="none").learn([Tagged("1", ("a",), "a", (0,), ("X",))])


def test_a_scheme_that_is_translated_is_said(tmp_path):
    _, examples, understanding = read(
        tmp_path, NAMES.replace("B-PER\nLee I-PER", "B-PER\nLee E-PER").replace("Anna B", "Anna S")
    )
    assert examples[1].tags[:2] == ("B-PER", "I-PER")
    assert any("BIOES" in notice for notice in understanding.notices)


def test_a_later_part_is_read_as_the_training_part_is(tmp_path):
    task, _, _ = read(tmp_path, NAMES)
    (tmp_path / "dev.conll").write_text("we O\nleft O\n", encoding="utf-8")
    (example,) = task.read([str(tmp_path / "dev.conll")], Understanding("dev", ["dev.conll"]))
    assert example.tags == ("O", "O") and task.scheme == "BIO"


@pytest.mark.parametrize("crf", [True, False])
@pytest.mark.parametrize("context", [2048, 12])
def test_no_answer_breaks_its_scheme_however_long_or_wrong_the_model(tmp_path, crf, context):
    draw = np.random.default_rng(0)
    words = ["".join(draw.choice(list("abcde"), draw.integers(1, 6))) for _ in range(400)]
    said = set()
    for text, settings, scheme in ((NAMES, {}, "BIO"), (LINES, {"segment": True}, "BIOES")):
        task, examples, _ = read(tmp_path, text, crf=crf, **settings)
        asked = task.asked([" ".join(words[at : at + 20]) for at in range(0, 400, 20)])
        found = predictor(task, examples, context).outputs(asked)
        assert any(len(own) > 1 for own in found) == (context == 12)
        for example, own in zip(asked, found, strict=True):
            answer = task.answer(example, own)
            assert 0 <= answer["probability"] <= 1
            if not task.segment:
                assert not scheme_faults(answer["tags"], scheme) and len(answer["tags"]) == len(example.words)
                said.update(answer["tags"])
            else:
                assert "".join(answer["words"]) == "".join(example.text.split())
    assert len(said) > 2


def test_offsets_are_those_of_the_input(tmp_path):
    task, examples, _ = read(tmp_path, NAMES)
    text = "  Anna\tsaw   New York, 砚台 & more"
    (answer,) = predictor(task, examples).answers(task.asked([text]))
    assert [text[begin:end] for begin, end in answer["offsets"]] == answer["tokens"]
    assert answer["tokens"][:5] == ["Anna", "saw", "New", "York", ","]
    assert all(text[span["start"] : span["end"]] == span["text"] for span in answer["spans"])
    said = task._said(task.asked([text])[0], ["B-PER", "O", "B-LOC", "I-LOC", *["O"] * (len(answer["tokens"]) - 4)])
    assert said["spans"] == [
        {"start": 2, "end": 6, "label": "PER", "text": "Anna", "tokens": [0, 1]},
        {"start": 13, "end": 21, "label": "LOC", "text": "New York", "tokens": [2, 4]},
    ]


def test_what_may_be_asked(tmp_path):
    task, examples, _ = read(tmp_path, NAMES)
    model = predictor(task, examples)
    inputs = ["Anna left", ["Anna", "left"], {"tokens": ["Anna", "left"]}, {"text": "Anna left"}, "", " "]
    answers = model.answers(task.asked(inputs))
    assert [answer["tokens"] for answer in answers] == [["Anna", "left"]] * 4 + [[]] * 2
    assert len({json.dumps(answer["tags"]) for answer in answers[:4]}) == 1
    assert "offsets" in answers[0] and "offsets" not in answers[1]
    for wrong in (3, ["a", ""], {"x": "y"}, [1]):
        with pytest.raises(TextError, match=r"input 1: .* is no text, no list of words"):
            task.asked([wrong])


def test_the_loss_is_that_of_the_crf_or_of_each_word(tmp_path):
    for crf in (True, False):
        task, examples, _ = read(tmp_path, NAMES, crf=crf)
        model = predictor(task, examples)
        model.model.eval()
        batch = collate([own[0] for own in task.encode(examples, model.frame)])
        scores = model.model(batch)
        number = {label: at for at, label in enumerate(task.labels)}
        expected = 0.0
        for row, example in enumerate(examples):
            own, tags = scores[row, : len(example.tags)], torch.tensor([number[tag] for tag in example.tags])
            if crf:
                expected += model.model.crf(own[None], torch.tensor([len(tags)]), tags[None]).item()
            else:
                expected -= own.log_softmax(-1)[range(len(tags)), tags].sum().item()
        expected /= sum(len(example.tags) for example in examples)
        loss = task.loss(model.model, batch, torch.Generator())
        assert loss.item() == pytest.approx(expected, rel=1e-4)
        loss.backward()
        assert all(w.grad is None or w.grad.isfinite().all() for w in model.model.parameters())


def test_a_span_that_a_window_cuts_can_still_be_learned(tmp_path):
    text = "\n".join(["start O", *["long I-X"] * 30]).replace("long I-X", "long B-X", 1)
    task, examples, _ = read(tmp_path, text)
    model = predictor(task, examples, context=24)
    inputs = task.encode(examples, model.frame)[0]
    assert len(inputs) > 3
    tags = [[task.labels[at] for at in each.target] for each in inputs]
    assert all(not scheme_faults(own) for own in tags)
    assert task.loss(model.model, collate(inputs), torch.Generator()).item() < 100  # no move that is forbidden
    task, examples, _ = read(tmp_path, "北" * 60 + " 京\n", segment=True)
    inputs = task.encode(examples, predictor(task, examples, context=24).frame)[0]
    assert all(not scheme_faults([task.labels[at] for at in each.target], "BIOES") for each in inputs)


def test_windows_are_decoded_as_one_sentence(tmp_path):
    task, _, _ = read(tmp_path, NAMES)
    crf = LinearChainCRF(len(task.labels), tag_moves(task.labels))
    scores = torch.randn(1, 9, len(task.labels), generator=torch.Generator().manual_seed(0)) * 3
    with torch.no_grad():
        for weight in crf.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(2))

    class Model:
        def __init__(self):
            self.crf = crf

        def __call__(self, batch):
            return batch.scores

    class Batch:
        def __init__(self, part):
            self.scores, self.unit_valid = part, torch.ones(part.shape[:2], dtype=torch.bool)

    with torch.no_grad():
        outputs = [task.outputs(Model(), Batch(part))[0] for part in scores.split(4, dim=1)]
    example = task.asked([[f"w{at}" for at in range(9)]])[0]
    answer = task.answer(example, outputs)
    best = crf.decode(scores, torch.tensor([9]))[0]
    assert answer["tags"] == [task.labels[at] for at in best]
    chance = (-crf(scores, torch.tensor([9]), torch.tensor([best]))).exp().item()
    assert answer["probability"] == pytest.approx(chance, rel=1e-3)


def answers_of(task, examples, tags):
    return [task._said(example, list(own)) for example, own in zip(examples, tags, strict=True)]


def test_span_figures_are_those_of_evaluation_spans(tmp_path):
    task, examples, _ = read(tmp_path, NAMES)
    given = [["B-PER", "O", "B-LOC", "O", "O"], ["B-PER", "I-PER", "O", "O"], ["B-LOC", "O", "O"]]
    measures = task.measures(examples, answers_of(task, examples, given))
    wanted = tag_scores([list(e.tags) for e in examples], given)
    assert measures["span F1"].value == pytest.approx(wanted.overall.f1)
    silent = task.measures(examples, answers_of(task, examples, [["O"] * len(own) for own in given]))
    assert silent["span F1"].statistics.shape == measures["span F1"].statistics.shape  # two runs can be compared
    assert measures["tag accuracy"].value == pytest.approx(wanted.tag_accuracy)
    assert measures["whole sentences"].value == pytest.approx(wanted.exact_sentences / 3)
    details = task.details(examples, answers_of(task, examples, given))
    assert details["labels"]["PER"]["f1"] == 1 and details["labels"]["LOC"]["correct"] == 0


def test_figures_of_parts_of_speech_and_of_words(tmp_path):
    task, examples, _ = read(tmp_path, PARTS)
    given = [["DET", "NOUN", "AUX", "NOUN"], ["DET", "NOUN", "AUX", "ADJ"]]
    answers = answers_of(task, examples, given)
    assert task.measures(examples, answers)["accuracy"].value == 7 / 8
    assert task.details(examples, answers)["confusion"]["counts"][0] == [1, 0, 0, 1]
    (wrong, right) = task.mistakes(examples, answers)
    assert (wrong["gold"], wrong["predicted"], wrong["right"], wrong["score"]) == (
        "black/ADJ",
        "black/NOUN",
        False,
        0.75,
    )
    assert right["right"] and right["score"] == 1
    task, examples, _ = read(tmp_path, "我 爱 北京\n", segment=True)
    answers = answers_of(task, examples, [["B", "E", "B", "E"]])  # 我爱 北京: one word of two right, of three found
    assert answers[0]["words"] == ["我爱", "北京"]
    assert task.measures(examples, answers)["word F1"].value == pytest.approx(2 * 1 / (2 + 3))
    assert task.mistakes(examples, answers)[0]["predicted"] == "我爱"


def test_a_tag_that_only_a_later_part_has_counts_as_wrong(tmp_path):
    task, examples, _ = read(tmp_path, PARTS)
    other = Tagged("f:9", ("oh",), "oh", (0,), ("INTJ",))
    assert task.encode([other], predictor(task, examples).frame)[0][0].target is None
    assert task.measures([other], answers_of(task, [other], [["NOUN"]]))["accuracy"].value == 0


def test_characters_are_marked_with_their_place_in_words_of_the_dictionary(tmp_path):
    task, examples, _ = read(tmp_path, LINES, segment=True)
    frame = predictor(task, examples).frame
    marks = task.encode(examples, frame)[1][0].marks
    assert marks.tolist() == [1, 2, 2, 3, 4, 1, 3] and task.encode(examples, frame)[2][0].marks[0] == 0
    task.dictionary = False
    assert task.encode(examples, frame)[1][0].marks is None


def test_words_are_marked_with_what_the_dictionary_says_they_are(tmp_path):
    task, examples, _ = read(tmp_path, "参观\tVERB\n北京\tPROPN\nPARIS\tPROPN\n")
    frame = predictor(task, examples).frame
    assert task.encode(examples, frame)[0][0].marks.tolist() == dictionary_tags(["参观", "北京", "PARIS"])
    task.dictionary = False
    assert task.encode(examples, frame)[0][0].marks is None
    task, examples, _ = read(tmp_path, PARTS)
    assert not task.encode(examples, predictor(task, examples).frame)[0][0].marks.any()


def test_the_yardstick_answers_every_part(tmp_path):
    for text, settings in ((NAMES, {}), (PARTS, {}), (LINES, {"segment": True})):
        task, examples, _ = read(tmp_path, text, **settings)
        name, answers = task.yardstick(examples, [examples, examples[:1]], seed=0)
        assert name == "CRF over feature templates" and list(map(len, answers)) == [len(examples), 1]
        assert task.measures(examples, answers[0])[task.score].value > 0.5


def test_settings_come_back_and_others_are_refused(tmp_path):
    task, _, _ = read(tmp_path, NAMES)
    assert Tag.of(json.loads(json.dumps(task.to_dict()))) == task
    with pytest.raises(RecipeError, match="no setting colour"):
        Tag.of({"colour": 1})


def test_files_of_words_are_asked_as_they_are_and_none_is_lost(tmp_path):
    task, _, _ = read(tmp_path, NAMES)
    (tmp_path / "new.conll").write_text("Anna O\nleft O\n\nBen O\n")
    assert task.inputs_of(tmp_path / "new.conll") == [{"tokens": ["Anna", "left"]}, {"tokens": ["Ben"]}]
    assert task.inputs_of(tmp_path / "new.txt") is None
    (tmp_path / "bad.conll").write_text("Anna O\nleft O X\n\nBen O\nBen O\n")
    with pytest.raises(TextError, match=r"3 columns where the others have 2 \(.*bad.conll:2\)"):
        task.inputs_of(tmp_path / "bad.conll")


def test_answers_are_written_as_conllu(tmp_path):
    task, examples, _ = read(tmp_path, NAMES)
    text = "Anna saw York."
    said = task._said(task.asked([text])[0], ["B-PER", "O", "B-LOC", "O"]) | {"input": text}
    (sentence,) = parse_conllu(conllu_of([said]).split("\n"), "out.conllu")
    assert sentence.forms == ["Anna", "saw", "York", "."] and sentence.column("misc")[2] == "NER=B-LOC|SpaceAfter=No"
    assert "text = Anna saw York." in sentence.comments
    task, examples, _ = read(tmp_path, PARTS)
    said = task._said(examples[0], ["DET", "NOUN", "AUX", "ADJ"])
    (sentence,) = parse_conllu(conllu_of([said], "xpos").split("\n"), "out.conllu")
    assert sentence.column("xpos") == ["DET", "NOUN", "AUX", "ADJ"] and sentence.column("upos") == ["_"] * 4


def test_a_head_for_whole_texts_cannot_stand_on_it():
    tokenizer = learn_tokenizer(["ink " * 50], "character", 300)
    with pytest.raises(RecipeError, match="each for a label of its own"):
        Headed(WordReader(WordReaderSettings(tokenizer.vocab_size), tokenizer), HeadSettings("class", ("a", "b")))


PAIRS = [("ink dries", "NOUN VERB"), ("the stone", "DET NOUN"), ("stone dries", "NOUN VERB"), ("the ink", "DET NOUN")]


def blended(tmp_path, **settings):
    rows = "\n\n".join(
        "\n".join(f"{word} {tag}" for word, tag in zip(words.split(), tags.split(), strict=True))
        for words, tags in PAIRS * 8
    )
    task, examples, _ = read(tmp_path, rows, blend=True, **settings)
    task.learn_beside(examples, tmp_path / "run")
    return task, examples


def test_a_crf_over_features_is_asked_beside_where_that_is_wanted(tmp_path):
    """The model knows nothing, so that what is told is what the other knows."""
    (tmp_path / "run").mkdir()
    task, examples = blended(tmp_path)
    asker = predictor(task, examples)
    with torch.no_grad():
        asker.model.scores.weight.zero_()
        asker.model.scores.bias.zero_()
    before = task.measures(examples, asker.answers(examples))["accuracy"].value
    task.open_beside(tmp_path / "run")
    outputs = asker.outputs(examples)
    task.settle(examples, outputs)
    assert before < 0.6 and 0 < task.features_share <= 1
    assert task.measures(examples, asker.answers(examples))["accuracy"].value == 1
    again = Tag.of(json.loads(json.dumps(task.to_dict())))
    again.open_beside(tmp_path / "run")
    found = Predictor(asker.model, again, 2048).answers(again.asked(["the ink dries", ""]))
    assert found[0]["tags"] == ["DET", "NOUN", "VERB"] and 0 < found[0]["probability"] < 1 and found[1]["tags"] == []


def test_a_crf_that_adds_nothing_gets_no_share(tmp_path):
    (tmp_path / "run").mkdir()
    task, examples = blended(tmp_path)
    task.open_beside(tmp_path / "run")
    sure = [
        Reading(
            20.0 * torch.nn.functional.one_hot(torch.tensor([task.labels.index(t) for t in e.tags]), 3), [], 0.0, None
        )
        for e in examples
    ]
    task.settle(examples, task.beside(examples, [[reading] for reading in sure]))
    assert task.features_share == 0


def test_the_yardstick_and_the_second_voice_are_learned_once(tmp_path, monkeypatch):
    calls = []
    train = tag_module.train_tagger
    monkeypatch.setattr(tag_module, "train_tagger", lambda pairs: calls.append(len(pairs)) or train(pairs))
    (tmp_path / "run").mkdir()
    task, examples, _ = read(tmp_path, PARTS, blend=True)
    name, (answers,) = task.yardstick(examples, [examples], 0)
    task.learn_beside(examples, tmp_path / "run")
    task.learn_beside(examples, tmp_path / "run")  # of a run that is gone on with
    assert name == "CRF over feature templates" and calls == [2]
    tagger = load_tagger(tmp_path / "run" / "features")
    assert tagger.tag([e.words for e in examples]) == [answer["tags"] for answer in answers]


def test_without_blend_nothing_is_kept_and_what_is_missing_is_said(tmp_path):
    task, examples, _ = read(tmp_path, PARTS)
    task.learn_beside(examples, tmp_path / "run")
    task.open_beside(tmp_path / "run")
    assert not (tmp_path / "run").exists() and task.beside(examples, [[], []]) == [[], []]
    with pytest.raises(RunError, match="features"):
        Tag(blend=True, labels=("a", "b")).open_beside(tmp_path / "run")


def test_too_many_tags_for_a_crf_beside_are_refused(tmp_path):
    many = "\n".join(f"w{n} T{n}" for n in range(90))
    with pytest.raises(RecipeError, match="90 tags"):
        read(tmp_path, many, blend=True, scheme="none")
