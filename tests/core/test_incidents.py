"""Incidents: alerts of neighbours that begin at about one time share an id."""

from __future__ import annotations

from worker.core.incidents import Incident, Neighbourhoods
from worker.core.rfc3339 import seconds
from worker.core.source_patterns import SourcePatterns

NEAR = Neighbourhoods(
    (SourcePatterns(("/gate-*", "/yard")), SourcePatterns(("/roof", "/yard"))), within=seconds(10)
)
ALERT = "a" * 32


def joined(source: str, second: float, **others: tuple[str, float]) -> str | None:
    known = {f"/{name}": Incident(each, seconds(at)) for name, (each, at) in others.items()}
    incident = NEAR.incident(source, ALERT, seconds(second), known)
    assert incident is None or incident.time == seconds(second)
    return None if incident is None else incident.id


def test_an_alert_by_itself_is_an_incident_of_its_own() -> None:
    assert joined("/yard", 5) == ALERT


def test_a_source_in_no_group_has_no_incidents() -> None:
    assert joined("/lobby", 5, yard=("b", 5)) is None


def test_neighbours_alerts_are_one_incident_where_they_begin_within_the_time() -> None:
    assert joined("/yard", 15, roof=("b", 5)) == "b"
    assert joined("/yard", 15.1, roof=("b", 5)) == ALERT
    assert joined("/yard", 5, roof=("b", 15)) == "b"  # event times of sources are in no order


def test_sources_of_different_groups_are_not_neighbours() -> None:
    assert joined("/roof", 5, **{"gate-1": ("b", 5)}) == ALERT


def test_of_several_the_newest_is_joined_and_its_own_last_one_is_not() -> None:
    assert joined("/yard", 9, roof=("b", 3), **{"gate-1": ("c", 4)}) == "c"
    assert joined("/yard", 9, yard=("b", 3)) == ALERT
