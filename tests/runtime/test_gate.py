"""A record that ends the process is found and given up; others are never taken for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.builders import event
from worker.core.caution import CAREFUL_MOMENTS, MAX_IN_A_ROW, TRIES, Attempts, Care
from worker.core.events import Event
from worker.core.moment import ClosedBy, Moment
from worker.core.source_state import place_of
from worker.runtime.gate import Gate, Numbered


class EndedError(Exception):
    """The process is gone, and its memory with it."""


@dataclass
class Index:
    """What is committed of a partition index, and processes that work on it until one is done."""

    moments: list[Moment]
    fatal: frozenset[str]  # ids of events that end the process,
    fatal_together: frozenset[str] = frozenset()  # or do so in one Moment
    attempts: Attempts = field(default_factory=Attempts)
    judged: list[Moment] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    ends: Counter[tuple[str, ...]] = field(default_factory=Counter)  # by what was worked on
    leaves: Mapping[int, int] = field(default_factory=dict)  # process: commits before it is told to
    processes: int = 0

    def run(self, limit: int = 100) -> None:
        while self.moments and self.processes < limit:
            self.processes += 1
            with suppress(EndedError):
                self._process()

    def _process(self) -> None:
        gate = Gate(f"process {self.processes}", Care(), 0, self.attempts)
        gate.restore(Numbered(*each) for each in enumerate(self.moments))
        judged: list[Moment] = []
        commits = 0
        while gate.unsettled:
            expelled, _ = gate.expel()
            for piece in [*gate.due()]:
                self._work_on(piece)
                if (returned := gate.came_back()) is not None:
                    judged.append(returned.moment)
            is_last = commits == self.leaves.get(self.processes)
            if is_last:
                gate.caution.withdraw()
            self.given_up += (event.id for event in expelled)
            self.judged += judged
            judged.clear()
            self.moments = [moment for _, moment in gate.unsettled]
            self.attempts = gate.caution.attempts
            gate.caution.said(self.attempts)
            commits += 1
            if is_last:
                return

    def _work_on(self, piece: Moment) -> None:
        names = {event.id for event in piece.events}
        together = self.fatal_together and self.fatal_together <= names
        if names & self.fatal or together:
            self.ends[tuple(sorted(names))] += 1
            raise EndedError


def moments(*sizes: int) -> list[Moment]:
    found = []
    for number, size in enumerate(sizes):
        events = tuple(event("frame", number, name=f"{number}-{each}") for each in range(size))
        found.append(Moment("/cameras/a", number, number + 1, events, ClosedBy.WATERMARK))
    return found


def names(index: Index) -> list[str]:
    return [event.id for moment in index.judged for event in moment.events]


def test_an_event_that_ends_three_processes_is_given_up_and_its_moment_is_judged_without_it() -> (
    None
):
    index = Index(moments(3, 3, 3), frozenset({"1-1"}))
    index.run()
    assert index.given_up == ["1-1"]
    assert names(index) == ["0-0", "0-1", "0-2", "1-0", "1-2", "2-0", "2-1", "2-2"]
    assert index.ends.total() == 1 + TRIES, "the first one had not announced what it was at"


def test_the_only_event_of_a_moment_ends_as_many_processes() -> None:
    index = Index(moments(1, 1), frozenset({"0-0"}))
    index.run()
    assert (index.given_up, names(index), index.ends.total()) == (["0-0"], ["1-0"], 1 + TRIES)


def test_events_that_end_the_process_only_together_are_given_up_together() -> None:
    index = Index(moments(3, 2), frozenset(), frozenset({"0-0", "0-2"}))
    index.run()
    assert index.given_up == ["0-0", "0-1", "0-2"]
    assert names(index) == ["1-0", "1-1"]


def test_where_every_record_ends_the_process_it_is_not_the_records_fault() -> None:
    index = Index(moments(*[1] * 9), frozenset(f"{number}-0" for number in range(9)))
    index.run(limit=60)
    assert index.given_up == [f"{number}-0" for number in range(MAX_IN_A_ROW)]
    assert index.moments, "the rest waits for what is really broken to be mended"


def test_once_it_works_again_the_count_begins_anew() -> None:
    index = Index(moments(*[1] * 9), frozenset(f"{number}-0" for number in range(9)))
    index.run(limit=60)
    index.fatal = frozenset({"8-0"})
    index.run(limit=90)
    assert index.given_up[-1] == "8-0"
    assert len(names(index)) == 9 - MAX_IN_A_ROW - 1


@given(st.data())
def test_all_that_end_the_process_are_given_up_and_nothing_else(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=12))
    every = [event.id for moment in moments(*sizes) for event in moment.events]
    last = f"{len(sizes) - 1}-0"
    fatal = data.draw(st.frozensets(st.sampled_from(every), max_size=MAX_IN_A_ROW))
    index = Index(moments(*sizes), fatal - {last})
    index.run()
    assert sorted(index.given_up) == sorted(index.fatal)
    assert names(index) == [each for each in every if each not in index.fatal]


@given(st.data())
def test_who_leaves_cleanly_in_between_changes_nothing_of_that(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    every = [event.id for moment in moments(*sizes) for event in moment.events]
    last = f"{len(sizes) - 1}-0"
    fatal = data.draw(st.frozensets(st.sampled_from(every), max_size=MAX_IN_A_ROW)) - {last}
    leaves = data.draw(st.dictionaries(st.integers(1, 30), st.integers(0, 4)))
    index = Index(moments(*sizes), fatal, leaves=leaves)
    index.run()
    assert sorted(index.given_up) == sorted(fatal)
    assert names(index) == [each for each in every if each not in fatal]
    assert all(index.ends[name,] >= TRIES - 1 for name in fatal), "once it may have been together"


def test_what_is_out_is_not_taken_back() -> None:
    gate = Gate("b", Care(), 0, Attempts(begun=True))
    gate.restore([(1, moments(1)[0])])
    assert not [*gate.due()]
    announced = gate.caution.attempts
    gate.caution.said(announced)
    assert len([*gate.due()]) == 1
    gate.caution.withdraw()
    assert gate.caution.attempts == announced
    gate.came_back()
    gate.caution.withdraw()
    assert gate.caution.attempts == Attempts(begun=True), "others of it are still to be careful"


@pytest.mark.parametrize("passed", [0, 1, 2])
def test_what_is_taken_back_leaves_what_was_known_before(passed: int) -> None:
    (moment,) = moments(2)
    before = Attempts(True, tuple(map(place_of, moment.events)), by=("a",), quarantined=1)
    gate = Gate("b", Care(), 0, before)
    gate.restore([(1, moment)])
    for _ in range(passed):
        assert not [*gate.due()]
        gate.caution.said(gate.caution.attempts)
        assert len([*gate.due()]) == 1
        gate.came_back()
    assert not [*gate.due()]
    assert "b" in gate.caution.attempts.by
    gate.caution.withdraw()
    assert gate.caution.attempts == before


@pytest.mark.parametrize("tries", [1, TRIES - 1])
def test_processes_that_were_ended_from_outside_cost_no_record(tries: int) -> None:
    given = moments(1, 2)
    known = Attempts(True, (place_of(given[0].events[0]),), by=("before",) * tries)
    index = Index(given, frozenset(), attempts=known)
    index.run()
    assert not index.given_up
    assert index.processes == 1


def test_an_end_over_one_event_says_nothing_of_the_others() -> None:
    (moment,) = moments(2)
    first, second = map(place_of, moment.events)
    gate = Gate("c", Care(), 0, Attempts(True, (second,), by=("a", "b")))
    gate.restore([(1, moment)])
    tried = []
    for _ in range(3):
        assert not [*gate.due()]
        tried.append((gate.caution.attempts.events, gate.caution.attempts.by))
        gate.caution.said(gate.caution.attempts)
        assert len([*gate.due()]) == 1
        gate.came_back()
    assert tried == [((second,), ("a", "b", "c")), ((first,), ("c",)), ((first, second), ("c",))]


def test_processes_that_live_on_were_not_ended_by_what_they_had_announced() -> None:
    (moment,) = moments(1)
    known = Attempts(True, (place_of(moment.events[0]),), by=("b", "c", "d"))
    gate = Gate("a", Care(), 0, known.without({"c", "e"}))
    gate.restore([(1, moment)])
    assert gate.expel() == ([], [])
    assert not [*gate.due()]
    assert gate.caution.attempts.by == ("b", "d", "a")


def test_after_some_moments_one_at_a_time_all_of_them_are_let_out_again() -> None:
    gate = Gate("a", Care(), 0, Attempts(begun=True))
    gate.restore(Numbered(*each) for each in enumerate(moments(*[1] * (CAREFUL_MOMENTS + 5))))
    for _ in range(CAREFUL_MOMENTS):
        assert not [*gate.due()]
        gate.caution.said(gate.caution.attempts)
        assert len([*gate.due()]) == 1
        assert gate.came_back()
    assert len([*gate.due()]) == 5


def test_nothing_is_worked_on_before_it_is_committed_that_a_process_has_begun() -> None:
    gate = Gate("a", Care(), 0, Attempts())
    gate.restore(Numbered(*each) for each in enumerate(moments(1, 1)))
    assert not [*gate.due()]
    assert gate.caution.wants_commit
    gate.caution.said(gate.caution.attempts)
    assert len([*gate.due()]) == 2


def test_a_caption_that_is_given_up_is_not_carried_into_other_moments() -> None:
    first, second = moments(1, 1)
    caption: Event = first.events[0]
    second = Moment("/cameras/a", 1, 2, second.events, ClosedBy.WATERMARK, carried=caption)
    gate = Gate("a", Care(), 0, Attempts(True, (place_of(caption),), by=("b", "c", "d")))
    gate.restore([(1, first), (2, second)])
    expelled, released = gate.expel()
    assert expelled == [caption]
    assert released == [caption, caption], "once for each Moment that held it"
    assert [each.moment.carried for each in gate.unsettled] == [None]
