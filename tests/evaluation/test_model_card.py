"""The model card: its front matter is read by the hub's own library, and no text of a run is read as Markdown."""

from itertools import pairwise

import pytest

from inkstone.evaluation.model_card import code, fenced, model_card
from inkstone.evaluation.record import read_record

from .golden_facts import FACTS, HOSTILE, golden_run

huggingface_hub = pytest.importorskip("huggingface_hub", reason="the extra 'hub' reads model cards")


def test_the_golden_card(tmp_path):
    card = model_card(read_record(golden_run(tmp_path / "three-kingdoms")))
    data = huggingface_hub.ModelCard(card).data
    assert data.library_name == "transformers" and data.license == "unknown"
    assert data.language == ["zh", "en"] and data.tags == ["inkstone", "qwen3"]
    for part in (
        "# `three-kingdoms`",
        "Documents read: 1,412 (6.2 MB); kept after cleaning: 1,203 (5.64 MB).",
        "Duplicates and near-duplicates were removed first",
        "| **this model** | **1.683** (1.641 to 1.728, 95 % bootstrap over documents) |",
        "| xz -9e, after the training text | 2.302 |",
        "504 steps, 2.06 M tokens, 4m21s on `AMD Ryzen 7 5800U`",
        "AutoModelForCausalLM.from_pretrained(",
        "引关、张二人",
        "留出文本上每字节 **1.683** 比特（95% 自助区间 1.641 至 1.728）",
    ):
        assert part in card, part
    assert card.index("## Use") < card.index("## 中文")
    assert "\n\n\n" not in card


def test_every_table_row_stands_below_its_head(tmp_path):
    lines = model_card(read_record(golden_run(tmp_path / "run"))).splitlines()
    for before, line in pairwise(lines):
        if before.startswith("|---"):
            assert line.startswith("|")
        if line.startswith("|---"):
            assert before.startswith("|")


@pytest.mark.parametrize("stages", range(len(FACTS)))
def test_a_card_of_a_partial_run(tmp_path, stages):
    card = model_card(read_record(golden_run(tmp_path / "run", dict(list(FACTS.items())[:stages]))))
    assert huggingface_hub.ModelCard(card).data.tags
    assert "this run is not finished" in card and "None" not in card and "Undefined" not in card


def test_hostile_text_stays_code(tmp_path):
    facts = {**FACTS, "samples": [{"text": f"```\n{HOSTILE}\n````"}]}
    card = model_card(read_record(golden_run(tmp_path / "run", facts)))
    assert "`````text\n```" in card
    assert code("x`y") == "`` x`y ``" and code("a\nb|c") == "`a b\\|c`"
    assert fenced("plain") == "```text\nplain\n```"


def test_an_imported_model(tmp_path):
    origin = {"origin": {"source": "openai-community/gpt2", "architecture": "gpt2", "parameters": 124_439_808}}
    card = model_card(read_record(golden_run(tmp_path / "run", origin, [])))
    assert "imported by Inkstone from `openai-community/gpt2`" in card and "Inkstone changed no weight" in card
