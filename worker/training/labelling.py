"""Labelled events as labels of Moments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from worker.evaluation.labels import EventLabel
from worker.evaluation.moments import Judged, events
from worker.training.dataset import NORMAL, Row


def labels_of(rows: Sequence[Row], labels: Iterable[EventLabel]) -> list[str | None]:
    """Return for each row the kind of the event that it shows a part of.

    Of sources that have labels all else is normal; of others nothing is known (None). Raises
    OperatorError where no label matches a row.
    """
    moments = [_moment(row) for row in rows]
    known, _ = events(labels, moments)
    sources = {event.source for event in known}
    found: list[str | None] = []
    for moment in moments:
        kinds = [event.kind for event in known if event.covers(moment)]
        usual = NORMAL if moment.source in sources else None
        found.append(kinds[0] if kinds else usual)
    return found


def _moment(row: Row) -> Judged:
    """Return what the search for events needs of a row: it says nothing of scores."""
    return Judged(
        observation_id="",
        source=row.source,
        start=row.start,
        end=row.end,
        p_value=None,
        experts={},
        present=(),
        told=False,
        alert_id=None,
    )
