"""Where model folders keep their chat templates."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from inkstone.tokens.template_sandbox import LARGEST_TEMPLATE, ChatTemplateError

FILE_NAME = "chat_template.jinja"
FURTHER = "additional_chat_templates"  # a folder of NAME.jinja
LARGEST_SETTINGS = 1 << 26  # bytes of a tokenizer_config.json


class Stored(NamedTuple):
    """The source of a template and where it was found."""

    source: str
    place: str


def stored_template(folder: Path, name: str = "default") -> Stored | None:
    """The template of that name: chat_template.jinja is the default one; where it is missing, those in tokenizer_config.json
    count. None where a folder has no template at all.

    Raises ChatTemplateError for a file that cannot be read, and where there are templates, but none of this name.
    """
    files = {"default": folder / FILE_NAME} | {path.stem: path for path in sorted((folder / FURTHER).glob("*.jinja"))}
    files = {known: path for known, path in files.items() if path.is_file()}
    if name in files:
        return Stored(_text(files[name], 4 * LARGEST_TEMPLATE), str(files[name]))
    settings = folder / "tokenizer_config.json"
    told = {} if files else _in_settings(settings)
    if name in told:
        return Stored(told[name], str(settings))
    if known := [*files, *told]:
        raise ChatTemplateError(f"{folder}: no chat template {name!r}; there is only: {', '.join(known)}")
    return None


def _in_settings(path: Path) -> dict[str, str]:
    """Templates by name: one text, or a list of {"name", "template"}."""
    if not path.is_file():
        return {}
    try:
        settings = json.loads(_text(path, LARGEST_SETTINGS))
    except ValueError as error:
        raise ChatTemplateError(f"{path}: cannot be read as JSON ({error})") from None
    told: Any = settings.get("chat_template") if isinstance(settings, dict) else None
    match told:
        case None:
            return {}
        case str():
            return {"default": told}
        case list() if all(isinstance(each, dict) for each in told):
            named = [(each.get("name"), each.get("template")) for each in told]
            if all(isinstance(name, str) and isinstance(source, str) for name, source in named):
                return dict(named)
    raise ChatTemplateError(f"{path}: chat_template is neither a text nor a list of names and templates")


def _text(path: Path, most: int) -> str:
    try:
        if path.stat().st_size > most:
            raise ChatTemplateError(f"{path}: larger than {most:,} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ChatTemplateError(f"{path}: cannot be read ({error})") from None
