"""What a worker tells of itself, seen from the scraper's side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.runtime.builders import Member, World, config, event, footage, in_time_order
from worker.core.ports import Output
from worker.feed.events import to_output

TRACE = "0af7651916cd43dd8448eb211c80319c"
MANY = 10_000


class Unaudited(World):
    """Does not look through all of the log at each commit."""

    def check_offsets(self) -> None:
        pass


@pytest.fixture
def world() -> Iterator[World]:
    made = Unaudited(config(scoring__calibration_moments=20), partitions=3)
    yield made
    made.close()


def through(world: World) -> Member:
    """Join, decide everything that is in the log, leave."""
    member = world.join()
    member.run()
    world.fall_silent()
    member.run()
    member.leave()
    return member


def exposed(member: Member) -> set[str]:
    """Return the names and labels of all series."""
    lines = member.metrics.render("text/plain")[0].decode().splitlines()
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


def traced(output: Output, flags: str = "01") -> Output:
    header = ("traceparent", f"00-{TRACE}-b7ad6b7169203331-{flags}".encode())
    return replace(output, headers=(*output.headers, header))


def test_ten_thousand_sources_have_no_more_series_than_a_few(world: World) -> None:
    world.append(in_time_order(*(footage(3, f"/cameras/{number}") for number in range(12))))
    few = exposed(through(world))
    member = world.join()
    for part in range(0, MANY, 1000):
        numbers = range(part, part + 1000)
        world.append(event("caption", 60 + n / 1000, f"/cameras/crowd-{n}") for n in numbers)
        member.run()
        world.fall_silent()
        member.run()
    member.leave()
    assert member.metric("moments_total", outcome="idle_closed") == MANY
    assert exposed(member) == few
    assert "crowd" not in member.metrics.render("text/plain")[0].decode()


def test_the_delays_of_a_traced_event_lead_to_its_trace(world: World) -> None:
    world.append_output(traced(to_output(event("frame", 0), world.inputs)))
    member = through(world)
    text = member.metrics.render("application/openmetrics-text")[0].decode()
    lines = [line for line in text.splitlines() if f'# {{trace_id="{TRACE}"}}' in line]
    for stage in ("ingest", "scored", "published"):
        assert sum(f'stage="{stage}"' in line for line in lines) == 1


def test_a_trace_that_nobody_records_is_not_pointed_to(world: World) -> None:
    world.append_output(traced(to_output(event("frame", 0), world.inputs), flags="00"))
    text = through(world).metrics.render("application/openmetrics-text")[0].decode()
    assert TRACE not in text


def test_each_moment_tells_what_it_has_of_each_modality(world: World) -> None:
    world.append([*footage(4, captions=False), event("caption", 1.5)])
    member = through(world)
    states = {
        (modality, state): member.metric("moment_modalities_total", modality=modality, state=state)
        for modality in ("frame", "caption", "audio")
        for state in ("present", "carried", "missing")
    }
    assert {key: count for key, count in states.items() if count} == {
        ("frame", "present"): 4,
        ("audio", "present"): 4,
        ("caption", "present"): 1,
        ("caption", "carried"): 2,
        ("caption", "missing"): 1,
    }


def test_only_moments_of_sources_that_are_warm_have_a_p_value(world: World) -> None:
    world.append(footage(60))
    member = through(world)
    judged = [one for one in world.observations() if not one.assessment.warming_up]
    assert 0 < len(judged) < 60
    assert member.metric("p_value_count") == len(judged)
