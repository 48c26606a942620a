"""The report: one well-formed page without outside resources, for every state a run can be in."""

import base64
import copy
import hashlib
import json
import re
import string
from html.parser import HTMLParser
from importlib.resources import files
from xml.etree import ElementTree

import pytest
from hypothesis import Phase, given, settings, strategies as st

import inkstone
from inkstone.errors import RunError
from inkstone.evaluation.phrases import LANGUAGES, phrases, say
from inkstone.evaluation.record import Record, printable, read_record
from inkstone.evaluation.report import bars, page, report, share_of_peak, stage_times
from inkstone.recipe import Recipe

from .golden_facts import FACTS, HOSTILE, golden_run


@pytest.fixture(scope="module")
def golden(tmp_path_factory) -> str:
    run = golden_run(tmp_path_factory.mktemp("runs") / "golden")
    return report(run.folder).read_text(encoding="utf-8")


def tree(html: str) -> ElementTree.Element:
    """The page is written so that even an XML parser accepts it."""
    return ElementTree.fromstring(html.removeprefix("<!DOCTYPE html>\n"))


def words(html: str, language: str) -> str:
    """The text that a reader of one language sees."""

    def seen(element: ElementTree.Element):
        if element.tag in ("style", "script") or element.get("class") in set(LANGUAGES) - {language}:
            return
        yield element.text or ""
        for child in element:
            yield from seen(child)
            yield child.tail or ""

    return re.sub(r"\s+", " ", "".join(seen(tree(html))))


def test_the_golden_page_in_english(golden):
    text = words(golden, "en")
    for part in (
        "In 4m57s, 5.36 MB of text became a model of 6.13 M parameters that needs 1.683 bits",
        "this model1.683",
        "xz -9e, after the training text2.302",
        "95% interval, 1.641 to 1.728: a bootstrap over 60 documents",
        "Documents read: 1,412 (6.2 MB). Kept after cleaning: 1,203 (5.64 MB).",
        "near-duplicate",
        "第一回 宴桃园豪杰三结义",
        "Chinese 3.41 MB · English 2.23 MB",
        "Lines in another encoding than their file, each read as what it is 2: a.txt:7, ",
        "steps 520504-3.1%",
        "the largest model that reads the text about once in the time left",
        "perplexity per word 1,904",
        "tokens a word (fertility)1.31",
        "share of this machine's measured float32 peak79%",
        "not measured, and not guessed",
        "8.28 × 10¹³",
        "AMD Ryzen 7 5800U",
        "inkstone train books notes.md --minutes 20",
    ):
        assert part.replace(" ", "") in text.replace(" ", ""), part
    assert "本模型" not in text


def test_the_golden_page_in_chinese(golden):
    text = words(golden, "zh")
    assert "用时 4m57s，5.36 MB 的文本变成了一个 6.13 M 参数的模型" in text
    assert "近似重复" in text and "本模型" in text and "How it learned" not in text


def test_no_outside_resources(golden):
    assert not re.search(r"(?i)(https?:)?//[a-z0-9]", golden)
    assert not re.search(
        r"(?i)url\(|@import|srcset|<(link|iframe|object|embed|img|base|form)\b", re.sub("&lt;", "‹", golden)
    )
    policy = tree(golden).find(".//meta[@http-equiv]").get("content")
    assert policy.startswith("default-src 'none'")


