"""What is scored and was learned from: told by the checksum of the file, and example by example where the files are here."""

import hashlib
import json
import lzma
import shutil

import numpy as np
import pytest

from inkstone import eval, tune
from inkstone.cli import main
from inkstone.tasks import learned_from
from inkstone.text import datasets
from inkstone.text.datasets import DATASETS, DataFile, Dataset

SHAPE = ["train.steps=2", "task.rows=4", "model.width=16", "model.n_layers=1", "tokenizer.vocab_size=300"]
SHAPE += ["task.yardstick=false"]
NOT_LOOKED_AT = "whether single examples were learned from was not looked at"


def rows(number, seed):
    """Texts that have next to no words in common, and their labels."""
    draw = np.random.default_rng(seed)
    words = [f"w{at}" for at in range(5000)]
    return [f"{' '.join(draw.choice(words, 12))},{'good' if at % 2 else 'bad'}" for at in range(number)]


def write(path, lines):
    path.write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A folder with a run, its training file and one that has nothing in common with it."""
    folder = tmp_path_factory.mktemp("learned")
    data = write(folder / "train.csv", rows(40, seed=0))
    write(folder / "other.csv", rows(20, seed=1))
    tune("classify", [data], settings=SHAPE, out=folder / "run", quiet=True)
    return folder


@pytest.fixture
def mine(tuned, tmp_path):
    """A copy of it whose files may be changed."""
    shutil.copytree(tuned, tmp_path / "mine")
    recipe = tmp_path / "mine" / "run" / "recipe.toml"
    facts = tmp_path / "mine" / "run" / "facts.json"
    for file in (recipe, facts):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(str(tuned), str(tmp_path / "mine")), encoding="utf-8")
    return tmp_path / "mine"


def notices(folder, *files):
    return eval(folder / "run", [str(folder / file) for file in files])["understood"]["notices"]


def test_the_training_file_is_told_by_its_content_whatever_its_name(tuned, tmp_path, capsys):
    copy = shutil.copy(tuned / "train.csv", tmp_path / "new-name.csv")
    by_file = f"1 of the files scored was learned from ({copy}): the figures flatter"
    by_example = "36 examples stand in the training part, too (36 word for word, 0 nearly; "  # 4 are kept aside as dev
    found = notices(tuned, copy)
    assert by_file in found and any(notice.startswith(f"{by_example}{copy}:") for notice in found)
    assert main(["eval", str(tuned / "run"), str(copy)]) == 0
    assert by_file in (said := capsys.readouterr().out) and by_example in said
    assert main(["eval", str(tuned / "run"), str(copy), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["understood"]["notices"] == found


def test_single_examples_that_were_learned_from_are_counted_and_the_first_is_named(tuned, tmp_path):
    inside = (tuned / "train.csv").read_text(encoding="utf-8").splitlines()[1:]
    nearly = [line.replace(",", "!,") for line in inside]
    mixed = write(tmp_path / "mixed.csv", [*rows(5, seed=2), *nearly, *rows(5, seed=3)])
    told = "36 examples stand in the training part, too (36 word for word, 0 nearly; "
    (found,) = notices(tuned, mixed)
    assert found.startswith(f"{told}{mixed}:") and int(found.rpartition(", ...")[0].rpartition(":")[2]) >= 7


def test_nothing_is_said_of_examples_that_are_new(tuned):
    assert notices(tuned, "other.csv") == []


def test_rows_that_are_left_out_or_doubtful_are_printed_with_the_score(tuned, tmp_path, capsys):
    new = rows(8, seed=6)
    text = new[0].partition(",")[0]
    doubtful = write(tmp_path / "doubtful.csv", [*new, ",good", f"{text},good"])
    assert main(["eval", str(tuned / "run"), doubtful]) == 0
    said = capsys.readouterr().out
    assert f"  1 row left out: the text is empty ({doubtful}:10)\n" in said
    assert f"  1 row doubtful: the same text has other labels elsewhere; both are kept ({doubtful}:11)\n" in said


def test_where_the_training_file_is_another_now_only_whole_files_are_told(mine):
    shutil.copy(mine / "train.csv", mine / "copy.csv")
    with (mine / "train.csv").open("a", encoding="utf-8") as file:
        file.write("\n" + rows(1, seed=4)[0])
    assert notices(mine, "copy.csv") == [
        f"1 of the files scored was learned from ({mine / 'copy.csv'}): the figures flatter"
    ]
    assert notices(mine, "train.csv") == [
        f"{NOT_LOOKED_AT}: the training files are not those any more that it learned from"
    ]
    (mine / "train.csv").unlink()
    (told,) = notices(mine, "other.csv")
    assert told.startswith(f"{NOT_LOOKED_AT}: {mine / 'train.csv'}: no such file")


@pytest.mark.parametrize("bound", ["MOST_BYTES", "MOST_EXAMPLES"])
def test_much_text_is_not_looked_through(tuned, monkeypatch, bound):
    monkeypatch.setattr(learned_from, bound, 30)
    (told,) = notices(tuned, "other.csv")
    assert told.startswith(f"{NOT_LOOKED_AT}: that would take long")
    (told,) = notices(tuned, "train.csv")
    assert told.startswith("1 of the files scored was learned from")


def test_a_run_that_records_no_files_is_scored_all_the_same(mine):
    facts = json.loads((mine / "run" / "facts.json").read_text(encoding="utf-8"))
    del facts["data"]
    (mine / "run" / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    assert notices(mine, "train.csv") == []


def test_two_parts_of_one_file_of_a_named_set_are_told_apart_and_nothing_is_fetched(tmp_path, monkeypatch):
    parts = {part: [line.split(",") for line in rows(20, seed)] for seed, part in enumerate(("train", "test"))}
    content = json.dumps(parts).encode()
    packed = lzma.compress(content)
    (tmp_path / "mirror" / "both").mkdir(parents=True)
    (tmp_path / "mirror" / "both" / "both.json.xz").write_bytes(packed)
    sums = [hashlib.sha256(each).hexdigest() for each in (packed, content)]
    files = tuple(DataFile(f"both.json#{part}", *sums, None, part) for part in parts)
    monkeypatch.setitem(DATASETS, "both", Dataset("Both", ("en",), "CC0", "nobody", "https://x", files))
    monkeypatch.setenv(datasets.MIRROR, str(tmp_path / "mirror"))
    tune("classify", ["data:both"], settings=SHAPE, out=tmp_path / "run", quiet=True)
    assert eval(tmp_path / "run", ["data:both/both.json#test"])["understood"]["notices"] == []
    by_file, by_example = eval(tmp_path / "run", ["data:both/both.json#train"])["understood"]["notices"]
    assert "1 of the files scored was learned from (data:both/both.json#train)" in by_file
    assert by_example.startswith("18 examples stand in the training part")

    monkeypatch.delenv(datasets.MIRROR)
    monkeypatch.setenv(datasets.CACHE, str(tmp_path / "empty"))
    monkeypatch.setattr(datasets, "_fetch", lambda *given: pytest.fail("it was fetched"))
    other = write(tmp_path / "other.csv", rows(8, seed=5))
    assert eval(tmp_path / "run", [other])["understood"]["notices"] == [
        f"{NOT_LOOKED_AT}: the training files are not here"
    ]
