"""A consumer group as Kafka's classic protocol has it: eager rebalances, range assignment.

A rebalance waits until every member has taken part. Meanwhile nobody reads on, and the members of
the old generation may still commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from worker.core.ports import Committed, TopicPartition


class Group:
    """Members, generation, and committed offsets. Callers hold the log's lock."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        self._topics = topics
        self._members: dict[str, tuple[str, ...]] = {}
        self._processes: dict[str, str] = {}
        self._ready: set[str] = set()
        self._assigned: dict[str, frozenset[TopicPartition]] = {}
        self._generation = 0
        self._joined = 0
        self.rebalancing = False
        self.offsets: dict[TopicPartition, Committed] = {}

    def join(self, topics: Sequence[str], process: str = "") -> str:
        """Add a member and begin a rebalance; return its id. Without a `process` it is its own."""
        self._joined += 1
        member = f"member-{self._joined:06d}"
        self._members[member] = tuple(topics)
        self._processes[member] = process or member
        self._begin()
        return member

    def leave(self, member: str) -> None:
        """Remove a member, if it is one, and begin a rebalance."""
        if self._members.pop(member, None) is not None:
            self._assigned.pop(member, None)
            self._begin()

    @property
    def processes(self) -> frozenset[str]:
        """The processes of all members."""
        return frozenset(self._processes[member] for member in self._members)

    def process(self, member: str) -> str:
        """Return the process that a member is, or was, a session of."""
        return self._processes[member]

    def has(self, member: str) -> bool:
        """Return whether this is a member."""
        return member in self._members

    def sync(self, member: str) -> int:
        """Take part in a rebalance, if there is one; return the member's generation, or -1.

        The last member to take part ends the rebalance.
        """
        if self.rebalancing:
            self._ready.add(member)
            if self._ready >= set(self._members):
                self._complete()
        return self._generation if member in self._assigned else -1

    def assignment(self, member: str) -> frozenset[TopicPartition]:
        """Return the partitions of a member."""
        return self._assigned.get(member, frozenset())

    def is_current(self, member: object, generation: int) -> bool:
        """Return whether a commit with this proof is to be accepted."""
        return generation == self._generation and member in self._assigned

    def _begin(self) -> None:
        self.rebalancing = bool(self._members)
        self._ready.clear()

    def _complete(self) -> None:
        self.rebalancing = False
        self._generation += 1
        self._assigned = range_assignment(self._members, self._topics)


def range_assignment(
    members: Mapping[str, Sequence[str]], topics: Mapping[str, int]
) -> dict[str, frozenset[TopicPartition]]:
    """Share each topic's partitions out in runs, to its members in the order of their ids.

    The first members get one more where it does not come out even. Members that subscribe to the
    same topics, all with equally many partitions, get the same numbers of each.
    """
    shares: dict[str, set[TopicPartition]] = {member: set() for member in members}
    for topic in sorted({topic for subscribed in members.values() for topic in subscribed}):
        subscribers = sorted(member for member in members if topic in members[member])
        size, extra = divmod(topics[topic], len(subscribers))
        start = 0
        for number, member in enumerate(subscribers):
            end = start + size + (number < extra)
            shares[member].update(TopicPartition(topic, index) for index in range(start, end))
            start = end
    return {member: frozenset(share) for member, share in shares.items()}
