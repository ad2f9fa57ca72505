"""Decides about every Moment a second time, by what is tried: nothing but a record comes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from worker.core.alerts import AlertState
from worker.core.false_discoveries import Discoveries
from worker.core.messages import DecisionRecord, Feedback
from worker.core.verdicts import Verdict
from worker.runtime.alert_book import AlertBook
from worker.runtime.seen import Seen, decision_record
from worker.scoring.recent import Mark, Meant
from worker.scoring.scored import Scored
from worker.scoring.scorer import Scorer


@dataclass(frozen=True, slots=True)
class Shadowed:
    """What would have been decided; `scored` is what the scorer of a bundle in shadow says."""

    record: DecisionRecord
    scored: Scored | None = None


class Shadow:
    """Policies that are tried, with alerts of their own; with a bundle on scores of its own too.

    Without a `scorer` it decides on the scores that hold. People's verdicts count as they do there:
    they speak of the alerts that were sent, so it is their Moments that its scorer remembers.
    """

    def __init__(self, alerts: AlertBook, scorer: Scorer | None = None) -> None:
        self._alerts = alerts
        self.scorer = scorer

    def get(self, source: str) -> AlertState | None:
        """Return what is remembered for the alerts that a source would have."""
        return self._alerts.get(source)

    @property
    def discoveries(self) -> Discoveries:
        """What the control of the false-discovery rate remembers."""
        return self._alerts.discoveries

    def heed(self, said: Feedback) -> None:
        """Let what a person says change what is normal here too."""
        if self.scorer is not None:
            self.scorer.heed(said.source, said.label, Meant(said.alert_id, said.observation_id))

    def decide(
        self, seen: Seen, live: Scored, verdicts: tuple[Verdict, ...], mark: Mark
    ) -> Shadowed:
        """Decide about the next Moment, and learn it; `live` is what holds, as is the `mark`."""
        own = None if self.scorer is None else self._scored(self.scorer, seen, mark)
        source = seen.source
        self._alerts.put(source, replace(self._alerts.of(source), verdicts=verdicts))
        finding = seen.finding(live if own is None else own)
        decision = self._alerts.decide(source, finding, anew=seen.begins_anew)
        return Shadowed(decision_record(source, decision, self._alerts.of(source).incident), own)

    @staticmethod
    def _scored(scorer: Scorer, seen: Seen, mark: Mark) -> Scored:
        if seen.shadowed is None:
            raise ValueError("a bundle in shadow has not seen the Moment")
        source, features, time = seen.source, seen.shadowed, seen.start
        scored = scorer.score(source, features, time, carried=seen.has_carried)
        scorer.learn(source, features, time, scored, carried=seen.has_carried, mark=mark)
        return scored
