"""Tuning: from examples to a run that answers, the same bit for bit after an interruption, and nothing lost to bad input."""

import errno
import hashlib
import io
import json
import time
from typing import ClassVar

import numpy as np
import pytest
import torch

from evaluation.tiny_runs import texts
from inkstone import eval, load, predict, tune
from inkstone.cli import main
from inkstone.cli.tune_verb import as_text
from inkstone.errors import Interrupted, RecipeError, RunError
from inkstone.recipe import Recipe, with_settings
from inkstone.run import Run
from inkstone.tasks.classify import Classify
from inkstone.tasks.transcribe import Transcribe
from inkstone.training import machine, tuned_keeping, tuning, tuning_plan, tuning_run
from inkstone.training.loop import Loop
from inkstone.training.tuned_scores import seconds_of_scoring

GOOD, BAD = ("fine", "lovely", "great", "好看"), ("dull", "awful", "weak", "难看")
STEPS = ["train.steps=30", "task.rows=8", "model.width=32", "model.n_layers=1", "tokenizer.vocab_size=300"]


def write_examples(path, number=80, seed=0):
    """Texts whose label one word decides."""
    draw = np.random.default_rng(seed)
    lines = ["text,label"]
    for at in range(number):
        words = GOOD if at % 2 else BAD
        lines.append(f"this film number {at} is {words[draw.integers(4)]} in every way,{'good' if at % 2 else 'bad'}")
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    outcome = tune(
        "classify",
        [write_examples(folder / "train.csv")],
        test=[write_examples(folder / "test.csv", 40, seed=1)],
        settings=[*STEPS, "train.steps=90", "train.learning_rate=0.004"],
        out=folder / "run",
        quiet=True,
    )
    return folder, outcome


def test_a_word_that_decides_is_learned_and_the_run_answers(tuned):
    folder, outcome = tuned
    assert outcome["figures"]["test"]["accuracy"]["value"] > 0.9
    assert outcome["examples"] == {"train": 72, "dev": 8, "test": 40}
    answers = predict(folder / "run", [f"this film number 6 is {word} in every way" for word in ("great", "awful")])
    assert [answer["label"] for answer in answers] == ["good", "bad"]
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    figures = eval(folder / "run", [folder / "test.csv"])["figures"]
    assert figures == outcome["figures"]["test"]
    facts = Run(folder / "run").facts()
    assert facts["data"]["train"]["columns"] == {"text": "text", "label": "label"}
    assert any("kept aside" in notice for notice in facts["data"]["train"]["notices"])


def test_the_card_of_a_tuned_run_names_its_files_with_their_checksums(tuned):
    folder, outcome = tuned
    card = (folder / "run" / "README.md").read_text(encoding="utf-8")
    for name in ("train.csv", "test.csv"):
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert f"| `{folder / name}` | `{digest}` |" in card
    value = outcome["figures"]["test"]["accuracy"]["value"]
    assert f"| `test` | `accuracy` | **{100 * value:.1f} %" in card
    assert "`TF–IDF + logistic regression` |" in card and "2: `bad`, `good`" in card


def test_the_command_scores_a_tuned_run_on_examples_and_on_its_own_parts(tuned, capsys):
    folder, outcome = tuned
    assert main(["eval", str(folder / "run"), str(folder / "test.csv")]) == 0
    assert "40 examples" in (said := capsys.readouterr().out) and "macro-F1" in said
    assert f"{100 * outcome['figures']['test']['accuracy']['value']:.1f} %" in said
    assert main(["eval", str(folder / "run")]) == 0
    assert "on dev" in (said := capsys.readouterr().out) and "on test" in said


def test_a_command_without_its_task_says_so_and_names_the_tasks(tuned, capsys):
    data = str(tuned[0] / "train.csv")
    assert main(["tune", data]) == 2 and main(["tune", "data:sst2", data]) == 2 and main(["tune"]) == 2
    first, second, third = capsys.readouterr().err.strip().split("\n")
    assert f"the task is missing: inkstone tune TASK {data}, where TASK is one of classify, answer" in first
    assert f"inkstone tune TASK data:sst2 {data}," in second and "TASK is one of classify, answer" in third


