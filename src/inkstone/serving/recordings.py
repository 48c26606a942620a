"""Recordings that clients send: looked at before they are listened to."""

from inkstone.audio.reading import seconds_of
from inkstone.errors import AudioError
from inkstone.serving.api_errors import ApiError
from inkstone.serving.settings import ServingSettings


def checked(content: bytes, settings: ServingSettings) -> bytes:
    """The bytes of a sound file as they are. Raises ApiError for what is none, and for what would take too long to hear."""
    if not content:
        raise ApiError(400, "file: it is empty", param="file")
    try:
        seconds = seconds_of(content)
    except AudioError as error:
        raise ApiError(400, f"file: {error}", param="file") from None
    if seconds > settings.longest_recording:
        raise ApiError(
            400,
            f"file: {seconds:,.0f} s long, but at most {settings.longest_recording:,.0f} s are listened to",
            param="file",
        )
    return content
