"""Plays a plan: time passes, records come, members take turns, things go wrong; all by the seed."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random

from tests.simulation.cache import FaultyCache
from tests.simulation.log import GROUP, Crash, SimLog
from tests.simulation.member import Member
from tests.simulation.people import FEEDBACK, word
from tests.simulation.plan import AT_COMMIT, HARMLESS, IDLE, Fault, Plan
from tests.simulation.reading import held, inputs
from tests.simulation.stream import START, TOPICS
from tests.simulation.telemetry import Counts
from worker.adapters.memory_log import Transaction
from worker.core.ports import LogError, TopicPartition
from worker.core.rfc3339 import seconds
from worker.demo.embedded import VirtualClock

OUTPUTS = ("observations", "alerts", "dead-letters", "late-events")
STATE = ("snapshots", FEEDBACK)
MAX_MEMBERS = 3
MAX_ROUNDS = 3000  # of a second each, to come to rest after the last record
STEPS_KEPT = 40


@dataclass
class Run:
    """What is left when all is at rest: the log, and how it came about."""

    log: SimLog
    counts: list[Counts] = field(default_factory=list)  # of all members
    unaccounted: int = 0  # records, by those who were there at the end
    longest_queue: int = 0  # in records of one partition that wait to be merged
    rested: bool = True
    crashes: int = 0
    gone: dict[str, int] = field(default_factory=dict)  # when a process ended uncleanly
    faults: Counter[str] = field(default_factory=Counter)
    drained: Mapping[TopicPartition, int] = field(default_factory=dict)  # where they stood then
    held: list[str] = field(default_factory=list)  # by states, at that time
    steps: deque[str] = field(default_factory=lambda: deque(maxlen=STEPS_KEPT))


def new_log(plan: Plan, clock: VirtualClock) -> SimLog:
    """Return an empty log with all topics."""
    return SimLog(dict.fromkeys((*TOPICS.values(), *OUTPUTS, *STATE), plan.partitions), clock)


class Simulation:
    """One run of one plan."""

    def __init__(
        self, plan: Plan, log: SimLog | None = None, clock: VirtualClock | None = None
    ) -> None:
        self._plan = plan
        self._random = Random(f"schedule {plan.seed}")
        self._people = Random(f"words {plan.seed}")
        self._clock = clock or VirtualClock(START)
        self._log = log or new_log(plan, self._clock)
        self._embeddings = FaultyCache(self._random)
        self._records = deque(plan.records[: plan.drained])
        self._drains = False
        self._faults = deque(plan.faults)
        self._later: list[tuple[int, Callable[[], None]]] = []
        self._members: list[Member] = []
        self._joined = 0
        self.result = Run(self._log)

    def run(self) -> Run:
        self._start()
        if self._plan.drained is not None:
            while self._records:
                self._go_on()
            self.drain()
            self._records.extend(self._plan.records[self._plan.drained :])
            self._plan = self._plan.changed
            self._start()
        while self._records or self._faults:
            self._go_on()
        self._come_to_rest()
        return self._finished()

    def drain(self) -> Run:
        """Stop all members; let as many read to the end, close what is open, and end."""
        self._note("-- drain")
        self._drains, rounds = True, 0
        for member in tuple(self._members):
            self._leave(member)
        while len(self._members) + len(self._later) < self._plan.members:
            self._join()
        while (self._members or self._later) and rounds < MAX_ROUNDS:
            self._go_on()
            for member in [each for each in self._members if each.worker.drained]:
                self._leave(member)
            rounds += 1
        self._drains = False
        self.result.rested &= rounds < MAX_ROUNDS
        self.result.drained = {each: self._log.end(each) for each in inputs(self._log)}
        self.result.held = held(self._log)
        return self.result

    def _start(self) -> None:
        for _ in range(self._plan.members):
            self._join()
        for member in self._members * 3:  # all are there before the first record
            self._step(member)

    def _go_on(self) -> None:
        self._pass_time(self._random.choice((0.0, 0.05, 0.2, 0.2, 0.5)))
        while self._faults and self._faults[0][0] <= self._clock.now:
            self._begin(self._faults.popleft()[1])
        if not self._drains and self._people.random() < self._plan.talks:
            self._log.append(word(self._people, self._log, self._clock.now))
            self._note("-- somebody says something")
        self._turn()

    def _turn(self) -> None:
        ready = [one for one in self._members if one.frozen_until <= self._clock.now]
        if ready:
            self._step(self._random.choice(ready))

    def _come_to_rest(self) -> None:
        """Let everybody step until there is nothing to do; then let all sources fall silent.

        Who begins anew meanwhile, after a crash or an eviction, waits for silence anew.
        """
        self._log.armed = None
        self._embeddings.ill = False
        self._rest_after(0.0)
        while self._rest_after(IDLE + 2) and self.result.rested:
            pass

    def _rest_after(self, pause: float) -> bool:
        """Tell whether there was anything to do after the pause, which is all done."""
        self._pass_time(pause)
        quiet, rounds, was_busy = 0, 0, False
        while quiet < 5 and rounds < MAX_ROUNDS:
            self._pass_time(0.6 if quiet else 0.2)
            busy = [self._step(member) for member in tuple(self._members)]
            is_quiet = busy and not (any(busy) or self._later)
            quiet = quiet + 1 if is_quiet else 0
            was_busy |= not is_quiet
            rounds += 1
        self.result.rested &= rounds < MAX_ROUNDS
        return was_busy

    def _finished(self) -> Run:
        for member in self._members:
            try:
                member.worker.finish(60)
            except LogError:
                self._note(f"{member.name} could not finish")
                self.result.rested = False
            self.result.unaccounted += abs(member.counts.unaccounted)
        self.result.faults.update(self._log.fired)
        return self.result

    def _pass_time(self, pause: float) -> None:
        """Let time pass; what is due meanwhile happens at its own time."""
        until = self._clock.now + seconds(pause)
        while self._records and self._records[0].at <= until:
            planned = self._records.popleft()
            self._clock.now = max(self._clock.now, planned.at)
            self._log.append(planned.output)
        self._clock.now = max(self._clock.now, until)
        due = [work for at, work in self._later if at <= self._clock.now]
        self._later = [(at, work) for at, work in self._later if at > self._clock.now]
        for work in due:
            work()

    def _in(self, low: float, high: float, work: Callable[[], None]) -> None:
        self._later.append((self._clock.now + seconds(self._random.uniform(low, high)), work))

    def _join(self, process: str = "") -> None:
        """Let a new process join, or one whose session has ended."""
        self._joined += 1
        name = f"member {self._joined}"
        random = Random(f"{name} {self._plan.seed}")
        member = Member(
            name,
            self._log,
            self._plan,
            random,
            self._embeddings,
            self._clock,
            process or name,
            self._drains,
            seconds(self._random.choice((-3600, 0, 0, 2, 3600))),  # hosts do not agree
        )
        self._members.append(member)
        self.result.counts.append(member.counts)
        self._note(f"{name} joins")

    def _step(self, member: Member) -> bool:
        try:
            is_busy = member.worker.step()
        except LogError as error:
            self._note(f"{member.name} ends its session: {error.reason}")
            member.leave()
            self._replace(member, member.process)
            return True
        except Crash:
            self._crash(member)
            return True
        self._note(f"{member.name} steps{', busy' if is_busy else ''}")
        return is_busy

    def _crash(self, member: Member) -> None:
        """It is gone: its transaction stays open for a while, its place in the group too."""
        self._note(f"{member.name} crashes")
        self.result.crashes += 1
        self.result.gone[member.process] = self._clock.now
        transaction = self._log.current
        if transaction is not None and not transaction.committed:
            transaction.open = True
            self._in(0, 4, partial(_abort, transaction))
        self._in(0, 3, partial(self._log.evict, GROUP, member.input.member))
        self._replace(member)

    def _replace(self, member: Member, process: str = "") -> None:
        self._members.remove(member)
        self._in(0, 2, partial(self._join, process))

    def _begin(self, fault: Fault) -> None:
        self._note(f"-- {fault}")
        if fault in AT_COMMIT:
            self._log.armed = fault
            return
        if fault is Fault.JOIN:
            self._begin_join()
            return
        if self._members:
            self._do(fault, self._random.choice(self._members))
            self.result.faults[fault] += 1

    def _begin_join(self) -> None:
        if len(self._members) < MAX_MEMBERS:
            self._join()
            self.result.faults[Fault.JOIN] += 1

    def _do(self, fault: Fault, member: Member) -> None:
        match fault:
            case Fault.KILL:
                self._log.current = None
                self._crash(member)
            case Fault.EVICTION:
                self._log.evict(GROUP, member.input.member)
                member.input.blind = self._random.randint(0, 12)
            case Fault.LEAVE:
                self._leave(member)
            case Fault.POLL_ERROR:
                member.input.fail_next = True
            case Fault.FREEZE:
                member.frozen_until = self._clock.now + seconds(self._random.uniform(1, 8))
            case Fault.PAUSE:
                length = self._random.uniform(0.5, 8)
                member.input.pause_next = partial(self._pass_time, length)
            case Fault.SLOW:
                member.slow = not member.slow
            case Fault.CLOCK:
                member.skew += seconds(self._random.choice((-3600, -3, 3, 3600)))
            case Fault.CACHE:
                self._embeddings.ill = not self._embeddings.ill
            case _:
                raise AssertionError(fault)

    def _leave(self, member: Member) -> None:
        """Stop as at a signal, or since all is drained; a commit may fail meanwhile."""
        is_over = member.worker.drained is not None
        try:
            member.worker.finish(60)
        except LogError:
            self._note(f"{member.name} could not finish")
            self.result.gone[member.process] = self._clock.now
            is_over = False
        except Crash:
            self._crash(member)
            return
        member.leave()
        if is_over:
            self._members.remove(member)
        else:
            self._replace(member)

    def _note(self, text: str) -> None:
        self.result.steps.append(f"{(self._clock.now - START) / 1e6:9.3f} {text}")


def _abort(transaction: Transaction) -> None:
    transaction.open = False


assert set(HARMLESS).isdisjoint(AT_COMMIT)
