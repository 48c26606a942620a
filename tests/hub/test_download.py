"""Names on the hub: what is fetched, and what is said when it cannot be."""

import sys
from fnmatch import fnmatch
from unittest.mock import MagicMock

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

from inkstone.errors import InkstoneError, MissingExtraError, RunError
from inkstone.hub.download import local_folder
from inkstone.hub.folder import load
from inkstone.models.decoder import Decoder

from .checkpoints import checkpoint, save_checkpoint


def test_a_name_is_fetched_without_anything_that_can_run_code(tmp_path, monkeypatch):
    save_checkpoint(checkpoint("gpt2"), tmp_path)
    asked = []

    def snapshot_download(name, allow_patterns):
        asked.append((name, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert isinstance(load("organisation/some-model_1.0"), Decoder)
    ((name, patterns),) = asked
    assert name == "organisation/some-model_1.0"

    def fetched(path):
        return any(fnmatch(path, pattern) for pattern in patterns)

    for path in ("model-00001-of-00002.safetensors", "model.safetensors.index.json", "tokenizer.json", "config.json"):
        assert fetched(path)
    for path in ("pytorch_model.bin", "modeling_custom.py", "model.h5", "weights.pt", "flax_model.msgpack"):
        assert not fetched(path)


def test_a_folder_that_exists_is_never_asked_for_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    assert local_folder("runs/demo").samefile(tmp_path / "runs" / "demo")


def test_what_is_neither_a_path_nor_a_name_is_said_to_be_so(tmp_path):
    for name in ("nowhere", str(tmp_path / "absent"), "a/b/c", "../x"):
        with pytest.raises(RunError, match="does not exist"):
            local_folder(name)


def test_a_folder_of_nearly_that_name_is_named(tmp_path, monkeypatch):
    def snapshot_download(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "novel").mkdir(parents=True)
    with pytest.raises(RunError, match="rnus does not exist; did you mean 'runs'"):
        local_folder("rnus")
    with pytest.raises(InkstoneError, match=r"runs/novle: no such folder here \(did you mean 'runs/novel'\?\)"):
        local_folder("runs/novle")  # the hub could have a model of that name, so that it was asked


@pytest.mark.parametrize(
    "raised",
    [
        LocalEntryNotFoundError("outgoing traffic has been disabled"),
        OfflineModeIsEnabled("offline mode is enabled"),
        ConnectionError("Name or service not known"),
        TimeoutError("timed out"),
    ],
)
def test_without_a_network_the_error_says_what_to_do(raised, monkeypatch):
    def snapshot_download(*_, **__):
        raise raised

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(InkstoneError, match=rf"organisation/model: .*cannot be reached \({type(raised).__name__}\)"):
        local_folder("organisation/model")


def test_offline_mode_is_named(monkeypatch, tmp_path):
    """With nothing patched: huggingface_hub itself refuses."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InkstoneError, match="HF_HUB_OFFLINE is set"):
        local_folder("organisation/surely-not-in-the-cache")


def test_a_name_that_the_hub_does_not_know(monkeypatch):
    def snapshot_download(*_, **__):
        raise huggingface_hub.errors.RepositoryNotFoundError("404", response=MagicMock())

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(InkstoneError, match="no such model on the Hugging Face hub"):
        local_folder("organisation/model")


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'inkstone\[hub\]'"):
        local_folder("organisation/model")
