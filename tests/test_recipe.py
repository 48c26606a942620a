"""The recipe: read, written, overridden, and refused with the place, the reason and the nearest valid name."""

import pytest
import tomli_w
from hypothesis import given, strategies as st

from inkstone.errors import RecipeError
from inkstone.recipe import Recipe, load_recipe, with_settings


def write(folder, content):
    path = folder / "recipe.toml"
    path.write_text(content, encoding="utf-8")
    return path


def test_an_empty_recipe_leaves_everything_open(tmp_path):
    assert load_recipe(write(tmp_path, "")) == Recipe()


def test_comes_back_as_it_was_written(tmp_path):
    recipe = with_settings(Recipe(), ["train.steps=7", "text.sources=['墨.txt', 'a \"b\".txt']", "model.tied=false"])
    recipe.save(tmp_path / "recipe.toml")
    assert load_recipe(tmp_path / "recipe.toml") == recipe


names = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=3)


@given(
    sources=names, steps=st.none() | st.integers(1, 2**40), clip=st.floats(1e-9, 1e9), seed=st.integers(0, 2**63 - 1)
)
def test_any_valid_recipe_comes_back(tmp_path_factory, sources, steps, clip, seed):
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    recipe = Recipe()
    recipe.text.sources, recipe.train.steps, recipe.train.clip, recipe.train.seed = sources, steps, clip, seed
    recipe.save(path)
    assert load_recipe(path) == recipe


@given(st.text(max_size=200))
def test_whatever_stands_in_the_file_only_recipe_errors_come(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    try:
        load_recipe(path)
    except RecipeError as error:
        assert str(error).startswith(str(path))


tables = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["train", "steps", "text", "x"]), inner)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["text", "train", "model", "steps", "other"]), tables, max_size=3))
def test_whatever_valid_toml_stands_in_the_file_only_recipe_errors_come(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    try:
        path.write_text(tomli_w.dumps(values), encoding="utf-8")
    except (TypeError, ValueError):
        return  # TOML has no null
    try:
        load_recipe(path)
    except RecipeError as error:
        assert str(error).startswith(str(path)) and str(error).count("\n") == 0


@given(st.text(max_size=40))
def test_whatever_is_set_only_recipe_errors_come(setting):
    try:
        with_settings(Recipe(), [setting])
    except RecipeError as error:
        assert "--set" in str(error)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (["train.steps=10"], 10),
        ([" train.steps = 10 "], 10),
        (["train.steps=10", "train.steps=11"], 11),
        (["train.steps=1_000"], 1000),
    ],
)
def test_settings_are_read_as_toml(settings, found):
    assert with_settings(Recipe(), settings).train.steps == found


def test_settings_that_are_no_toml_are_words():
    assert with_settings(Recipe(), ["model.layout=gpt2"]).model.layout == "gpt2"
    assert with_settings(Recipe(), ["text.column=my text"]).text.column == "my text"
    assert with_settings(Recipe(), ["tokenizer.path=a=b"]).tokenizer.path == "a=b"


def test_settings_lie_over_the_file_and_leave_the_rest(tmp_path):
    recipe = load_recipe(write(tmp_path, "[train]\nsteps = 5\nclip = 2\n[model]\nwidth = 8\n"))
    changed = with_settings(recipe, ["train.steps=6"])
    assert (changed.train.steps, changed.train.clip, changed.model.width) == (6, 2.0, 8)
    assert recipe.train.steps == 5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[train]\nsteps=5\nwidht=3\n", ":3: there is no such setting; valid names: "),
        ("[model]\nwidht=3\n", ":2: there is no such setting; did you mean 'width'?"),
        ("[modle]\nwidth=3\n", ":1: there is no such section; did you mean 'model'?"),
        ("[model]\nsteps=3\n", ":2: steps is a setting of the section [train]"),
        ("steps=3\n", ":1: steps is a setting of the section [train]"),
        (
            "[model]\nwidth=3\n\n[train] # width\n  seed = -1 # no\n",
            ":5: input should be greater than or equal to 0, not -1",
        ),
        ("train.steps=0\n", ":1: input should be greater than or equal to 1, not 0"),
        ("train={steps=0}\n", ":1: input should be"),
        ("[train]\nsteps=true\n", ":2: input should be a valid integer, not True"),
        ("[train]\nclip=nan\n", ":2: input should be a finite number, not nan"),
        ("[[train]]\nsteps=1\n", ":1: a section holds settings, as in [train]"),
        ("[train]\nsteps=1\nsteps=2\n", ": not valid TOML: Cannot overwrite a value (at line 3"),
    ],
)
def test_errors_name_line_reason_and_way_out(tmp_path, content, said):
    path = write(tmp_path, content)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}{said}")


def test_an_assignment_is_checked_too():
    with pytest.raises(ValueError, match="greater than"):
        Recipe().train.steps = 0


def test_a_source_whose_name_is_no_text_is_named(tmp_path):
    recipe = Recipe()
    recipe.text.sources = ["fine.txt", "caf\udce9.txt"]
    with pytest.raises(RecipeError, match=r"'caf\\udce9.txt': the name holds bytes that are no UTF-8"):
        recipe.save(tmp_path / "recipe.toml")
    assert not list(tmp_path.iterdir())
