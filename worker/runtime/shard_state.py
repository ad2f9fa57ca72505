"""The state of a partition index as values: how it is taken from its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from worker.core.events import MODALITIES, Event
from worker.core.inbox import Inbox
from worker.core.moment import Moment
from worker.core.pairing import Pairing
from worker.core.ports import Output
from worker.core.references import Remembered
from worker.core.source_state import Kept, SourceState, UnsettledMoment, place_of
from worker.runtime.gate import Numbered
from worker.runtime.judge import Judge
from worker.runtime.reference_records import StoredReference, write_reference
from worker.runtime.state_records import REFERENCE, SHADOW, IndexState, Numbers, StateWriter

Keep = Callable[[Event], Kept]
Sizes = Mapping[str, tuple[int, int]]  # by kind a number of records, and their bytes


def source_states(
    names: Collection[str],
    pairing: Pairing,
    unsettled: Iterable[Numbered],
    judge: Judge,
    inbox: Inbox,
    keep: Keep,
) -> Iterator[SourceState]:
    """Yield what is remembered of each source; `keep` says how an event is to be found again."""
    moments: dict[str, list[UnsettledMoment]] = {}
    for number, moment in unsettled:
        if moment.source not in names:
            continue
        moments.setdefault(moment.source, []).append(_stored(number, moment, keep))
    for name in sorted(names):
        yield SourceState(
            source=name,
            pairing=pairing.state(name, keep),
            unsettled=tuple(moments.get(name, ())),
            alert=judge.alert_of(name),
            learned=judge.learned_from(name),
            said=inbox.of(name),
            shadow=judge.shadow_of(name),
            shadow_learned=judge.learned_from(name, SHADOW),
        )


def state_records(
    writer: StateWriter,
    index: IndexState,
    states: Iterable[SourceState],
    forgotten: Iterable[tuple[Numbers, str]],
) -> Iterator[Output]:
    """Yield the records of a commit: the sources that changed, and what all of them share."""
    for kind, source in forgotten:
        yield writer.nothing(kind, source)
    for state in states:
        yield writer.source(index.number, state)
    yield writer.index(index)


def reference_records(
    writer: StateWriter, number: int, model: str, remembered: Mapping[str, Remembered | None]
) -> Iterator[Output]:
    """Yield the records of what stands for the frames of the sources where that changed."""
    for source, each in sorted(remembered.items()):
        if each is None:
            yield writer.nothing(REFERENCE, source)
        else:
            value = write_reference(StoredReference(number, model, each))
            yield writer.reference(source, value)


def all_buffered(
    pairing: Pairing, unsettled: Iterable[Numbered], restored: Iterable[Event], merged: Sizes
) -> Sizes:
    """Return the records that are anywhere between the log and the judge, and their bytes."""
    entries, sizes = Counter[str](), Counter[str]()
    for known in (pairing.buffered(), merged):
        for modality, (count, size) in known.items():
            entries[modality] += count
            sizes[modality] += size
    held = [event for _, moment in unsettled for event in moment.events]
    for event in (*held, *restored):
        entries[event.modality] += 1
        sizes[event.modality] += event.record.size
    kinds = (*MODALITIES, *(known for known in merged if known not in MODALITIES))
    return {kind: (entries[kind], sizes[kind]) for kind in kinds}


def _stored(number: int, moment: Moment, keep: Keep) -> UnsettledMoment:
    return UnsettledMoment(
        number=number,
        start=moment.start,
        end=moment.end,
        events=tuple(map(place_of, moment.events)),
        closed_by=moment.closed_by,
        carried=None if moment.carried is None else keep(moment.carried),
        correlation_id=moment.correlation_id,
        amends=moment.amends,
        silent_after=moment.silent_after,
    )
