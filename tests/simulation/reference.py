"""The undisturbed run that a run is compared with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tests.simulation.log import SimLog
from tests.simulation.plan import Plan
from tests.simulation.reading import Reading
from tests.simulation.run import Run, Simulation, new_log
from tests.simulation.stream import START, fatal_contents
from worker.core.events import Record
from worker.core.ports import Output, TopicPartition
from worker.demo.embedded import VirtualClock


def replay(plan: Plan, run: Run, found: Reading) -> Run:
    """Run one member that nothing disturbs over the same inputs, with their append times.

    Where events were given up that other faults than their own ended processes over, those are
    fatal here: the audit says whether they had to be given up, this whether all else is as then.
    """
    clock = VirtualClock(START)
    copy = new_log(plan, clock)
    records = _as_treated(found)
    before = Run(copy)
    if plan.drained is not None:
        _append([one for one in records if _is_before(run, one)], copy, clock)
        records = [one for one in records if not _is_before(run, one)]
        before = Simulation(_undisturbed(plan), copy, clock).drain()
        plan = plan.changed
    _append(records, copy, clock)
    result = Simulation(_undisturbed(plan), copy, clock).run()
    result.counts += before.counts
    result.rested &= before.rested
    result.crashes += before.crashes
    return result


def _as_treated(found: Reading) -> list[Record]:
    """Return the inputs in the order of their append times; what was quarantined is fatal."""
    records = [
        replace(record, value=fatal_contents()[record.topic]) if place in found.given_up else record
        for place, record in found.inputs.items()
    ]
    records += found.words.values()
    return sorted(records, key=lambda one: (one.timestamp, one.offset))


def _is_before(run: Run, record: Record) -> bool:
    """Tell whether it was drained."""
    return record.offset < run.drained[TopicPartition(record.topic, record.partition)]


def _append(records: Iterable[Record], log: SimLog, clock: VirtualClock) -> None:
    for record in records:
        clock.now = record.timestamp
        log.append(_output(record))


def _output(record: Record) -> Output:
    return Output(record.topic, record.key, record.value, record.headers, record.partition)


def _undisturbed(plan: Plan) -> Plan:
    calm = Plan(
        plan.seed,
        plan.strict,
        plan.partitions,
        1,
        500,
        2000,
        (),
        (),
        hears=plan.hears,
        fusions=plan.fusions,
    )
    return calm.changed if plan.is_changed else calm
