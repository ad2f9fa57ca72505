"""Watch phrases: what an operator has described in words, and how it is named everywhere.

A trigger has an expert for each modality in which it can be seen: `trigger:fire` for captions,
`trigger:fire:frame` and `trigger:fire:audio` where pictures or sounds share the captions' space.
All of them give the reason `trigger:fire`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from worker.core.events import Modality
from worker.core.policy import Severity
from worker.core.source_patterns import EVERY_SOURCE, SourcePatterns

_PREFIX = "trigger:"


@dataclass(frozen=True, slots=True)
class Trigger:
    """What to watch for, in some sources; an alert is at least that severe."""

    name: str
    text: str
    severity: Severity
    sources: SourcePatterns = EVERY_SOURCE

    @property
    def reason(self) -> str:
        """What an alert is for where it is this."""
        return _PREFIX + self.name

    def expert(self, modality: Modality) -> str:
        """Return the name of its expert, and of the feature that this looks at.

        >>> fire = Trigger("fire", "smoke or flames", Severity.HIGH)
        >>> fire.expert(Modality.CAPTION), fire.expert(Modality.FRAME)
        ('trigger:fire', 'trigger:fire:frame')
        """
        return self.reason if modality is Modality.CAPTION else f"{self.reason}:{modality}"


def reason_of(expert: str) -> str | None:
    """Return the reason that a trigger's expert gives; None for any other expert.

    >>> reason_of("trigger:fire:frame"), reason_of("visual_grid")
    ('trigger:fire', None)
    """
    parts = expert.split(":")
    return _PREFIX + parts[1] if expert.startswith(_PREFIX) else None


def modality_of(expert: str) -> Modality | None:
    """Return the modality in which a trigger's expert looks; None for any other expert.

    >>> str(modality_of("trigger:fire")), str(modality_of("trigger:fire:frame"))
    ('caption', 'frame')
    """
    if not expert.startswith(_PREFIX):
        return None
    return Modality((*expert.split(":"), Modality.CAPTION)[2])


def experts(triggers: Iterable[Trigger], modalities: Iterable[Modality]) -> tuple[str, ...]:
    """Return the names of all experts of triggers that are looked for in these modalities."""
    seen = tuple(modalities)
    return tuple(each.expert(modality) for each in triggers for modality in seen)