def test_only_its_own_script_may_run(golden):
    scripts = re.findall(r"<script>(.*?)</script>", golden, flags=re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in golden
    assert not re.search(r"<[^>]*\son\w+=", golden)


def test_hostile_text_stays_text(golden):
    found = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append(tag)

    Parser().feed(golden)
    assert found.count("script") == 1 and "img" not in found
    shown = HOSTILE.replace("\x00", "�").replace("\x1b", "�")
    assert shown in "".join(tree(golden).itertext())


def test_hostile_names_of_everything(tmp_path):
    hostile = copy.deepcopy(FACTS)

    def poison(value):
        if isinstance(value, dict):
            return {f"{key}": poison(item) for key, item in value.items()} | {HOSTILE: 1.0}
        if isinstance(value, list):
            return [poison(item) for item in value]
        return HOSTILE if isinstance(value, str) else value

    run = golden_run(tmp_path / "<b>&run", {stage: poison(item) for stage, item in hostile.items()})
    html = report(run.folder).read_text(encoding="utf-8")
    tree(html)
    assert "<script>alert" not in html and "<b>&run" not in html


def test_both_languages_have_every_phrase_with_the_same_places():
    for key, phrase in phrases().items():
        assert set(phrase) == set(LANGUAGES), key
        places = [
            {name for _, name, _, _ in string.Formatter().parse(phrase[language]) if name} for language in LANGUAGES
        ]
        assert places[0] == places[1], key
        assert re.search(r"[一-鿿]", phrase["zh"]) or key in ("none", "switch", "graphics"), key


def test_every_phrase_is_used_and_escaped():
    home = files("inkstone")
    pages = [
        page
        for folder in ("evaluation", "studies")
        for page in home.joinpath(folder).iterdir()
        if page.name.endswith((".py", ".jinja"))
    ]
    source = "".join(page.read_text(encoding="utf-8") for page in pages)
    families = tuple(re.findall(r"[\"'](\w+_)(?:\" ~|' ~|\{)", source))  # "part_" ~ part, f"stage_{stage}"
    for key in phrases():
        assert f'"{key}"' in source or key.startswith(families), key
    assert "&lt;b&gt;" in say("alone", tool="<b>")


@pytest.mark.parametrize("stages", range(len(FACTS) + 1))
def test_a_run_broken_off_after_any_stage(tmp_path, stages):
    run = golden_run(tmp_path / "run", dict(list(FACTS.items())[:stages]))
    html = report(run.folder).read_text(encoding="utf-8")
    tree(html)
    unfinished = "inkstone train --resume" in html
    assert unfinished == (stages < len(FACTS))


def test_a_run_that_recorded_nothing(tmp_path):
    run = golden_run(tmp_path / "run", {}, [])
    html = report(run.folder).read_text(encoding="utf-8")
    assert "has not been scored yet" in words(html, "en") and "The journal holds no curve" in words(html, "en")


def test_torn_and_odd_journal_lines_are_passed_over(tmp_path):
    run = golden_run(tmp_path / "run")
    whole = page(read_record(run))
    with open(run.metrics_path, "a", encoding="utf-8") as file:
        file.write('5\n[1]\nnull\n"text"\n{"kind": "train", "bits_per_byte": "high", "step": 3}\n')
        file.write('{"kind": "train", "bits_per_byte": NaN, "step": 3, "seconds": 1}\n{"kind": "train", "step": 1e')
    assert page(read_record(run)) == whole


def test_a_damaged_record_is_named_and_the_rest_is_shown(tmp_path):
    run = golden_run(tmp_path / "run")
    (run.folder / "facts.json").write_text('{"text": {"docum')
    (run.folder / "environment.json").write_text("[]")
    run.recipe_path.write_text("[model]\nwidht = 3\n")
    text = words(report(run.folder).read_text(encoding="utf-8"), "en")
    assert "Could not be read and is left out: facts.json, recipe.toml, environment.json" in text
    assert "Training has reached 1.683 bits per byte" in text


ADAPTED = {
    "model": "runs/base", "replay": 0.5, "new": {"before": 2.9}, "old": {"before": 1.8, "after": 1.9}, "forgetting": 0.056,
    "new_tokens": 512, "read_before": {"documents": 3, "bytes": 4096},
}  # fmt: skip

ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None, phases=[Phase.generate])
@given(st.data())
def test_facts_of_any_shape_still_give_a_page(data):
    """Some facts replaced by something else entirely: the page leaves them out, and stays well-formed."""
    facts = copy.deepcopy({**FACTS, "adaptation": ADAPTED})
    for _ in range(data.draw(st.integers(1, 4))):
        stage = data.draw(st.sampled_from([s for s in facts if isinstance(facts[s], dict)]))
        key = data.draw(st.sampled_from(sorted(facts[stage])))
        facts[stage][key] = data.draw(ODD)
    stages = {name: item for name, item in printable(facts).items() if isinstance(item, dict)}
    record = Record(
        folder=files("inkstone") / "x", stages={"origin": {}, **stages}, samples=printable(facts["samples"]), train=[], held_out=[],
        events=[], recipe=Recipe(), recipe_text="", environment={},
    )  # fmt: skip
    tree(page(record))


def test_what_adapting_changed_is_shown_on_page_and_card(tmp_path):
    run = golden_run(tmp_path / "run")
    run.record(adaptation=ADAPTED)
    html = report(run.folder).read_text(encoding="utf-8")
    english, chinese = words(html, "en"), words(html, "zh")
    assert "What adapting runs/base changed" in english and "1.800" in english and "+5.6%" in english
    assert "3 documents" in english and "512 new tokens" in english and "旧文本" in chinese
    assert "inkstone tune language-modelling" in english
    card = (run.folder / "README.md").read_text(encoding="utf-8")
    assert "adapted by Inkstone from `runs/base`" in card and "+5.6 %" in card and "旧文本 1.800 → 1.900" in card
    run.record(adaptation={"model": "runs/base", "replay": 0.0, "new": {"before": 2.9}})
    assert "No old text was known" in words(report(run.folder).read_text(encoding="utf-8"), "en")


def test_derived_figures(tmp_path):
    record = read_record(golden_run(tmp_path / "run"))
    assert [bar.key for bar in bars(record)] == [
        "this_model",
        "after_training_text",
        "after_training_text",
        "alone",
        "alone",
    ]
    assert bars(record)[-1].length == 100 and bars(record)[0].length == pytest.approx(100 * 1.683 / 2.921, abs=0.01)
    assert share_of_peak(record) == ("float32", pytest.approx(40.1e6 * 7898 / 402e9))
    times = stage_times(record)
    assert sum(stage["seconds"] for stage in times) == pytest.approx(297.8, rel=0.01)
    assert times[-1]["name"] == "other" and times[-1]["seconds"] == pytest.approx(8.0)


def test_an_imported_model_shows_where_it_came_from(tmp_path):
    run = golden_run(
        tmp_path / "run",
        {"origin": {"source": "openai-community/gpt2", "architecture": "gpt2", "parameters": 124e6}},
        [],
    )
    html = report(run.folder).read_text(encoding="utf-8")
    text = words(html, "en")
    assert "report of an imported model" in text and "openai-community/gpt2" in text and "--resume" not in text


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="not a run folder"):
        report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_printable_text():
    assert printable("a\ud800b\u202e\x7f\ufffe") == "a�b���"
    assert json.loads(json.dumps(printable({"k\x00": ("墨", 1.5, None)}))) == {"k�": ["墨", 1.5, None]}


def test_the_public_name():
    assert inkstone.report is report


def test_a_text_of_which_a_sample_was_read_says_so(tmp_path):
    told = {"told": "read 1 MB of 4 GB", "total_bytes": 4e9, "read_bytes": 1e6}
    facts = {**FACTS, "text": {**FACTS["text"], "sample": told}}
    html = report(golden_run(tmp_path / "run", facts).folder).read_text(encoding="utf-8")
    assert "The sources hold 4 GB" in html and "The sources hold" not in page(
        read_record(golden_run(tmp_path / "whole"))
    )
