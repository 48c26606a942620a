"""`inkstone train` as a person types it: what comes out, and one clear line for each thing that cannot be."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import inkstone
from evaluation.golden_facts import FACTS
from inkstone.cli import main
from inkstone.run import Run
from inkstone.training import pretraining
from inkstone.vectors.embedding_start import whole_words
from inkstone.vectors.learning import open_vectors
from training.small_runs import MACHINE, SMALL, prose

SETTINGS = [word for setting in SMALL for word in ("--set", setting)]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pretraining, "measure_machine", lambda *_: MACHINE)


@pytest.fixture
def text(tmp_path) -> str:
    (tmp_path / "story.txt").write_text(prose(40_000), encoding="utf-8")
    return "story.txt"


def picture(folder: Path) -> dict[str, str]:
    """Every path below a folder with the digest of what it holds."""
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir() or not any(path.iterdir()))
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in paths
    }


def refused(capsys, *words: str) -> str:
    """The one line that a command is refused with; all that was there before is there after, and nothing else."""
    before = picture(Path())
    assert main(["train", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    (line,) = [line for line in err.splitlines() if line.startswith("inkstone: ")]
    assert err.rstrip().endswith(line) and "should not happen" not in line
    assert picture(Path()) == before
    return line


# What comes out


def test_says_the_outcome_and_what_to_type_next(capsys, text):
    assert main(["train", text, *SETTINGS]) == 0
    out, err = capsys.readouterr()
    assert "bits per byte on held-out text" in out and "xz -9e" in out and "20 steps" in out
    assert "report    runs/story/report.html" in out and "inkstone generate runs/story" in out
    for word in ("tokenizer  300 tokens", "plan  width × layers: 32 × 1", "scoring held-out text"):
        assert word in err
    assert Path("runs/story/report.html").stat().st_size > 1000


def test_json_is_one_object_and_nothing_else(capsys, text):
    assert main(["train", text, "--out", "run", "--json", *SETTINGS]) == 0
    outcome = json.loads(capsys.readouterr().out)
    facts = Run.open("run").facts()
    assert outcome["folder"] == "run" and outcome["steps"] == 20 == facts["training"]["steps"]
    assert outcome["bits_per_byte"] == facts["evaluation"]["bits_per_byte"]
    assert facts["cost"]["wall_seconds"]["total"] >= facts["cost"]["wall_seconds"]["train"] > 0


def test_what_the_report_is_tested_on_is_what_a_run_records(tiny_run):
    facts = Run.open(tiny_run).facts()
    for stage, known in FACTS.items():
        assert isinstance(known, list) or known.keys() <= facts[stage].keys(), stage
    page = (tiny_run / "report.html").read_text(encoding="utf-8")
    assert "tokens a word (fertility)" in page and "characters a token" in page


def test_the_recipe_in_the_folder_makes_the_same_model_again(text):
    assert main(["train", text, "--out", "one", *SETTINGS]) == 0
    assert main(["train", "--recipe", "one/recipe.toml", "--out", "two"]) == 0
    assert Path("one/model.safetensors").read_bytes() == Path("two/model.safetensors").read_bytes()
    assert Path("one/recipe.toml").read_bytes() == Path("two/recipe.toml").read_bytes()


def test_a_run_of_steps_does_not_depend_on_how_fast_the_machine_was_measured(text, monkeypatch):
    steps = ["--set", "train.steps=2", "--set", "train.threads=1", "--set", "model.width=32"]
    assert main(["train", text, "--out", "slow", *steps]) == 0
    fast = type(MACHINE)(**{**vars(MACHINE), "matmul_gflops": {"float32": 5000.0, "bfloat16": 10.0}})
    monkeypatch.setattr(pretraining, "measure_machine", lambda *_: fast)
    assert main(["train", text, "--out", "fast", *steps]) == 0
    assert Path("slow/model.safetensors").read_bytes() == Path("fast/model.safetensors").read_bytes()


def test_runs_are_numbered_where_the_name_is_taken(text):
    for _ in range(2):
        assert main(["train", text, *SETTINGS, "--set", "train.steps=1"]) == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == ["story", "story-2"]


def test_fresh_replaces_a_run(text):
    assert main(["train", text, "--out", "run", *SETTINGS]) == 0
    assert main(["train", text, "--out", "run", "--fresh", *SETTINGS, "--set", "train.steps=3"]) == 0
    assert Run.open("run").facts()["training"]["steps"] == 3
    assert sorted(path.name for path in Path().iterdir()) == ["run", "story.txt"]


def test_a_finished_run_has_nothing_left_to_do(capsys, tiny_run):
    shutil.copytree(tiny_run, "run")
    before = picture(Path())
    assert main(["train", "--resume", "run", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "complete already" in err and json.loads(out)["folder"] == "run"
    assert picture(Path()) == before


@pytest.mark.parametrize("layout", ["llama", "gpt2"])
def test_other_layouts_train_to_the_end(text, layout):
    assert main(["train", text, "--out", "run", *SETTINGS, "--set", f"model.layout={layout}"]) == 0


@pytest.mark.parametrize("kind", ["unigram", "word", "character"])
def test_other_tokenizers_train_to_the_end(text, kind):
    assert main(["train", text, "--out", "run", *SETTINGS, "--set", f"tokenizer.kind={kind}"]) == 0
    assert Run.open("run").facts()["tokenizer"]["kind"] == kind


def test_the_embedding_begins_at_word_vectors(capsys, text):
    command = ["vectors", text, "--out", "words", "--width", "8", "--epochs", "1", "--threads", "1"]
    assert main(command) == 0
    still = ["--set", "train.steps=1", "--set", "train.learning_rate=1e-9", "--set", "train.scalar_learning_rate=1e-9"]
    for path in ("words", "words/vectors.txt"):
        out = f"run-{len(path)}"
        command = ["train", text, "--out", out, *SETTINGS, *still, "--set", f"train.vectors={path}"]
        assert main(command) == 0
        said = capsys.readouterr().err
        assert f"tokens are words of {path} and begin there" in said
        assert f"start of the weights: random (but words of the embedding, which begin at {path})" in said
        model = inkstone.load(out)
        found = whole_words(model.tokenizer, open_vectors("words"))
        centred = torch.from_numpy(found.vectors - found.vectors.mean(0))
        rows = model.embedding.weight.detach()[torch.from_numpy(found.ids)][:, :8]
        assert len(rows) > 10
        assert torch.allclose(torch.cosine_similarity(rows, centred), torch.ones(len(rows)), atol=1e-3)


def test_word_vectors_that_cannot_be(capsys, text):
    Path("bad.txt").write_text("no vectors\n")
    Path("words.txt").write_text("2 3\nzzyx 1 2 3\nxyzz 3 2 1\n")
    Path("empty").mkdir()
    for path, more, said in (
        ("nowhere.txt", [], "nowhere.txt: cannot be read"),
        ("bad.txt", [], 'bad.txt:1: the first line must be "words width"'),
        ("empty", [], "empty: no folder of word vectors"),
        ("words.txt", ["--family", "ngram"], "the family 'ngram' is counted and has no embedding"),
        ("words.txt", ["--set", "train.start=bigrams"], "both say where the embedding begins"),
        ("words.txt", [], "no token of this tokenizer is a word that has a vector"),
    ):
        more = [*([] if "ngram" in more else SETTINGS), *more, "--out", "run", "--set", f"train.vectors={path}"]
        assert main(["train", text, *more]) == 2
        assert said in capsys.readouterr().err, path


@pytest.mark.slow
def test_minutes_end_a_run(text):
    shape = ["--set", "model.width=32", "--set", "model.n_layers=1"]
    assert main(["train", text, "--out", "run", "--minutes", "0.5", *shape]) == 0
    facts = Run.open("run").facts()
    assert facts["training"]["steps"] > 5
    assert facts["training"]["seconds"] <= facts["plan"]["seconds_for_training"] + 1 < 30


# What cannot be


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--minutes", "0"], "--minutes: input should be greater than 0"),
        (["--minutes", "-3"], "--minutes: input should be greater than 0"),
        (["--minutes", "nan"], "--minutes: input should be a finite number"),
        (["--minutes", "inf"], "--minutes: input should be a finite number"),
        (["--minutes", "1e300"], "--minutes: input should be less than"),
        (["--set", "model.widht=10"], "there is no such setting; did you mean 'width'?"),
        (["--set", "modell.width=10"], "there is no such section; did you mean 'model'?"),
        (["--set", "model.width"], "write it as section.key=value"),
        (["--set", "train.width=10"], "width is a setting of the section [model]"),
        (["--set", "train.steps=0"], "greater than or equal to 1"),
        (["--set", "train.steps=ten"], "valid integer"),
        (["--set", "train.clip=nan"], "finite number"),
        (["--set", "model.width=65", "--set", "model.n_heads=5"], "head_width = 13 is odd"),
        (["--set", "model.n_heads=4", "--set", "model.n_kv_heads=3"], "not a multiple of n_kv_heads"),
        (
            ["--set", "model.layout=gpt2", "--set", "model.width=64", "--set", "model.n_heads=5"],
            "gpt2 layout wants width",
        ),
        (["--set", "model.family=elephant"], "no family 'elephant'"),
        (["--family", "decodr"], "did you mean 'decoder'"),
        (["--set", "model.layout=llama", "--set", "model.family=decodr"], "did you mean 'decoder'"),
        (["--set", "train.device=tpu"], "the device 'tpu' cannot be used here"),
        (["--set", "train.device=meta"], "the device 'meta' cannot be used here"),
        (["--set", "model.width=1000000", "--set", "model.n_layers=100", "--set", "train.steps=1"], "of memory"),
        (["--set", "model.context=1000000000", "--set", "train.steps=1"], "of memory"),
        (["--set", "tokenizer.path=nowhere"], "holds no tokenizer.json"),
        (["--recipe", "nowhere.toml"], "nowhere.toml: cannot be read (No such file or directory)"),
        (["--recipe", "."], ".: cannot be read (Is a directory)"),
        (["--minutes", "0.001"], "nothing is left of"),
        *(
            (["--family", name, "--set", "train.compile=true"], f"the family '{name}' does not learn by the function")
            for name in ("recurrent", "text_vae", "encoder", "ngram", "hmm")
        ),
    ],
)
def test_settings_that_cannot_be(capsys, text, words, said):
    line = refused(capsys, text, *words)
    assert said in line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[train]\nsteps = 5\nminuts = 3\n", "recipe.toml:3: there is no such setting; did you mean 'minutes'?"),
        (b"[trian]\nsteps = 5\n", "recipe.toml:1: there is no such section; did you mean 'train'?"),
        (b"# mine\n\n[ train ] # x\nsteps = -5\n", "recipe.toml:4: input should be greater than or equal to 1"),
        (b"[text]\nsources = 'a.txt'\n", "recipe.toml:2: input should be a valid list"),
        (b"train = 5\n", "recipe.toml:1: a section holds settings, as in [train]"),
        (b"[train]\nsteps = = 5\n", "recipe.toml: not valid TOML"),
        (b"just words\n", "recipe.toml: not valid TOML"),
        (b"\xff\xfe\x00", "recipe.toml: not UTF-8"),
        (b"[model]\nlayout = 'gpt3'\n", "recipe.toml:2: input should be 'qwen3', 'llama', 'gpt2'"),
    ],
)
def test_recipes_that_cannot_be(capsys, text, content, said):
    Path("recipe.toml").write_bytes(content)
    assert said in refused(capsys, text, "--recipe", "recipe.toml")


def test_every_text_that_cannot_be_learned_from(capsys):
    Path("empty.txt").write_bytes(b"")
    Path("zeros.bin").write_bytes(bytes(100_000))
    Path("short.txt").write_text("One sentence. Another one. A third one, and that is all there is of it.\n")
    Path("blank.txt").write_text("\n \n" * 1000)
    Path("columns.csv").write_text("number,price\n" + "1,2\n" * 5000)
    Path("bad.jsonl").write_text('{"text": 5}\n' * 100)
    Path("folder").mkdir()
    Path("loop").mkdir()
    Path("loop/again").symlink_to(Path("loop").resolve())
    Path("dangling.txt").symlink_to("nowhere")
    for name, said in (
        ("empty.txt", "empty.txt"),
        ("zeros.bin", "zeros.bin"),
        ("short.txt", "at least 2,000 bytes"),
        ("blank.txt", ""),
        ("columns.csv", "columns.csv"),
        ("bad.jsonl", "at least 2,000 bytes"),
        ("folder", "folder"),
        ("loop", "loop"),
        ("dangling.txt", "no such file or folder"),
        ("nowhere.txt", "no such file or folder"),
        ("Once upon a time there was a stone. " * 20, "File name too long"),
        ("stroy/", "no such file or folder"),
        ("data:no-such-set", "no-such-set"),
    ):
        assert said in refused(capsys, name, *SETTINGS), name


def test_a_text_that_only_repeats_itself(capsys):
    Path("same.txt").write_text(("The same line comes again and again, as it was. " * 8 + "\n\n") * 400)
    refused(capsys, "same.txt", *SETTINGS)


def test_a_folder_that_may_not_be_read(capsys, text, monkeypatch):
    Path("closed").mkdir()

    def listdir(path="."):
        raise PermissionError(13, "Permission denied", str(path))

    # Only there: whoever runs the tests as root may read everything.
    monkeypatch.setattr("inkstone.text.sources.os", SimpleNamespace(**{**vars(os), "listdir": listdir}))
    assert "closed: the folder cannot be read: Permission denied" in refused(capsys, "closed", *SETTINGS)


def test_files_that_cannot_be_read_are_skipped_among_others(capsys):
    Path("mixed").mkdir()
    Path("mixed/story.txt").write_text(prose(40_000))
    Path("mixed/empty.txt").write_bytes(b"")
    Path("mixed/zeros.bin").write_bytes(bytes(10_000))
    Path("mixed/up").symlink_to(Path("mixed").resolve())
    assert main(["train", "mixed", "--out", "run", *SETTINGS]) == 0


def test_out_that_names_a_file(capsys, text):
    assert "story.txt is a file" in refused(capsys, text, "--out", "story.txt", *SETTINGS)
    assert "story.txt" in refused(capsys, text, "--out", "story.txt/run", *SETTINGS)


def test_out_that_holds_other_things_or_a_run(capsys, text, tiny_run):
    Path("mine").mkdir()
    Path("mine/diary.txt").write_text("dear diary")
    shutil.copytree(tiny_run, "run")
    assert "mine is not empty and not a run" in refused(capsys, text, "--out", "mine", *SETTINGS)
    assert "mine is not empty and not a run" in refused(capsys, text, "--out", "mine", "--fresh", *SETTINGS)
    line = refused(capsys, text, "--out", "run", *SETTINGS)
    assert "already holds a run" in line and "--resume run" in line


def test_fresh_with_a_bad_text_leaves_the_old_run_as_it_was(capsys, tiny_run):
    shutil.copytree(tiny_run, "run")
    Path("short.txt").write_text("Too short.")
    refused(capsys, "short.txt", "--out", "run", "--fresh", *SETTINGS)
    refused(capsys, "nowhere.txt", "--out", "run", "--fresh", *SETTINGS)
    refused(capsys, "short.txt", "--out", "run", "--fresh", "--minutes", "0")


def test_out_that_cannot_be_written(capsys, text, monkeypatch):
    mkdir = Path.mkdir

    def refusing(self, *arguments, **more):
        if self.name == "closed":
            raise PermissionError(13, "Permission denied", str(self))
        return mkdir(self, *arguments, **more)

    monkeypatch.setattr(Path, "mkdir", refusing)
    assert "closed: a run cannot be written here (Permission denied)" in refused(
        capsys, text, "--out", "closed", *SETTINGS
    )


def test_a_name_that_is_no_text(capsys):
    name = os.fsdecode(b"caf\xe9.txt")
    try:
        Path(name).write_text(prose(20_000))
    except OSError:
        pytest.skip("this disk takes only names that are text")
    assert "no UTF-8" in refused(capsys, name, *SETTINGS)


def test_resume_of_what_is_no_run(capsys, text):
    Path("folder").mkdir()
    for name in ("nowhere", "folder", text):
        assert f"{name} is not a run folder" in refused(capsys, "--resume", name)
    assert refused(capsys, "--resume", "fodler").endswith("(it has no recipe.toml); did you mean 'folder'?")


@pytest.mark.parametrize(
    "more", [["story.txt"], ["--out", "x"], ["--minutes", "0"], ["--set", "train.steps=1"], ["--fresh"]]
)
def test_resume_takes_nothing_else(capsys, text, tiny_run, more):
    shutil.copytree(tiny_run, "run")
    assert "give no TEXT and no other settings" in refused(capsys, *more, "--resume", "run")


def test_minutes_that_are_no_number(capsys, text):
    with pytest.raises(SystemExit) as caught:
        main(["train", text, "--minutes", "soon"])
    assert caught.value.code == 2 and "argument --minutes: invalid float value: 'soon'" in capsys.readouterr().err


def test_errors_as_json(capsys):
    assert main(["train", "nowhere.txt", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["kind"] == "TextError"


def test_debug_shows_where(text):
    from inkstone.errors import TextError

    with pytest.raises(TextError):
        main(["train", "nowhere.txt", "--debug"])


def test_the_command_itself(text):
    """As another process, the way a shell would call it."""
    result = subprocess.run(
        [sys.executable, "-m", "inkstone", "train", text, "--minutes", "0"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr == "inkstone: --minutes: input should be greater than 0, not 0.0\n"


def test_the_python_function_is_the_verb(text):
    outcome = inkstone.train([text], out="run", settings=[*SMALL, "train.steps=2"], quiet=True)
    assert outcome["steps"] == 2 and Path("run/config.json").exists()
