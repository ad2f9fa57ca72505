"""Replays Observations under two configurations, and tells the difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from worker.cli.consoles import table_console
from worker.config import Config, config_hash
from worker.core import rfc3339
from worker.core.alert_policies import AlertPolicies
from worker.core.messages import Observation
from worker.errors import OperatorError
from worker.runtime.decision_diff import KINDS, AlertLife, AlertLives, Change, changes
from worker.runtime.fusions import open_configured
from worker.runtime.policies import alert_policies, scoring_rules, shadow_policies
from worker.runtime.replay import Redecided, Replay, Rules, in_order, pairs, text_dim

if TYPE_CHECKING:
    from worker.runtime.other_fusion import OtherFusion


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; None does not limit. Times in microseconds since the epoch."""

    source: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass
class Side:
    """One of the two configurations, and what became of the Observations under it."""

    config_hash: str
    policies: AlertPolicies
    lives: AlertLives = field(default_factory=AlertLives)
    judged: Counter[str] = field(default_factory=Counter)  # Moments with a p-value, by source

    def note(self, observation: Observation, decided: Redecided) -> None:
        """Take in the next decision."""
        self.lives.note(observation, decided.decision)
        self.judged[observation.source] += decided.p_value is not None

    def allowed(self, source: str | None) -> float:
        """Return the false alarms that the budget allows in the Moments that were judged."""
        return sum(
            self.policies.of(name).budget.allowance(moments)
            for name, moments in self.judged.items()
            if source in {None, name}
        )


@dataclass
class Compared:
    """Both sides, and how far the first one is from what was recorded."""

    before: Side
    after: Side
    observations: int = 0
    first_number: int = 0
    differing: int = 0  # decisions of the first side that are not the recorded ones

    def changes(self, wanted: Wanted) -> list[Change]:
        """Return what becomes of each alert."""
        sides = [
            side.lives.opened(wanted.since, wanted.until) for side in (self.before, self.after)
        ]
        return [each for each in changes(*sides) if wanted.source in {None, each.source}]

    def document(self, wanted: Wanted) -> dict[str, object]:
        """Return all of it as JSON."""
        found = self.changes(wanted)
        return {
            "observations": self.observations,
            "differing_from_record": self.differing,
            "before": _side_document(self.before, [c.before for c in found], wanted),
            "after": _side_document(self.after, [c.after for c in found], wanted),
            "counts": _counts(found),
            "sources": {name: _counts(found, name) for name in sorted({c.source for c in found})},
            "changes": [
                {
                    "kind": each.kind,
                    "source": each.source,
                    "before": _life_document(each.before),
                    "after": _life_document(each.after),
                }
                for each in found
            ],
        }


def run_replay(
    observed: Callable[[], Iterator[Observation]], running: Config, changed: Config
) -> Compared:
    """Replay what `observed` yields each time that it is called. Raises OperatorError."""
    dim, measured = text_dim(observed()), pairs(observed())
    rules = _rules(running, dim, measured)
    others = _rules(changed, dim, measured, _other(running, changed))
    before = Side(config_hash(running), rules.policies)
    after = Side(config_hash(changed), others.policies)
    compared = Compared(before, after)
    first, second = Replay(rules), Replay(others)
    for one in in_order(observed()):
        again = first.decide(one)
        before.note(one, again)
        after.note(one, second.decide(one))
        compared.first_number = compared.first_number or one.number
        compared.observations += 1
        recorded = Redecided(one.assessment.p_value, one.decision)
        compared.differing += again != recorded
    if not compared.observations:
        raise OperatorError("there are no Observations to decide about.")
    return compared


def compare_shadow(observed: Iterable[Observation], running: Config) -> Compared:
    """Compare what was decided with what was in shadow, both as on record. Raises OperatorError.

    Observations without a shadow are left out.
    """
    tried = shadow_policies(running)
    policies, name = alert_policies(running), config_hash(running)
    before, after = Side(name, policies), Side(name, policies if tried is None else tried)
    compared = Compared(before, after)
    for one in observed:
        if (shadow := one.shadow) is None:
            continue
        live = one.assessment
        own = live if shadow.bundle is None else shadow.bundle.assessment
        before.note(one, Redecided(live.p_value, one.decision))
        after.note(one, Redecided(own.p_value, shadow.decision))
        compared.observations += 1
    if not compared.observations:
        raise OperatorError(
            "no Observation has anything in shadow: set scoring.shadow, or name another"
            " configuration by --with."
        )
    return compared


def _rules(
    config: Config, dim: int, measured: tuple[str, ...], other: OtherFusion | None = None
) -> Rules:
    policies = alert_policies(config)
    if other is None:
        return Rules(scoring_rules(config, dim, pairs=measured), policies)
    return Rules(scoring_rules(config, dim, pairs=other.pairs), policies, other.features)


def _other(running: Config, changed: Config) -> OtherFusion | None:
    """Return the bundle of the other configuration, where it is another one."""
    bundle = None if running.models.bundle == changed.models.bundle else open_configured(changed)
    if bundle is None:
        return None
    from worker.runtime.other_fusion import OtherFusion

    return OtherFusion(bundle, open_configured(running), running.scoring.seed)


def report(compared: Compared, wanted: Wanted) -> None:
    """Print it."""
    console = table_console()
    found = compared.changes(wanted)
    table = Table("opened", "source", "", "before", "after", box=box.SIMPLE_HEAD)
    for each in found:
        if each.kind != "same":
            cells = (each.source, each.kind, _told(each.before), _told(each.after))
            table.add_row(rfc3339.format(each.time), *map(Text, cells))
    console.print(table if table.row_count else "No alert is different.")
    counts = _counts(found)
    console.print(", ".join(f"{counts[kind]} {kind}" for kind in KINDS))
    for name, side in (("before", compared.before), ("after", compared.after)):
        lives = [c.before if side is compared.before else c.after for c in found]
        allowed = side.allowed(wanted.source)
        console.print(
            f"{name}: {sum(life is not None for life in lives)} alerts, the budget allows"
            f" {allowed:.2g} false ones in the Moments judged (hash {side.config_hash})"
        )
    console.print(_fidelity(compared))


def _fidelity(compared: Compared) -> str:
    if not compared.differing:
        return f"All {compared.observations} decisions of before are those on record."
    why = (
        "another version, configuration or type of CPU made the record"
        if compared.first_number <= 1
        else f"what was learned before number {compared.first_number} is not there any more"
    )
    return (
        f"{compared.differing} of {compared.observations} decisions of before are not those on"
        f" record: {why}."
    )


def _counts(found: list[Change], source: str | None = None) -> dict[str, int]:
    counted = Counter(each.kind for each in found if source in {None, each.source})
    return {kind: counted[kind] for kind in KINDS}


def _side_document(side: Side, lives: list[AlertLife | None], wanted: Wanted) -> dict[str, object]:
    return {
        "config_hash": side.config_hash,
        "alerts": sum(life is not None for life in lives),
        "allowed_false_alarms": side.allowed(wanted.source),
    }


def _life_document(life: AlertLife | None) -> dict[str, object] | None:
    if life is None:
        return None
    return {
        "alert_id": life.alert_id,
        "opened": rfc3339.format(life.opened),
        "closed": None if life.closed is None else rfc3339.format(life.closed),
        "severity": life.severity,
        "reasons": life.reasons,
    }


def _told(life: AlertLife | None) -> str:
    if life is None:
        return "-"
    opened = rfc3339.format(life.opened)[11:]
    closed = "open" if life.closed is None else rfc3339.format(life.closed)[11:]
    return f"{opened}..{closed} {life.severity} ({', '.join(life.reasons)})"