def test_no_input_gives_no_output_but_a_word_about_it(tuned, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n \n"))
    assert main(["predict", str(tuned[0] / "run")]) == 0
    said = capsys.readouterr()
    assert said.out == "" and "no input" in said.err


def test_a_file_without_lines_and_one_that_is_not_there_are_spoken_of(tuned, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("\n \n")
    assert main(["predict", str(tuned[0] / "run"), "--file", "empty.txt"]) == 0
    said = capsys.readouterr()
    assert said.out == "" and "no input: there is no line with text in empty.txt" in said.err
    assert main(["predict", str(tuned[0] / "run"), "linse.txt", "I saw lines.txt"]) == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 2
    assert said.err == "inkstone: there is no file linse.txt: these letters are asked about as a text\n"


def test_files_are_answered_line_by_line_and_record_by_record(tuned, tmp_path):
    folder, _ = tuned
    (tmp_path / "lines.txt").write_text(
        "this film number 5 is lovely in every way\n\nthis film number 8 is dull in every way\n", encoding="utf-8"
    )
    (tmp_path / "records.jsonl").write_text(
        json.dumps({"text": "this film number 4 is weak in every way", "id": 1}), encoding="utf-8"
    )
    answers = predict(folder / "run", files=[tmp_path / "lines.txt", tmp_path / "records.jsonl"])
    assert [answer["label"] for answer in answers] == ["good", "bad", "bad"]


def test_texts_longer_than_the_context_are_told_with_their_places(tmp_path, capsys):
    data, dev = write_examples(tmp_path / "train.csv"), write_examples(tmp_path / "dev.csv", 20, seed=1)
    with (tmp_path / "train.csv").open("a", encoding="utf-8") as file:
        file.write(f"\n{'a film that goes on ' * 40},bad")
    settings = [*STEPS, "train.steps=2", "model.context=64", "task.yardstick=false"]
    tune("classify", [data], dev=[dev], settings=settings, out=tmp_path / "run")
    told = f"1 example is longer than the context of 64 tokens and cut ({data}:82)"
    said = capsys.readouterr().err
    assert f"train  {told}" in said and "model beside" not in said
    facts = Run(tmp_path / "run").facts()["data"]
    assert told in facts["train"]["notices"] and not any("cut" in notice for notice in facts["dev"]["notices"])
    long, short = predict(tmp_path / "run", ["on and on " * 90, "on"])
    assert long["cut"] is True and "cut" not in short
    assert main(["predict", str(tmp_path / "run"), "on and on " * 90, "on"]) == 0
    assert "of 1 of the inputs the end was left out" in capsys.readouterr().err
    figures = eval(tmp_path / "run", [data])
    assert told in figures["understood"]["notices"]


def test_a_blended_run_keeps_what_was_asked_beside_and_asks_it_again(tmp_path):
    data, test = write_examples(tmp_path / "train.csv"), write_examples(tmp_path / "test.csv", 40, seed=1)
    settings = [*STEPS, "train.steps=4", "task.blend=true"]
    outcome = tune("classify", [data], test=[test], settings=settings, out=tmp_path / "run", quiet=True)
    assert outcome["figures"]["test"]["accuracy"]["value"] > 0.9  # four steps teach the model nothing
    details = Run(tmp_path / "run").facts()["evaluation"]["details"]["test"]
    assert details["counts_share"] > 0
    assert eval(tmp_path / "run", [test])["figures"] == outcome["figures"]["test"]
    answers = predict(tmp_path / "run", [f"this film number 6 is {word} in every way" for word in ("great", "awful")])
    assert [answer["label"] for answer in answers] == ["good", "bad"]
    card = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert "the classifier by counts in `counts`, asked together" in card and "导出的文件夹里只有模型" in card


def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, monkeypatch):
    data = write_examples(tmp_path / "train.csv")
    tune("classify", [data], settings=STEPS, out=tmp_path / "whole", quiet=True)
    step = Loop.step

    def stopping(loop, factor):
        loop.interruption.requested = loop.position.step == 12
        return step(loop, factor)

    with monkeypatch.context() as patch, pytest.raises(Interrupted, match="inkstone tune --resume"):
        patch.setattr(Loop, "step", stopping)
        tune("classify", [data], settings=STEPS, out=tmp_path / "broken", quiet=True)
    tune(resume=tmp_path / "broken", quiet=True)
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "broken"))
    assert one == other


