"""Checkpoints by their name on the Hugging Face hub: "organisation/name" becomes a folder on this machine."""

import os
import re
from pathlib import Path

from inkstone.errors import InkstoneError, MissingExtraError, RunError
from inkstone.files import nearest_path

# Weights as safetensors, settings and tokenizer as text: nothing that can run code is fetched.
_WANTED = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "merges.txt", "LICENSE*", "README.md"]
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def local_folder(path_or_name: Path | str) -> Path:
    """The folder of a model: a path that exists as it is, a hub name fetched into the cache of huggingface_hub.

    Raises RunError for what is neither, MissingExtraError without huggingface_hub, InkstoneError without a network.
    """
    path = Path(path_or_name)
    if path.is_dir():
        return path
    if path.exists():
        raise RunError(f"{path} is a file; name the folder of a model")
    if not _NAME.fullmatch(str(path_or_name)):
        hint = _near(path) or "name a run folder, a checkpoint folder, or a hub name (organisation/name)"
        raise RunError(f"{path} does not exist; {hint}")
    return fetch(str(path_or_name))


def _near(path: Path) -> str:
    near = nearest_path(path)
    return f"did you mean {str(near)!r}?" if near else ""


def fetch(name: str) -> Path:
    """Fetch the safetensors, json and tokenizer files of "organisation/name"; what the cache has is not fetched again."""
    hint = f" ({near})" if (near := _near(Path(name))) else ""
    try:
        import huggingface_hub
        from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
    except ImportError:
        raise MissingExtraError("huggingface_hub", "hub", f"fetching {name!r} from the Hugging Face hub") from None
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=_WANTED))
    except (RepositoryNotFoundError, HFValidationError):
        raise InkstoneError(
            f"{name}: no such folder here{hint}, and no such model on the Hugging Face hub that it would show you; "
            "check the spelling, or log in with `hf auth login`"
        ) from None
    except OSError as error:  # the hub's errors of the network and of its offline mode all derive from it
        offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "ON", "YES")
        why = "HF_HUB_OFFLINE is set" if offline else type(error).__name__
        raise InkstoneError(
            f"{name}: no such folder here{hint}, and the Hugging Face hub cannot be reached ({why}); check the name and "
            "the network, or give the path of a checkpoint on this machine"
        ) from None
