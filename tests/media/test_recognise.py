"""What bytes look like to people who look at dead letters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.e2e.footage import picture
from tests.e2e.poison import png_bomb, wav
from worker.media.recognise import as_text, recognise, suffix


@pytest.mark.parametrize(
    ("content", "name", "ending"),
    [
        (picture(0), "image/jpeg", ".jpg"),
        (png_bomb(8), "image/png", ".png"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp", ".webp"),
        (wav(), "audio/wav", ".wav"),
        (b"fLaC\x00", "audio/flac", ".flac"),
        (b"OggS\x00", "audio/ogg", ".ogg"),
        ("Zwei Männer.\n".encode(), None, ".txt"),
        (b"caf\xe9", None, ".bin"),
        (bytes(100), None, ".bin"),
        (b"....\x00\x00\x00\x00WAVE", None, ".bin"),
        (b"", None, ".txt"),
    ],
)
def test_content_is_known_by_its_first_bytes(content: bytes, name: str | None, ending: str) -> None:
    assert recognise(content) == name
    assert suffix(content) == ending


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_printable_text_is_shown_as_it_is(text: str) -> None:
    assert as_text(text.encode()) in {text, None}
    assert as_text(b"fLaC" + text.encode()) is None


@given(st.binary())
def test_what_is_shown_as_text_cannot_control_a_terminal(content: bytes) -> None:
    text = as_text(content) or ""
    assert all(character.isprintable() or character in "\t\r\n" for character in text)
