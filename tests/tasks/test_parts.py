"""The parts of a data set that is named: what is learned from, chosen by, and scored, and what is said of its licence."""

import hashlib
import lzma

import pytest

from inkstone import tune
from inkstone.errors import TextError
from inkstone.recipe import Recipe, with_settings
from inkstone.run import Run
from inkstone.tasks import task_class
from inkstone.tasks.parts import dev_beside, of_part, read_parts, training_part
from inkstone.tasks.understanding import Understanding
from inkstone.text import datasets
from inkstone.text.datasets import DATASETS, DataFile, Dataset

SHAPE = ["train.steps=2", "task.rows=4", "model.width=16", "model.n_layers=1", "tokenizer.vocab_size=300"]


@pytest.fixture
def small_set(tmp_path, monkeypatch):
    """A data set with three parts, in a mirror."""
    files = []
    (tmp_path / "mirror" / "small").mkdir(parents=True)
    for number, part in enumerate(("test", "train", "valid")):
        rows = [f"the {part} stone {at} of set {number} is {'fine' if at % 2 else 'dull'},{at % 2}" for at in range(20)]
        content = "\n".join(["text,label", *rows]).encode()
        packed = lzma.compress(content)
        (tmp_path / "mirror" / "small" / f"{part}.csv.xz").write_bytes(packed)
        packed_sum, own_sum = (hashlib.sha256(each).hexdigest() for each in (packed, content))
        files.append(DataFile(f"{part}.csv", packed_sum, own_sum, None, part))
    licence = "DOUBTFUL: nobody states one"
    monkeypatch.setitem(DATASETS, "small", Dataset("Small", ("en",), licence, "nobody", "https://x", tuple(files)))
    monkeypatch.setenv(datasets.MIRROR, str(tmp_path / "mirror"))
    return tmp_path


def test_a_named_set_is_tuned_on_its_own_parts_and_tested_only_if_asked(small_set):
    outcome = tune("classify", ["data:small"], settings=SHAPE, out=small_set / "run", quiet=True)
    assert outcome["examples"] == {"train": 20, "dev": 20}
    run = Run(small_set / "run")
    assert run.recipe().text.held_out_sources == ["data:small/valid.csv"]
    notice = "the licence of data:small is doubtful: nobody states one"
    assert notice in run.facts()["data"]["train"]["notices"]
    assert notice in (small_set / "run" / "README.md").read_text(encoding="utf-8")
    outcome = tune(
        "classify", ["data:small"], test=["data:small"], settings=SHAPE, out=small_set / "tested", quiet=True
    )
    assert outcome["examples"] == {"train": 20, "dev": 20, "test": 20}


def test_dev_is_kept_aside_where_that_is_asked_for(small_set):
    settings = [*SHAPE, "text.held_out=0.2"]
    outcome = tune("classify", ["data:small"], settings=settings, out=small_set / "run", quiet=True)
    assert outcome["examples"] == {"train": 16, "dev": 4}


def test_sources_of_a_part(small_set):
    assert of_part(["data:small", "own.csv", "data:small/train.csv"], "valid") == [
        "data:small/valid.csv",
        "own.csv",
        "data:small/train.csv",
    ]
    assert dev_beside(["own.csv", "data:small", "data:small/test.csv", "data:tinyshakespeare"]) == [
        "data:small/valid.csv"
    ]
    with pytest.raises(TextError, match="data:tinyshakespeare has no dev part"):
        of_part(["data:tinyshakespeare"], "valid")


@pytest.mark.parametrize(
    "settings", [[], ["text.held_out=0.3"], ["task.fold=2/4"], ["task.share=0.5"], ["task.fold=1/3", "task.share=0.4"]]
)
@pytest.mark.parametrize("dev", [True, False])
def test_the_training_part_is_put_together_again_as_it_was(small_set, settings, dev):
    recipe = with_settings(Recipe(), ["task.name=classify", *settings])
    recipe.text.sources = ["data:small"]
    recipe.text.held_out_sources = ["data:small/valid.csv"] if dev else []
    examples = task_class("classify").of({}).read(["data:small"], Understanding("data", ["data:small"]))
    again = training_part(examples, recipe)
    assert again == read_parts(task_class("classify").of({}), recipe).train
    assert len(again) < 20 or (dev and settings in ([], ["text.held_out=0.3"]))


# What the mirror's README says of the parts to learn from and to choose by.
SIZES = {
    "ud-en-ewt": ("tag", {}, 12_544, 2_001),
    "ud-zh-v1.4": ("tag", {}, 3_997, 500),
    "ner-wnut17": ("tag", {}, 3_394, 1_009),
    "ner-weibo": ("tag", {}, 1_350, 270),
    "ner-uner-zh-gsdsimp": ("tag", {"tag_column": 3}, 3_997, 500),
    "sentiment-sst2": ("classify", {}, 6_920, 872),
    "sentiment-chnsenticorp": ("classify", {}, 9_600, 1_200),
    "intent-clinc150": ("classify", {}, 15_000, 3_000),
    "csl": ("classify", {}, 8_000, 1_000),
    "toxic-en-davidson": ("classify", {}, 8_261, 0),
    "toxic-zh-cold": ("classify", {}, 8_576, 0),
    "qa-squad-v1.1-dev": ("answer", {}, 9_380, 0),
    "qa-drcd": ("answer", {}, 3_524, 0),
}


@pytest.mark.data
@pytest.mark.parametrize("name", SIZES)
def test_every_labelled_set_is_read_whole_by_its_task(data_mirror, monkeypatch, name):
    task, settings, *sizes = SIZES[name]
    monkeypatch.setenv(datasets.MIRROR, str(data_mirror))
    found = []
    for sources in ([f"data:{name}"], dev_beside([f"data:{name}"])):
        understanding = Understanding("train", sources)
        found.append(len(task_class(task).of(settings).read(sources, understanding)) if sources else 0)
        assert not understanding.refused and not understanding.reading.malformed
    assert found == sizes
