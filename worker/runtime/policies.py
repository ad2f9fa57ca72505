"""From the configuration to budgets, scoring rules and alert policies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from worker.config import Config, SourceSettings
from worker.config.alerting import ShadowSettings
from worker.core import rfc3339
from worker.core.alert_policies import AlertPolicies, SourcePolicy
from worker.core.alerts import AlertPolicy
from worker.core.effort import LEAST_LONG
from worker.core.events import MODALITIES, Modality
from worker.core.false_discoveries import DiscoveryRate
from worker.core.incidents import Neighbourhoods
from worker.core.masks import Area, Masks
from worker.core.policy import Budget, Severity
from worker.core.quiet import Hours, QuietTimes
from worker.core.rfc3339 import seconds
from worker.core.source_patterns import SourcePatterns
from worker.core.triggers import Trigger, experts
from worker.scoring.scored import ScoringRules


def budget(config: Config) -> Budget:
    """Return the threshold that follows from the false-alarm budget of all sources."""
    return Budget.of(config.scoring.false_alarms_per_day, config.pairing.window_seconds)


def alert_policies(config: Config) -> AlertPolicies:
    """Return the policy of every source."""
    severities = {each.reason: each.severity for each in triggers(config)}
    cooldown = seconds(config.scoring.cooldown_seconds)
    usual = AlertPolicy(budget(config), cooldown, severities=severities)
    special = (
        SourcePolicy(SourcePatterns((each.match,)), _policy(config, each, usual))
        for each in config.scoring.sources
    )
    groups = tuple(map(SourcePatterns, config.scoring.neighbours))
    neighbourhoods = Neighbourhoods(groups, seconds(config.scoring.incident_seconds))
    rate = config.scoring.false_discovery_rate
    control = DiscoveryRate(rate) if rate else None
    return AlertPolicies(usual, tuple(special), neighbourhoods, control)


def shadow_config(config: Config) -> Config | None:
    """Return the configuration that is tried without alerts; None where there is none."""
    shadow = config.scoring.shadow
    if shadow == ShadowSettings():
        return None
    scoring = config.scoring.model_copy(update=shadow.changes)
    return config.model_copy(update={"scoring": scoring})


def shadow_policies(config: Config) -> AlertPolicies | None:
    """Return the policies that are tried without alerts; None where nothing is."""
    tried = shadow_config(config)
    return None if tried is None else alert_policies(tried)


def masks(config: Config) -> Masks:
    """Return what of pictures is not looked at."""
    return Masks(
        (
            SourcePatterns((each.match,)),
            tuple(Area(a.left, a.top, a.right, a.bottom) for a in each.masked),
        )
        for each in config.scoring.sources
    )


def triggers(config: Config) -> tuple[Trigger, ...]:
    """Return the watch phrases."""
    return tuple(
        Trigger(each.name, each.text, Severity(each.severity), SourcePatterns((each.match,)))
        for each in config.scoring.triggers
    )


def scoring_rules(
    config: Config,
    text_dim: int,
    watchable: Iterable[Modality] = MODALITIES,
    pairs: tuple[str, ...] = (),
) -> ScoringRules:
    """Return what scoring needs to know; `text_dim` is the caption encoder's dimension.

    Phrases are looked for in the `watchable` modalities; `pairs` are those whose agreement is a
    feature.
    """
    return ScoringRules(
        calibration_moments=config.scoring.calibration_moments,
        seed=config.scoring.seed,
        alpha=budget(config).alpha,
        text_dim=text_dim,
        added=(*pairs, *experts(triggers(config), watchable)),
    )


def long_wait(config: Config) -> int | None:
    """Return what a worker that keeps up never lets a Moment wait: half of what it took to close.

    Of three times that in all, which a Moment may take, the ladder needs some to be climbed. With
    the shortest windows it is LEAST_LONG.
    """
    pairing = config.pairing
    closing = seconds(pairing.window_seconds + pairing.grace_seconds)
    return max(closing // 2, LEAST_LONG) if config.models.overload == "auto" else None


def _policy(config: Config, source: SourceSettings, usual: AlertPolicy) -> AlertPolicy:
    per_day, cooldown = source.false_alarms_per_day, source.cooldown_seconds
    window = config.pairing.window_seconds
    return replace(
        usual,
        budget=usual.budget if per_day is None else Budget.of(per_day, window),
        cooldown=usual.cooldown if cooldown is None else seconds(cooldown),
        quiet=QuietTimes(
            muted=source.mute,
            maintenance=tuple(
                (_micros(each.begin), _micros(each.end)) for each in source.maintenance
            ),
            hours=_hours(source),
        ),
    )


def _hours(source: SourceSettings) -> Hours | None:
    if source.schedule is None:
        return None
    begin, end = (
        int(hour) * 60 + int(minute)
        for hour, _, minute in (clock.partition(":") for clock in source.schedule.split("-"))
    )
    return Hours(begin, end, ZoneInfo(source.time_zone))


def _micros(time: datetime) -> int:
    return rfc3339.parse(time.isoformat())