def stopped_at_once(monkeypatch, data, folder):
    """A run that is asked to end in its first step."""
    step = Loop.step

    def stopping(loop, factor):
        loop.interruption.requested = True
        return step(loop, factor)

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Loop, "step", stopping)
        tune("classify", [data], settings=STEPS, out=folder, quiet=True)


def test_the_yardstick_is_trained_first_and_its_time_counts(tmp_path, monkeypatch):
    data, later = write_examples(tmp_path / "train.csv"), 0.0
    now, yardstick = time.perf_counter, Classify.yardstick

    def slow(task, train, parts, seed):
        nonlocal later
        later += 1000
        return yardstick(task, train, parts, seed)

    monkeypatch.setattr(Classify, "yardstick", slow)
    monkeypatch.setattr(tuning.time, "perf_counter", lambda: now() + later)
    small = [setting for setting in STEPS if "steps" not in setting]
    with pytest.raises(RunError, match=r"before training took 1[67]m.*left of 5m.*task\.yardstick=false"):
        tune("classify", [data], minutes=5, settings=small, out=tmp_path / "short", quiet=True)
    stopped_at_once(monkeypatch, data, tmp_path / "run")
    before = Run(tmp_path / "run").facts()["yardstick"]
    outcome = tune(resume=tmp_path / "run", quiet=True)
    assert later == 2000  # the resumed run has what the first call found
    assert outcome["yardstick"] == before and before["seconds"] > 1000 and outcome["seconds"] > 1000


def test_a_run_that_was_stopped_before_training_counts_its_finished_stages(tmp_path, monkeypatch):
    data = write_examples(tmp_path / "train.csv")
    small = [setting for setting in STEPS if "steps" not in setting]

    def stop(*given):
        raise Interrupted("stopped")

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(tuning_run, "tuned_model", stop)
        tune("classify", [data], minutes=5, settings=small, out=tmp_path / "run", quiet=True)
    run = Run(tmp_path / "run")
    yardstick = run.facts()["yardstick"]
    assert yardstick["seconds"] > 0
    run.record(yardstick={**yardstick, "seconds": 1000.0})
    with pytest.raises(RunError, match=r"before training took 1[67]m.*left of 5m.*start a new run with more minutes"):
        tune(resume=tmp_path / "run", quiet=True)


def test_a_resumed_run_refuses_other_examples(tmp_path, monkeypatch):
    data = write_examples(tmp_path / "train.csv")
    stopped_at_once(monkeypatch, data, tmp_path / "run")
    write_examples(tmp_path / "train.csv", seed=5)
    with pytest.raises(RunError, match="not those any more"):
        tune(resume=tmp_path / "run", quiet=True)


@pytest.mark.parametrize("family", ["decoder", "recurrent", "convolutional"])
def test_a_language_model_is_tuned_from_where_it_stands(tmp_path, family):
    from inkstone import train

    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(texts(60, seed=3)), encoding="utf-8")
    shape = ["train.steps=2", "text.clean=false", "model.width=32", "model.context=32", "tokenizer.vocab_size=300"]
    train([str(text)], family=family, settings=shape, out=tmp_path / "base", quiet=True)
    data = write_examples(tmp_path / "train.csv", 40)
    settings = ["train.steps=4", "task.rows=8"]
    outcome = tune("classify", [data], model=tmp_path / "base", settings=settings, out=tmp_path / "run", quiet=True)
    assert outcome["steps"] == 4
    tokenizers = [(tmp_path / name / "tokenizer.json").read_text() for name in ("base", "run")]
    assert tokenizers[0] == tokenizers[1]
    choices = {choice["name"]: choice for choice in Run(tmp_path / "run").facts()["plan"]["choices"]}
    own = load(tmp_path / "base").settings.dropout
    assert choices["dropout"]["value"] == load(tmp_path / "run").settings.dropout == (own or 0.1)
    assert len(predict(tmp_path / "run", ["fine"])[0]["probabilities"]) == 2


