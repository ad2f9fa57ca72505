"""What a partition index remembers for the frames of its sources: bounded, and taken up again."""

from __future__ import annotations

import numpy as np
import pytest

from worker.core import references as references_module
from worker.core.references import Choice, References, Remembered
from worker.core.reuse import STANDS, Glimpse, Look, Reference
from worker.core.rfc3339 import seconds
from worker.runtime.reference_records import StoredReference, read_reference, write_reference
from worker.runtime.state_records import StateRecordError

AGE = seconds(10)


def glimpse(at: float, shade: int = 50, key: str = "") -> Glimpse:
    look = Look(b"kind", np.full((4, 6), shade, np.uint8), np.full((3, 5), shade, np.uint8))
    return Glimpse((key or f"{at} {shade}").encode(), seconds(at), look)


def kept(book: References, choice: Choice) -> dict[str, Remembered | None]:
    """Let what was chosen be encoded; the vector of each content is its shade's."""
    vectors = {
        each.frame.key: np.full(3, each.frame.look.cells[0, 0], np.float16)
        for each in choice.changed.values()
        if each is not None and each.frame is not None
    }
    remembered = choice.remembered(vectors)
    book.keep(remembered)
    return remembered


def test_a_still_source_is_encoded_once_in_ten_seconds() -> None:
    book, encoded = References(AGE), []
    for second in range(24):
        choice = book.choose("a", [glimpse(second)])
        kept(book, choice)
        encoded += [second] if choice.places == (0,) else []
        if choice.places == (STANDS,):
            assert choice.standing is not None
            assert choice.spared == 1
            assert set(book.vectors("a")) == {choice.standing}
    assert encoded == [0, 11, 22]


def test_an_embedding_is_kept_without_those_of_its_batch() -> None:
    book, shown = References(AGE), glimpse(0)
    batch = np.ones((64, 3), np.float16)
    (remembered,) = book.choose("a", [shown]).remembered({shown.key: batch[5]}).values()
    assert remembered is not None and remembered.vector is not None
    assert remembered.vector.base is None


def test_without_an_age_nothing_is_remembered() -> None:
    book = References()
    for second in range(3):
        assert book.choose("a", [glimpse(second)]) == Choice((0,))


def test_a_successor_that_knows_all_changes_decides_the_same() -> None:
    random = np.random.default_rng(3)
    book, state = References(AGE), dict[str, Remembered | None]()
    for moment in range(200):
        if moment % 7 == 0:  # somebody else goes on
            stored = {
                source: read_reference(write_reference(StoredReference(1, "m", each))).remembered
                for source, each in state.items()
                if each is not None
            }
            successor = References(AGE)
            successor.restore(stored)
        source = "abc"[random.integers(3)]
        shades = random.choice([50, 50, 50, 90], 2)
        frames = [glimpse(moment / 3 + n / 9, int(shade)) for n, shade in enumerate(shades)]
        choice, again = book.choose(source, frames), successor.choose(source, frames)
        assert (choice.places, choice.standing) == (again.places, again.standing)
        assert choice.changed.keys() == again.changed.keys()
        state |= kept(book, choice)
        kept(successor, again)
        for each in "abc":
            assert book.vectors(each).keys() == successor.vectors(each).keys()


def test_sources_beyond_the_bound_go_without_until_others_are_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(references_module, "MAX_REFERENCES", 2)
    book = References(AGE)
    for source in "ab":
        kept(book, book.choose(source, [glimpse(0)]))
    assert book.choose("c", [glimpse(1)]).changed == {}
    kept(book, book.choose("b", [glimpse(100, shade=90)]))
    later = book.choose("c", [glimpse(121)])
    assert set(later.changed) == {"a", "c"}
    assert later.changed["a"] is None
    kept(book, later)
    assert not book.vectors("a")
    assert book.vectors("c")


def test_only_looks_with_all_that_experts_ask_for_need_no_decoding() -> None:
    book = References(AGE)
    kept(book, book.choose("a", [glimpse(0)]))
    assert book.known("a") == {}
    sharp = glimpse(0, key="sharp")
    sharp = Glimpse(sharp.key, sharp.time, Look(b"kind", *_arrays(sharp), np.ones(1, np.float32)))
    kept(book, book.choose("b", [sharp]))
    assert set(book.known("b")) == {b"sharp"}


def _arrays(frame: Glimpse) -> tuple[np.ndarray, np.ndarray]:
    return frame.look.cells, frame.look.pixels


def test_records_of_references_are_read_as_they_were_written_and_nothing_else_is() -> None:
    book = References(AGE)
    (stored,) = kept(book, book.choose("a", [glimpse(5, 77)])).values()
    assert stored is not None
    value = write_reference(StoredReference(9, "model", stored))
    again = read_reference(value)
    assert (again.number, again.model) == (9, "model")
    assert write_reference(again) == value
    paused = StoredReference(9, "", Remembered(Reference(None, seconds(5), 3, 4), None))
    assert write_reference(read_reference(write_reference(paused))) == write_reference(paused)
    with pytest.raises(StateRecordError):
        read_reference(value[:-3])
