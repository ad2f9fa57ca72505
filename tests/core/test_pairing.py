"""Pairing: what belongs together, when it closes, what is late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.builders import event, rules
from worker.core import pairing as pairing_module
from worker.core import source_pairing
from worker.core.events import Event, Modality
from worker.core.moment import Closed, ClosedBy, Duplicate, Late, Moment, Outcome, Released
from worker.core.pairing import Pairing
from worker.core.rfc3339 import seconds


def play(pairing: Pairing, events: Iterable[Event]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for one in events:
        outcomes += pairing.advance(one.record.timestamp)
        outcomes += pairing.add(one)
    return outcomes


def moments(outcomes: Iterable[Outcome]) -> list[Moment]:
    return [outcome.moment for outcome in outcomes if isinstance(outcome, Closed)]


def late(outcomes: Iterable[Outcome]) -> list[Event]:
    return [outcome.event for outcome in outcomes if isinstance(outcome, Late)]


def starts(found: Iterable[Moment]) -> list[float]:
    return [moment.start / 1e6 for moment in found]


def av(time: float, source: str = "/cameras/a") -> list[Event]:
    return [event("frame", time, source), event("audio", time, source)]


def stream(*times: float) -> list[Event]:
    return [one for time in times for one in av(time)]


def test_a_window_closes_when_every_awaited_front_less_grace_reaches_its_end() -> None:
    pairing = Pairing(rules())
    assert not moments(play(pairing, [*stream(0.0, 1.0, 2.0), event("frame", 3.0)]))
    closed = moments(play(pairing, [event("audio", 3.0)]))
    assert starts(closed) == [0]
    assert closed[0].closed_by is ClosedBy.WATERMARK
    assert closed[0].present == (Modality.FRAME, Modality.AUDIO)


def test_windows_are_half_open() -> None:
    pairing = Pairing(rules())
    closed = moments(play(pairing, stream(0.0, 0.999999, 1.0, 4.0)))
    assert [len(moment.events) for moment in closed] == [4, 2]


def test_a_modality_that_the_source_does_not_send_delays_nothing() -> None:
    closed = moments(play(Pairing(rules()), [event("frame", t) for t in (0, 1, 2, 3)]))
    assert starts(closed) == [0]
    assert closed[0].missing == (Modality.CAPTION, Modality.AUDIO)


def test_a_modality_that_stops_delays_by_at_most_the_idle_timeout() -> None:
    pairing = Pairing(rules(idle=10))
    play(pairing, stream(0.0))
    before = moments(play(pairing, [event("frame", t) for t in range(1, 11)]))
    after = moments(play(pairing, [event("frame", 10.5)]))
    assert starts(before) == []
    assert starts(after) == [0, 1, 2, 3, 4, 5, 6, 7]


def test_an_awaited_modality_that_stops_while_others_go_on_is_told() -> None:
    pairing = Pairing(rules(idle=10))
    play(pairing, [event("frame", 0), event("audio", 0), event("caption", 0)])
    play(pairing, [event("frame", t) for t in range(1, 11)])
    assert not pairing.stopped()
    play(pairing, [event("frame", 11)])
    assert pairing.stopped() == {Modality.AUDIO: 1}
    play(pairing, [event("audio", 12)])
    assert not pairing.stopped()


def test_an_event_is_late_by_its_own_front_only() -> None:
    pairing = Pairing(rules())
    outcomes = play(pairing, [*av(0.0), event("frame", 9.0), event("audio", 0.5)])
    assert not late(outcomes)
    outcomes = play(pairing, [event("frame", 1.0)])
    assert [one.time for one in late(outcomes)] == [seconds(1)]
    (missed,) = (one for one in outcomes if isinstance(one, Late))
    assert missed.watermark == seconds(9 - 2)


def test_an_event_of_a_closed_window_is_late() -> None:
    pairing = Pairing(rules("frame"))
    play(pairing, [event("frame", t) for t in (0, 1, 2, 3)])
    outcomes = play(pairing, [event("audio", 0.5)])
    assert late(outcomes)


def test_a_source_that_goes_silent_is_closed_by_silence_and_comes_back_in_order() -> None:
    pairing = Pairing(rules(idle=10))
    play(pairing, stream(0.0, 0.5))
    assert not list(pairing.advance(seconds(10.4)))
    closed = moments(pairing.advance(seconds(10.5)))
    assert [moment.closed_by for moment in closed] == [ClosedBy.SILENCE]
    assert (pairing.active_sources, pairing.silent_sources) == (0, 1)
    # A minute of buffered frames arrives at once, in order, long after their time.
    times = range(1, 61)
    back = [event(kind, t, appended=70) for kind in ("audio", "frame") for t in times]
    outcomes = play(pairing, back)  # all of its sound first, as batches come
    assert not late(outcomes)
    assert [len(moment.events) for moment in moments(outcomes)] == [2] * 57


def test_a_modality_that_does_not_come_back_after_a_silence_delays_by_the_idle_timeout() -> None:
    pairing = Pairing(rules(idle=10))
    play(pairing, stream(0.0))
    list(pairing.advance(seconds(50)))
    assert not moments(play(pairing, [event("frame", 50 + t) for t in range(10)]))
    assert starts(moments(play(pairing, [event("frame", 60)]))) == list(range(50, 58))


def test_another_camera_with_a_fast_clock_makes_nobody_late() -> None:
    pairing = Pairing(rules())
    mixed = [
        one
        for t in range(30)
        for one in (
            *av(t, source="/cameras/on-time"),
            event("frame", t + 8, source="/cameras/fast", appended=t),
            event("frame", max(0, t - 20), source="/cameras/behind", appended=t, name=f"b{t}"),
        )
    ]
    outcomes = play(pairing, mixed)
    assert not [one for one in late(outcomes) if one.source != "/cameras/behind"]
    on_time = [m for m in moments(outcomes) if m.source == "/cameras/on-time"]
    assert len(on_time) == 27


def test_an_event_is_late_from_the_end_of_its_window_on() -> None:
    pairing = Pairing(rules())
    play(pairing, [event("audio", 0.0), event("frame", 3.999)])
    assert not late(play(pairing, [event("frame", 1.5)]))  # its window ends at 2, reached is 1.999
    play(pairing, [event("frame", 4.0)])
    assert late(play(pairing, [event("frame", 1.6)]))


def test_without_an_awaited_modality_a_source_is_paired_by_what_it_sends() -> None:
    pairing = Pairing(rules("frame"))
    sounds = [event("audio", t) for t in (0, 1, 2, 3)]
    assert starts(moments(play(pairing, sounds))) == [0]
    pairing = Pairing(rules("frame"))
    mixed = [one for t in (0, 1, 2, 3) for one in (event("audio", t), event("caption", t + 5))]
    assert starts(moments(play(pairing, mixed))) == [0]  # captions, far ahead, are not waited for


def test_an_awaited_modality_counts_while_its_newest_event_is_within_the_idle_timeout() -> None:
    pairing = Pairing(rules(idle=10))
    play(pairing, stream(0.0))
    assert not moments(play(pairing, [event("frame", 10.0, appended=1)]))  # just within
    after = play(pairing, [event("frame", 10.001, appended=1)])
    assert starts(moments(after)) == [0]


def test_a_strictly_paired_window_is_complete_only_with_all_that_it_awaits() -> None:
    pairing = Pairing(rules("frame", "caption", "audio"))
    everything = [one for t in range(4) for one in (*av(t), event("caption", t + 0.1))]
    del everything[1]  # the first clip
    first, *_ = moments([*play(pairing, everything), *pairing.flush()])
    assert first.missing == (Modality.AUDIO,)
    assert first.closed_by is ClosedBy.WATERMARK


def test_only_the_last_moment_before_a_silence_says_that_none_follows() -> None:
    pairing = Pairing(rules())
    before = moments(play(pairing, stream(0.0, 1.0, 2.0, 3.0, 4.0)))
    at_silence = moments(pairing.advance(seconds(60)))
    assert len(at_silence) > 1
    said = [moment.silent_after for moment in (*before, *at_silence)]
    assert said == [False] * (len(said) - 1) + [True]


def test_silence_is_counted_in_append_time_from_the_last_accepted_event() -> None:
    pairing = Pairing(rules(idle=10))
    play(pairing, stream(0.0, 5.0))
    outcomes = play(pairing, [event("frame", 0.1, appended=12)])  # late: it does not count
    assert late(outcomes)
    assert not moments(pairing.advance(seconds(14.9)))
    assert moments(pairing.advance(seconds(15)))


def test_neither_late_events_nor_duplicates_move_fronts_or_end_a_silence() -> None:
    pairing = Pairing(rules(idle=10))
    play(pairing, stream(0.0, 1.0, 2.0, 3.0))
    list(pairing.advance(seconds(100)))
    assert late(play(pairing, [event("frame", 2.5, appended=101)]))
    assert (pairing.active_sources, pairing.silent_sources) == (0, 1)
    back = play(pairing, [event("frame", 50.0, appended=102, name="x")])
    again = play(pairing, [event("frame", 99.0, appended=103, name="x")])
    assert [type(one) for one in again] == [Duplicate]
    assert not late(back)
    assert not late(play(pairing, [event("frame", 48.5, appended=104)]))  # the front is still 50


def test_the_longest_silent_source_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing_module, "MAX_SILENT_SOURCES", 2)
    pairing = Pairing(rules())
    for place, source in enumerate(("/a", "/b", "/c")):
        play(pairing, av(20.0 * place, source))
    list(pairing.advance(seconds(1000)))
    assert pairing.silent_sources == 2
    assert not late(play(pairing, [event("frame", 0.0, source="/a", appended=1000)]))
    assert late(play(pairing, [event("frame", 20.0, source="/b", appended=1000)]))


class TestCaptions:
    def test_it_waits_for_the_first_window_that_ends_after_its_time(self) -> None:
        pairing = Pairing(rules())
        found = moments(play(pairing, [event("caption", 2.5), *stream(*range(7))]))
        assert [m.start / 1e6 for m in found if Modality.CAPTION in m.present] == [2]

    def test_the_age_up_to_which_it_is_present_or_carried_is_inclusive(self) -> None:
        pairing = Pairing(rules(carry=2))
        found = moments(play(pairing, [event("caption", 1.0), *stream(*range(9))]))
        assert [m.start / 1e6 for m in found if m.carried] == [2, 3]
        pairing = Pairing(rules(carry=2))
        play(pairing, stream(*range(6)))  # closed up to 3
        assert not late(play(pairing, [event("caption", 1.0, appended=6)]))
        assert late(play(pairing, [event("caption", 0.999, appended=6)]))

    def test_front_lateness_does_not_apply_to_it(self) -> None:
        pairing = Pairing(rules())
        play(pairing, [*stream(0, 1), event("caption", 5.0)])
        assert not late(play(pairing, [event("caption", 0.0, appended=5)]))

    def test_one_that_no_window_takes_is_late_when_its_source_falls_silent(self) -> None:
        pairing = Pairing(rules())
        play(pairing, stream(0, 1))
        list(pairing.advance(seconds(20)))
        outcomes = play(pairing, [event("caption", 0.5, appended=21)])
        assert not late(outcomes)
        assert late(pairing.advance(seconds(40)))

    def test_it_does_not_reach_back_before_its_time(self) -> None:
        pairing = Pairing(rules())
        found = moments(play(pairing, [event("caption", 1.0), *stream(*range(5))]))
        assert not found[0].of(Modality.CAPTION)
        assert found[0].carried is None

    def test_a_caption_joins_the_next_window_that_closes_and_is_carried_up_to_its_age(self) -> None:
        pairing = Pairing(rules(carry=2))
        outcomes = play(pairing, [event("caption", 0.0), *stream(*range(9))])
        found = moments(outcomes)
        assert [Modality.CAPTION in moment.present for moment in found[:4]] == [
            True,
            False,
            False,
            False,
        ]
        assert [moment.carried is not None for moment in found[:4]] == [False, True, True, False]

    def test_a_caption_six_seconds_after_its_time_is_used(self) -> None:
        pairing = Pairing(rules(carry=7))
        outcomes = play(pairing, [*stream(*range(12)), event("caption", 5.0, appended=11)])
        outcomes += play(pairing, stream(12))
        assert not late(outcomes)
        (holder,) = (m for m in moments(outcomes) if Modality.CAPTION in m.present)
        assert holder.start == seconds(9)

    def test_a_caption_older_than_its_age_is_late(self) -> None:
        outcomes = play(Pairing(rules()), [*stream(*range(12)), event("caption", 3.0)])
        assert [one.modality for one in late(outcomes)] == [Modality.CAPTION]

    def test_an_older_caption_after_a_newer_one_is_present_but_not_carried(self) -> None:
        pairing = Pairing(rules())
        play(pairing, [*stream(0, 1, 2), event("caption", 1.5), *stream(3, 4)])
        outcomes = play(pairing, [event("caption", 1.0, appended=4), *stream(5, 6)])
        present, following = moments(outcomes)
        assert [one.time for one in present.of(Modality.CAPTION)] == [seconds(1.0)]
        assert following.carried is not None
        assert following.carried.time == seconds(1.5)

    def test_of_several_in_one_window_the_newest_speaks_and_all_are_in_it(self) -> None:
        pairing = Pairing(rules())
        captions = [event("caption", 0.2), event("caption", 0.6), event("caption", 0.4)]
        (moment,) = moments(play(pairing, [*captions, *stream(0, 1, 2, 3)]))
        assert len(moment.of(Modality.CAPTION)) == 3
        assert moment.caption is captions[1]

    def test_a_source_of_nothing_but_captions_gets_windows_from_them(self) -> None:
        pairing = Pairing(rules())
        found = moments(play(pairing, [event("caption", t) for t in (0.5, 4.0, 9.0)]))
        assert starts(found) == [0, 4]

    def test_strict_captions_wait_like_frames(self) -> None:
        pairing = Pairing(rules("frame", "caption", "audio"))
        assert not moments(play(pairing, [event("caption", 0.0), *stream(0, 1, 2, 3)]))
        (moment,) = moments(play(pairing, [event("caption", 3.5)]))
        assert moment.closed_by is ClosedBy.COMPLETE
        assert moment.carried is None

    def test_a_carried_caption_is_released_when_its_source_falls_silent(self) -> None:
        pairing = Pairing(rules())
        caption = event("caption", 3.0)
        play(pairing, [*stream(0, 1, 2, 3), caption, *stream(4, 5, 6)])
        outcomes = list(pairing.advance(seconds(100)))
        assert Released(caption) in outcomes


class TestCorrelation:
    def test_it_closes_when_all_awaited_are_there_and_later_members_are_late(self) -> None:
        pairing = Pairing(rules())
        outcomes = play(
            pairing,
            [event("frame", 5.0, correlation="c"), event("audio", 1.0, correlation="c")],
        )
        (moment,) = moments(outcomes)
        assert (moment.start, moment.end) == (seconds(1), seconds(5))
        assert moment.closed_by is ClosedBy.COMPLETE
        assert late(play(pairing, [event("caption", 5.0, correlation="c")]))

    def test_it_closes_as_a_window_from_its_earliest_event_otherwise(self) -> None:
        pairing = Pairing(rules())
        outcomes = play(pairing, [event("frame", 0.5, correlation="c"), *stream(1, 2, 3)])
        assert not [m for m in moments(outcomes) if m.correlation_id]
        outcomes = play(pairing, stream(3.5))
        assert [m.closed_by for m in moments(outcomes) if m.correlation_id] == [ClosedBy.WATERMARK]

    def test_front_lateness_does_not_apply_and_its_caption_is_not_carried(self) -> None:
        pairing = Pairing(rules())
        play(pairing, stream(*range(9)))
        old = event("caption", 8.0, correlation="c", appended=9)
        older = event("frame", 1.0, correlation="d", appended=9)  # far behind its front
        outcomes = play(pairing, [old, older, *stream(9, 10, 11, 12)])
        assert not late(outcomes)
        assert {moment.correlation_id for moment in moments(outcomes)} == {None, "c", "d"}
        assert all(moment.carried is None for moment in moments(outcomes))

    def test_it_is_complete_only_with_every_modality_that_is_configured(self) -> None:
        pairing = Pairing(rules())
        both = [event(kind, 1.0, correlation="c") for kind in ("frame", "caption")]
        assert not moments(play(pairing, both))

    def test_the_oldest_of_many_closed_ones_is_forgotten(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(source_pairing, "MAX_CLOSED_CORRELATIONS", 2)
        pairing = Pairing(rules())
        for name in ("a", "b", "c"):
            play(pairing, [event(kind, 1.0, correlation=name) for kind in ("frame", "audio")])
        assert late(play(pairing, [event("caption", 1.0, correlation="c")]))
        assert not late(play(pairing, [event("caption", 1.1, correlation="a")]))


class TestDuplicates:
    def test_it_is_checked_before_lateness(self) -> None:
        pairing = Pairing(rules())
        play(pairing, [event("audio", 0.0), event("frame", 0.0, name="1"), event("frame", 5.0)])
        outcomes = play(pairing, [event("frame", 0.0, name="1")])  # behind its front, still open
        assert [type(one) for one in outcomes] == [Duplicate]

    def test_the_same_id_of_another_modality_or_source_is_another_event(self) -> None:
        pairing = Pairing(rules())
        same = [event("frame", 0.0, name="1"), event("audio", 0.0, name="1")]
        outcomes = play(pairing, [*same, event("frame", 0.0, "/b", name="1")])
        assert not outcomes

    def test_after_the_close_it_is_late(self) -> None:
        pairing = Pairing(rules())
        play(pairing, [event("frame", 0.0, name="1"), *stream(0.5, 1, 2, 3)])
        assert late(play(pairing, [event("frame", 0.0, name="1", appended=3)]))

    def test_the_first_counts_while_its_moment_is_open(self) -> None:
        pairing = Pairing(rules())
        outcomes = play(pairing, [event("frame", 0.0, name="1"), event("frame", 0.1, name="1")])
        assert [type(one) for one in outcomes] == [Duplicate]

    def test_a_caption_that_is_carried_is_known(self) -> None:
        pairing = Pairing(rules())
        play(pairing, [event("caption", 0.0, name="c"), *stream(0, 1, 2, 3)])
        outcomes = play(pairing, [event("caption", 0.0, name="c", appended=3)])
        assert [type(one) for one in outcomes] == [Duplicate]

    def test_after_the_close_it_is_late_also_where_a_newer_caption_is_carried(self) -> None:
        pairing = Pairing(rules())
        newer = [event("caption", 0.5, name="d"), *stream(0, 1, 2, 3)]
        play(pairing, [event("caption", 0.0, name="c"), *newer])
        assert late(play(pairing, [event("caption", 0.0, name="c", appended=3)]))


# Arrival orders in which no event comes more than the grace after a later one of its modality.
arrivals = st.lists(
    st.tuples(
        st.sampled_from(["frame", "audio"]),
        st.integers(0, 200).map(lambda tenth: tenth / 10),
        st.integers(0, 19).map(lambda tenth: tenth / 10),
    ),
    min_size=1,
    max_size=60,
    unique_by=lambda item: item[:2],
)


@given(arrivals)
def test_any_arrival_order_within_grace_gives_the_same_moments(
    items: list[tuple[str, float, float]],
) -> None:
    in_order = [event(kind, time) for kind, time, _ in sorted(items, key=lambda item: item[1])]
    delayed = [
        event(kind, time, appended=time + delay)
        for kind, time, delay in sorted(items, key=lambda item: item[1] + item[2])
    ]

    def contents(events: list[Event]) -> list[tuple[int, list[str]]]:
        pairing = Pairing(rules(idle=100))
        outcomes = play(pairing, events) + list(pairing.flush())
        assert not late(outcomes)
        return [(m.start, [one.id for one in m.events]) for m in moments(outcomes)]

    assert contents(in_order) == contents(delayed)


chaos = st.lists(
    st.tuples(
        st.sampled_from(["frame", "caption", "audio"]),
        st.integers(0, 300).map(lambda tenth: tenth / 10),
        st.sampled_from(["/a", "/b"]),
        st.sampled_from([None, None, None, "c1", "c2"]),
    ),
    max_size=80,
)
PAIRINGS = st.sampled_from([("frame", "audio"), ("frame",), ("frame", "caption", "audio")])


@settings(max_examples=300)
@given(chaos, PAIRINGS)
def test_every_event_ends_in_exactly_one_place_and_nothing_stays(
    items: list[tuple[str, float, str, str | None]], awaited: tuple[str, ...]
) -> None:
    pairing = Pairing(rules(*awaited))
    events = [
        event(kind, time, source, appended=place / 2, correlation=correlation)
        for place, (kind, time, source, correlation) in enumerate(items)
    ]
    outcomes = play(pairing, events) + list(pairing.flush())
    ended = Counter[int]()
    for outcome in outcomes:
        match outcome:
            case Closed(moment, _):
                ended.update(one.record.offset for one in moment.events)
            case Late(one, _) | Duplicate(one):
                ended[one.record.offset] += 1
    assert ended == Counter(one.record.offset for one in events)
    assert all(entries == 0 for entries, _ in pairing.buffered().values())
    assert pairing.clock == max((one.record.timestamp for one in events), default=0)


def test_no_caption_is_carried_on_after_all_of_them_were_dropped() -> None:
    pairing = Pairing(rules(carry=5))
    told = play(pairing, [event("caption", 0.2), event("frame", 0.5), event("frame", 0.5, "/b")])
    told += pairing.flush()
    assert pairing.drop_captions() == ["/cameras/a"]
    assert pairing.drop_captions() == []
    told += [*pairing.add(event("frame", 2.5)), *pairing.flush()]
    assert moments(told)[-1].missing == (Modality.CAPTION, Modality.AUDIO)


@settings(max_examples=300)
@given(chaos)
def test_every_moments_records_are_released_once_pairing_needs_them_no_more(
    items: list[tuple[str, float, str, str | None]],
) -> None:
    pairing = Pairing(rules())
    events = [
        event(kind, time, source, appended=place / 2, correlation=correlation)
        for place, (kind, time, source, correlation) in enumerate(items)
    ]
    outcomes = play(pairing, events) + list(pairing.flush())
    let_go = Counter[int]()
    for outcome in outcomes:
        match outcome:
            case Closed(_, released):
                let_go.update(one.record.offset for one in released)
            case Late(one, _) | Duplicate(one) | Released(one):
                let_go[one.record.offset] += 1
    assert let_go == Counter(one.record.offset for one in events)


@given(chaos)
def test_windows_of_a_source_close_in_order_and_the_watermark_never_takes_one_back(
    items: list[tuple[str, float, str, str | None]],
) -> None:
    pairing = Pairing(rules())
    events = [event(kind, time, source) for kind, time, source, _ in items]
    outcomes = play(pairing, events) + list(pairing.flush())
    for source in ("/a", "/b"):
        ends = [m.end for m in moments(outcomes) if m.source == source]
        assert ends == sorted(set(ends))
