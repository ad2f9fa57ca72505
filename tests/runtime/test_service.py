"""Sessions: how they begin, fail, begin again and stop; whatever happens, everything is closed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runtime.builders import (
    GROUP,
    PATIENCE,
    CheckedOutbox,
    HashEncoder,
    World,
    config,
    encoders,
    endings_of,
    footage,
)
from worker.adapters.prometheus import Metrics
from worker.core.events import Modality
from worker.core.ports import LogError, Output
from worker.demo.tally import read_tally
from worker.errors import FailedRunError, OperatorError
from worker.models.base import Encoder, EncoderError
from worker.runtime import service as service_module
from worker.runtime.assemble import build_pipeline, worker_rules
from worker.runtime.drain import Drained
from worker.runtime.health import Health
from worker.runtime.inference import Inference
from worker.runtime.service import Service
from worker.runtime.worker import Ports

LOOK_SECONDS = 0.0005  # in which the stages have the processor


class Site:
    """A service over a world, in a thread that can be watched; it remembers all that it opened."""

    def __init__(
        self,
        world: World,
        using: Mapping[Modality, Encoder] | None = None,
        *,
        drains: bool = False,
    ) -> None:
        self.world = world
        self.metrics = Metrics(tuple(world.inputs.values()))
        self.health = Health(lambda: 0.0, 300)
        self.outboxes: list[CheckedOutbox] = []
        self.inferences: list[Inference] = []
        self.refuse: list[Exception] = []
        self.stop = threading.Event()
        self._pipeline = build_pipeline(world.settings, using or encoders())
        self.service = Service(
            open_ports=self._open_ports,
            open_inference=self._open_inference,
            rules=worker_rules(world.settings, self._pipeline, world.partitions, {}),
            health=self.health,
            drains=drains,
        )

    def until(self, condition: Callable[[], bool]) -> Drained | None:
        """Run the service; stop it once the condition holds at a look at the clock."""
        deadline = time.monotonic() + PATIENCE

        def now() -> int:
            assert time.monotonic() < deadline, "it did not come to pass"
            time.sleep(LOOK_SECONDS)
            if condition():
                self.stop.set()
            self.world.clock.now += 20_000
            return self.world.clock.now

        self._now = now
        return self.service.run(self.stop)

    @property
    def members(self) -> int:
        return len(self.world.log.group(GROUP)._members)

    def tally(self) -> Any:
        return read_tally(self.metrics.render("")[0].decode())

    def _open_ports(self) -> Ports:
        if self.refuse:
            raise self.refuse.pop()
        ports = self.world.ports(now=self._now)
        assert isinstance(ports.outbox, CheckedOutbox)
        self.outboxes.append(ports.outbox)
        return replace(ports, telemetry=self.metrics)

    def _open_inference(self) -> Inference:
        self.inferences.append(Inference(self._pipeline, None, self.metrics, 1))
        return self.inferences[-1]


@pytest.fixture(name="world")
def _world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(service_module, "MAX_BACKOFF_SECONDS", 0.01)
    here = World()
    here.append(footage(12))
    yield here
    here.close()


def all_closed(site: Site) -> bool:
    idle = all(not thread.is_alive() for each in site.inferences for thread in each._threads)
    refusing = all(
        isinstance(outbox._outbox._failed, bool) and outbox._outbox._failed
        for outbox in site.outboxes
    )
    return idle and refusing and not site.members


def test_it_runs_until_it_is_stopped_and_commits_what_was_in_flight(world: World) -> None:
    site = Site(world)
    site.until(lambda: len(world.observations()) == 12)
    assert endings_of(world) == Counter(observed=27)
    assert all_closed(site)
    assert not site.health.readiness().ok
    tally = site.tally()
    assert tally.reconciles
    assert tally.buffered == 0


def test_a_stop_in_the_middle_drains_and_commits(world: World) -> None:
    site = Site(world)
    site.until(lambda: bool(site.inferences[-1].in_flight))
    assert len(world.observations()) >= 5
    tally = site.tally()
    assert tally.reconciles
    assert tally.outcomes["returned"] > 0  # the open windows, for whoever comes next
    again = Site(world)
    again.until(lambda: len({one.window_start for one in world.observations()}) == 12)
    endings_of(world)
    assert len(world.observations()) == 12


def test_after_a_failed_commit_a_new_session_begins_at_the_committed_offsets(world: World) -> None:
    site = Site(world)

    def condition() -> bool:
        if len(site.outboxes) == 1 and not site.outboxes[0].units:
            site.outboxes[0].fail_next = True
        return len({one.observation_id for one in world.observations()}) == 12

    site.until(condition)
    assert len(site.outboxes) == 2
    assert endings_of(world) == Counter(observed=27)  # nothing of the first was visible
    assert all_closed(site)
    tally = site.tally()
    assert tally.reconciles
    value = site.metrics.registry.get_sample_value
    assert value("mmworker_commit_failures_total", {"reason": "commit_failed"}) == 1


def test_no_new_session_shares_encoders_with_a_stage_that_is_left_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(world)

    def condition() -> bool:
        site.outboxes[0].fail_next = True
        return len(site.outboxes) > 1

    def unfinished(inference: Inference) -> bool:
        close(inference)
        return False

    close = Inference.close
    monkeypatch.setattr(Inference, "close", unfinished)
    with pytest.raises(FailedRunError):
        site.until(condition)
    assert len(site.inferences) == 1
    assert all_closed(site)


def test_a_failure_that_a_retry_cannot_help_ends_the_run(world: World) -> None:
    site = Site(world)
    site.refuse = [LogError("offset_out_of_range", "records are gone", retriable=False)]
    with pytest.raises(FailedRunError, match="records are gone"):
        site.until(lambda: False)
    assert all_closed(site)


def test_it_gives_up_after_some_failures_in_a_row(world: World) -> None:
    site = Site(world)
    site.refuse = [LogError("kafka_connection", "no broker", retriable=True) for _ in range(99)]
    with pytest.raises(FailedRunError, match="no broker"):
        site.until(lambda: False)
    assert len(site.refuse) == 99 - service_module.MAX_FAILURES


def test_an_operators_mistake_at_the_start_is_told_at_once(world: World) -> None:
    site = Site(world)
    site.refuse = [OperatorError("no Kafka broker answers")]
    with pytest.raises(OperatorError):
        site.until(lambda: False)
    assert all_closed(site)


def test_brokers_that_go_away_later_are_waited_for(world: World) -> None:
    site = Site(world)

    def condition() -> bool:
        if len(site.outboxes) == 1 and not site.outboxes[0].units:
            site.outboxes[0].fail_next = True
            site.refuse = [OperatorError("no Kafka broker answers") for _ in range(3)]
        return len({one.observation_id for one in world.observations()}) == 12

    site.until(condition)
    assert not site.refuse


def test_an_encoders_error_is_one_clean_sentence_and_closes_everything(world: World) -> None:
    class Failing(HashEncoder):
        def encode(self, batch: Any) -> NDArray[np.float16]:
            raise EncoderError("zero", "encoder x returned a vector without a direction")

    site = Site(world, encoders(frame=Failing(Modality.FRAME)))
    with pytest.raises(FailedRunError, match="encoder x returned"):
        site.until(lambda: False)
    assert all_closed(site)


def test_an_error_that_nobody_expected_closes_everything_too(world: World) -> None:
    class Broken(HashEncoder):
        def encode(self, batch: Any) -> NDArray[np.float16]:
            raise ZeroDivisionError

    site = Site(world, encoders(frame=Broken(Modality.FRAME)))
    with pytest.raises(ZeroDivisionError):
        site.until(lambda: False)
    assert all_closed(site)


def test_what_was_opened_is_closed_where_the_rest_cannot_be_opened(world: World) -> None:
    site = Site(world)
    site.refuse = [RuntimeError("no file descriptors left")]
    with pytest.raises(RuntimeError):
        site.until(lambda: False)
    assert all_closed(site)


def test_a_drain_ends_by_itself_even_where_a_commit_failed_before(world: World) -> None:
    site = Site(world, drains=True)

    def fail_the_first_commit() -> bool:
        if len(site.outboxes) == 1:
            site.outboxes[0].fail_next = True
        return False

    assert site.until(fail_the_first_commit) == Drained((0,), 3)
    assert len(site.outboxes) == 2
    assert endings_of(world) == Counter(observed=27)
    assert all_closed(site)


def test_a_drain_that_is_told_to_stop_commits_what_it_has_and_says_that_it_has_not_drained(
    world: World,
) -> None:
    site = Site(world, drains=True)
    assert site.until(lambda: bool(site.outboxes)) is None
    assert not world.observations()
    assert Site(world, drains=True).until(lambda: False) == Drained((0,), 3)
    assert endings_of(world) == Counter(observed=27)


def test_too_many_dead_letters_end_it_once_all_that_was_read_is_committed(world: World) -> None:
    world.settings = config(limits__max_dead_letters_in_a_row=3)
    for _ in range(5):
        world.append_output(Output("frames", None, b"garbage"))
    site = Site(world)
    with pytest.raises(FailedRunError, match=r"in a row became dead letters.*missing_header"):
        site.until(lambda: False)
    committed = world.log.group(GROUP).offsets
    assert len(world.values("dead-letters")) == 5
    assert all_closed(site)
    again = Site(world)
    again.until(lambda: len(world.observations()) >= 12)
    assert again.tally().outcomes["dead_letter"] == 0  # and it counts anew
    assert all(world.log.group(GROUP).offsets[p].offset >= at.offset for p, at in committed.items())
