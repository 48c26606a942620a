"""A transcript as subtitles: SubRip (srt) and WebVTT, of segments with their times."""

from collections.abc import Mapping, Sequence
from typing import Any

PAUSE = 0.7  # seconds of silence between words, after which a new caption begins
LONGEST = 84  # characters of a caption, two lines on a screen


def segments_of(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The segments of an answer; of one that has times of words alone, the words together as they are spoken.

    >>> words = [{"word": "a", "start": 0.0, "end": 0.2}, {"word": "b", "start": 0.3, "end": 0.5}, {"word": "c", "start": 2.0, "end": 2.2}]
    >>> segments_of({"text": "a b c", "words": words})
    [{'start': 0.0, 'end': 0.5, 'text': 'a b'}, {'start': 2.0, 'end': 2.2, 'text': 'c'}]
    """
    if "segments" in answer:
        return [{**each, "text": each["text"].strip()} for each in answer["segments"]]
    found: list[dict[str, Any]] = []
    blank = " " if " " in answer["text"] else ""
    for word in answer["words"]:
        last = found[-1] if found else None
        fits = last and word["start"] - last["end"] < PAUSE and len(last["text"]) + len(word["word"]) < LONGEST
        if last is not None and fits:
            last.update(end=word["end"], text=f"{last['text']}{blank}{word['word']}")
        else:
            found.append({"start": word["start"], "end": word["end"], "text": word["word"]})
    return found


def srt(segments: Sequence[Mapping[str, Any]]) -> str:
    """SubRip.

    >>> print(srt([{"start": 0.0, "end": 3661.5, "text": "ink"}]), end="")
    1
    00:00:00,000 --> 01:01:01,500
    ink
    <BLANKLINE>
    """
    return "".join(
        f"{number}\n{_clock(each['start'], ',')} --> {_clock(each['end'], ',')}\n{each['text']}\n\n"
        for number, each in enumerate(segments, 1)
    )


def vtt(segments: Sequence[Mapping[str, Any]]) -> str:
    """WebVTT. An arrow in the text would be read as times."""
    cues = (
        f"{_clock(each['start'], '.')} --> {_clock(each['end'], '.')}\n{_escaped(each['text'])}\n\n"
        for each in segments
    )
    return "WEBVTT\n\n" + "".join(cues)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, comma: str) -> str:
    whole = round(seconds * 1000)
    hours, rest = divmod(whole, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{comma}{rest % 1000:03d}"