def test_the_best_weights_by_dev_are_kept(tuned):
    facts = Run(tuned[0] / "run").facts()
    assert 0 < facts["training"]["best_step"] <= facts["training"]["steps"]
    scores = [entry["accuracy"] for entry in Run(tuned[0] / "run").metrics("held-out")]
    assert facts["evaluation"]["figures"]["dev"]["accuracy"]["value"] == max(scores)


@pytest.mark.parametrize(
    "words, complaint",
    [
        ({"task": "clasify"}, "did you mean 'classify'"),
        ({"settings": ["task.scheme=bio"]}, "there is no such setting|has no such setting"),
        ({"data": []}, "tune needs examples"),
        ({"family": "ngram"}, "is counted and cannot be tuned"),
        ({"settings": [*STEPS, "model.order=3"]}, "has no such setting"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing_behind(tmp_path, words, complaint):
    call = {"task": "classify", "data": [write_examples(tmp_path / "train.csv", 20)], "settings": STEPS, **words}
    with pytest.raises(RecipeError, match=complaint):
        tune(**call, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_labels_that_only_a_later_part_has_and_leaked_texts_are_said(tmp_path):
    data = write_examples(tmp_path / "train.csv", 40)
    lines = (tmp_path / "train.csv").read_text(encoding="utf-8").splitlines()[:3]
    (tmp_path / "test.csv").write_text("\n".join([*lines, "a text of its own,odd"]), encoding="utf-8")
    tune(
        "classify",
        [data],
        dev=[data],
        test=[str(tmp_path / "test.csv")],
        settings=STEPS,
        out=tmp_path / "run",
        quiet=True,
    )
    notices = Run(tmp_path / "run").facts()["data"]["test"]["notices"]
    assert any("labels that the training part does not have" in notice and "odd" in notice for notice in notices)
    assert any("2 examples stand in the training part" in notice for notice in notices)


def test_a_frozen_body_stays_and_low_rank_changes_are_merged(tmp_path):
    data = write_examples(tmp_path / "train.csv", 40)
    shape = [*STEPS, "train.steps=6", "train.learning_rate=0.01"]
    tune("classify", [data], settings=shape, out=tmp_path / "base", quiet=True)
    before = load(tmp_path / "base").body.state_dict()
    for setting, changes in (("task.freeze=true", False), ("task.lora_rank=2", True)):
        out = tmp_path / setting.partition("=")[0]
        tune("classify", [data], model=tmp_path / "base", settings=["train.steps=6", setting], out=out, quiet=True)
        after = load(out).body.state_dict()
        assert after.keys() == before.keys()
        assert torch.equal(after["embedding.weight"], before["embedding.weight"])
        assert torch.equal(after["blocks.0.qkv.weight"], before["blocks.0.qkv.weight"]) != changes


def test_settings_that_exclude_each_other_are_refused(tmp_path):
    data = write_examples(tmp_path / "train.csv", 20)
    with pytest.raises(RecipeError, match="exclude each other"):
        tune(
            "classify",
            [data],
            settings=[*STEPS, "task.freeze=true", "task.lora_rank=2"],
            out=tmp_path / "r",
            quiet=True,
        )


def test_a_full_disk_is_said_with_the_way_to_go_on(tmp_path, monkeypatch):
    data = write_examples(tmp_path / "train.csv", 20)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        monkeypatch.context() as patch,
        pytest.raises(RunError, match=r"No space left.*make room.*inkstone tune --resume"),
    ):
        patch.setattr(tuned_keeping, "save_headed", full)
        tune("classify", [data], settings=[*STEPS, "train.steps=2"], out=tmp_path / "run", quiet=True)
    assert tune(resume=tmp_path / "run", quiet=True)["steps"] == 2


def test_a_run_is_gone_on_with_by_the_verb_that_began_it(tuned, tmp_path, capsys):
    folder = tuned[0] / "run"
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert main(["train", "--resume", str(folder)]) == 2
    assert f"inkstone tune --resume {folder}" in capsys.readouterr().err
    (tmp_path / "x.csv").write_text("text,label\nink,a\n", encoding="utf-8")
    assert main(["tune", "classify", str(tmp_path / "x.csv"), "--out", str(folder)]) == 2
    assert f"inkstone tune --resume {folder}" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "1").touch()
    for name in ("recipe.toml", "config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert main(["predict", str(tmp_path), "a text"]) == 2
    assert f"inkstone tune --resume {tmp_path}" in capsys.readouterr().err
    (tmp_path / "recipe.toml").write_text("[train]\nminutes = 1.0\n", encoding="utf-8")
    assert main(["tune", "--resume", str(tmp_path)]) == 2
    assert f"inkstone train --resume {tmp_path}" in capsys.readouterr().err


def timed_by(patch, product, step):
    """Products and steps take so many seconds with so many threads, and two threads are there."""
    patch.setattr(tuning_plan, "products_by_threads", lambda most, width: product)
    patch.setattr(tuning_plan, "steps_by_threads", lambda *_: step)
    patch.setattr(machine, "usable_threads", lambda: 2)


SHORT = ["task.epochs=1", *STEPS[1:], "task.yardstick=false"]


@pytest.mark.parametrize(
    ("product", "step", "chosen"),
    [
        ({2: 1.0, 1: 0.01}, {}, 1),  # even a product waits for the other program
        ({2: 1.0}, {2: 1.0, 1: 0.2}, 1),
        ({2: 1.0}, {2: 1.0, 1: 1.9}, 2),
    ],
)
def test_fewer_threads_are_taken_where_the_machine_has_other_work(product, step, chosen, tmp_path, monkeypatch):
    timed_by(monkeypatch, product, step)
    data = write_examples(tmp_path / "train.csv")
    tune("classify", [data], settings=SHORT, out=tmp_path / "run", minutes=1, quiet=True)
    run = Run(tmp_path / "run")
    assert run.recipe().train.threads == chosen == torch.get_num_threads()
    told = [choice["why"] for choice in run.facts()["plan"]["choices"] if choice["name"] == "threads"]
    assert len(told) == (chosen == 1) and all("measured here" in why for why in told)


@pytest.mark.parametrize("given", [["train.steps=2"], ["train.threads=2"]])
def test_threads_are_not_measured_where_they_or_the_steps_are_given(given, tmp_path, monkeypatch):
    timed_by(monkeypatch, {2: 1.0, 1: 0.01}, {2: 1.0, 1: 0.01})
    data = write_examples(tmp_path / "train.csv")
    tune("classify", [data], settings=[*SHORT, *given], out=tmp_path / "run", quiet=True)
    assert Run(tmp_path / "run").recipe().train.threads == 2


def test_a_kind_of_body_that_there_is_not_is_told_those_that_there_are(tmp_path, capsys):
    command = ["tune", "classify", "x.csv", "--out", str(tmp_path / "run"), "--family"]
    assert main([*command, "nope"]) == 2
    assert "word_reader" in capsys.readouterr().err
    assert main([*command, "text_cn"]) == 2
    assert "did you mean 'text_cnn'?" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("model", "yardstick", "said"),
    [
        (0.5, 0.6, "it is not better"),
        (0.6, 0.6, "it is not better"),
        (1.0, 1.0, "right everywhere, too"),
        (0.7, 0.6, None),
    ],
)
def test_the_outcome_says_where_the_yardstick_does_as_well(model, yardstick, said):
    figures = [{"dev": {"accuracy": {"value": value, "low": None, "high": None}}} for value in (model, yardstick)]
    outcome = {
        "folder": "run", "task": "classify", "score": "accuracy", "figures": figures[0], "yardstick": {"name": "counts", "figures": figures[1]},
        "examples": {"dev": 9}, "parameters": 9, "steps": 1, "epochs": 1.0, "seconds": 1.0,
    }  # fmt: skip
    text = as_text(outcome)
    assert said in text if said else "counts, which" not in text


@pytest.mark.parametrize("task", ["classify", "tag"])
def test_a_run_in_bfloat16_is_kept_in_float32_and_goes_on_after_an_interruption(task, tmp_path, monkeypatch):
    if task == "classify":
        data = write_examples(tmp_path / "train.csv")
    else:
        draw = np.random.default_rng(0)
        sentences = [draw.choice(["ink NN", "is VB", "black JJ", "we PR", "grind VB"], 9) for _ in range(40)]
        rows = "\n\n".join("\n".join(words) for words in sentences)
        (tmp_path / "train.conll").write_text(rows, encoding="utf-8")
        data = str(tmp_path / "train.conll")
    settings = [*STEPS[:4], "train.steps=12", "train.dtype=bfloat16", "train.checkpoint_steps=5"]
    step = Loop.step

    def interrupted(loop, *arguments):
        assert next(loop.model.parameters()).dtype == torch.bfloat16
        loop.interruption.requested = loop.position.step == 6
        return step(loop, *arguments)

    monkeypatch.setattr(Loop, "step", interrupted)
    with pytest.raises(Interrupted):
        tune(task, [data], settings=settings, out=tmp_path / "run", quiet=True)
    monkeypatch.setattr(Loop, "step", step)
    outcome = tune(resume=tmp_path / "run", quiet=True)
    assert outcome["steps"] == 12
    assert all(weight.dtype == torch.float32 for weight in load(tmp_path / "run", dtype="stored").parameters())


@pytest.mark.parametrize(("scoring", "left"), [(0.0, 54), (12.0, 48), (100.0, 42)])
def test_where_scoring_takes_long_more_of_the_minutes_is_kept_for_it(scoring, left):
    recipe = with_settings(Recipe(), ["train.minutes=1"])
    stages = tuning_run.TuningRun(None, recipe, time.perf_counter(), None, None, None, False, Classify())  # type: ignore[arg-type]
    stages.at_the_end = scoring
    assert stages.left() == pytest.approx(left, abs=1)


def test_the_seconds_of_scoring_are_those_of_all_examples_with_dev_read_twice_where_something_is_settled(tmp_path):
    class Asked:
        task = Classify()

        def answers(self, examples):
            time.sleep(0.004 * len(examples))

    class Read:
        dev = range(60)

        def scored(self):
            return {"dev": self.dev, "test": range(40)}

    assert seconds_of_scoring(Asked(), Read(), tmp_path) == pytest.approx(0.004 * 160, rel=0.5)  # type: ignore[arg-type]


def test_the_seconds_of_scoring_are_of_the_model_and_of_what_is_asked_beside_it(tmp_path):
    class Asked:
        task: Transcribe
        seen: ClassVar[list] = []

        def answers(self, examples):
            self.seen.append(self.task.fusion)
            time.sleep(0.004 * len(examples))

    class Read:
        dev = range(60)

        def scored(self):
            return {"dev": self.dev}

    asked, opened = Asked(), []

    class Listening(Transcribe):
        def open_beside(self, folder):
            opened.append(folder)
            self.fusion = "a language model"

    asked.task = Listening(language_model="lm")
    seconds = seconds_of_scoring(asked, Read(), tmp_path)  # type: ignore[arg-type]
    assert opened == [tmp_path] and set(asked.seen) == {"a language model"} and asked.task.fusion is None
    # Choosing its weights on dev takes two passes with twice as many texts under way.
    assert seconds == pytest.approx(0.004 * 60 * 5, rel=0.5)
