"""Wikitext to plain text: templates, tables, references and files out; links, headings and lists as what they show.

A compact stripper with regular expressions, for language models: it keeps prose and drops what only a wiki can render.
It does not expand templates.
"""

import html
import re

REDIRECT = re.compile(r"\s*#\s*(redirect|重定向|重新導向|重新导向|weiterleitung|redirection)\b", re.IGNORECASE)
REMOVED = re.compile(
    r"<!--.*?-->"
    r"|<(ref|math|chem|gallery|timeline|score|imagemap|syntaxhighlight|source|hiero|graph|templatestyles|mapframe)\b"
    r"(?:[^>]*/>|[^>]*>.*?</\1\s*>)",
    re.DOTALL | re.IGNORECASE,
)
VARIANT = re.compile(r"-\{([^{}]*)\}-")  # Chinese Wikipedia: one wording for each region
VARIANT_CHOICE = re.compile(r"(?:^|;)\s*(zh-hans|zh-cn|zh-hant|zh-tw|zh-hk)\s*:\s*([^;]*)")
SHOWN = re.compile(
    r"\{\{\s*(?:lang|langx|transl|nobold|nowrap|linktext|le|link-[a-z]+|tsl|ilh)\s*\|([^{}]*)\}\}", re.IGNORECASE
)
TEMPLATE = re.compile(r"\{\{[^{}]*\}\}|\{\{\{[^{}]*\}\}\}")
TABLE = re.compile(r"\{\|(?:(?!\{\||\|\}).)*\|\}", re.DOTALL)
LINK = re.compile(r"\[\[([^\[\]]*)\]\]")
NAMESPACES = re.compile(
    r"\s*:?\s*(file|image|media|category|template|wikipedia|文件|档案|檔案|图像|圖像|媒体|分类|分類|"
    r"datei|bild|kategorie|fichier|catégorie|[a-z]{2,3}(-[a-z]+)?)\s*:",
    re.IGNORECASE,
)
EXTERNAL = re.compile(r"\[(?:https?:|ftp:)?//[^\s\]]+\s*([^\]]*)\]")
QUOTES = re.compile(r"'{2,5}")
HEADING = re.compile(r"^(={1,6})\s*(.*?)\s*\1\s*$", re.MULTILINE)
BULLET = re.compile(r"^[*#:;]+\s*", re.MULTILINE)
BREAK = re.compile(r"<br\s*/?>|</(?:p|div|li|tr|blockquote)>", re.IGNORECASE)
TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
SWITCH = re.compile(r"__[A-Z]+__")
EMPTY_BRACKETS = re.compile(r"[ ]?[（(][\s,，;；、:：]*[)）]")
BLANK_LINES = re.compile(r"[ \t]*\n[ \t]*(?:\n[ \t]*)+")
ROUNDS = 12  # of removing innermost templates: deeper nesting is not prose


def is_redirect(wikitext: str) -> bool:
    """Whether a page only leads to another one."""
    return REDIRECT.match(wikitext) is not None


def plain(wikitext: str) -> str:
    """The prose of a page.

    >>> plain("'''Ink''' {{lang|zh|墨}}{{cite|x={{y}}}} is [[liquid|a liquid]].<ref>z</ref>\\n== Use ==\\n* [[File:a.png|b]]to [[write]]")
    'Ink 墨 is a liquid.\\n\\nUse\\n\\nto write'
    """
    text = REMOVED.sub("", wikitext)
    text = VARIANT.sub(_variant, text)
    for pattern, replacement in ((TEMPLATE, ""), (TABLE, "")):
        for _ in range(ROUNDS):
            if pattern is TEMPLATE:
                text = SHOWN.sub(lambda found: found.group(1).rpartition("|")[2], text)
            text, count = pattern.subn(replacement, text)
            if not count:
                break
    for _ in range(ROUNDS):
        text, count = LINK.subn(_link, text)
        if not count:
            break
    text = EXTERNAL.sub(r"\1", text)
    text = QUOTES.sub("", text)
    text = HEADING.sub(r"\n\2\n", text)
    text = BULLET.sub("", text)
    text = TAG.sub("", BREAK.sub("\n", text))
    text = html.unescape(SWITCH.sub("", text))
    return BLANK_LINES.sub("\n\n", EMPTY_BRACKETS.sub("", text)).strip()


def _link(found: re.Match[str]) -> str:
    target, _, shown = found.group(1).partition("|")
    if NAMESPACES.match(target) and not target.lstrip().startswith(":"):
        return ""
    return shown.rpartition("|")[2] if shown else target.lstrip(": ").partition("#")[0] or target


def _variant(found: re.Match[str]) -> str:
    choices = dict(VARIANT_CHOICE.findall(found.group(1)))
    if choices:
        return next(iter(choices.values())).strip()
    _, bar, text = found.group(1).rpartition("|")
    return text if bar or ":" not in found.group(1) else ""
