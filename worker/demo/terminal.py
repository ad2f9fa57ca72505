"""What a run says on the terminal: results in tables, on stdout."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from worker.core import words
from worker.core.rfc3339 import MICROSECONDS
from worker.demo.results import Results
from worker.report.model import AlertStory, LabelOutcome


def show(results: Results, directory: Path, wall_seconds: float, console: Console) -> None:
    """Print alerts, labelled events, counts, rates and where to look further."""
    report = results.report
    console.print(_alerts(report.alerts, report.origin))
    if report.outcomes:
        console.print(_outcomes(report.outcomes, report.origin))
        console.print(f"False alarms: {report.false_alarms}")
    _counts(results, console)
    _speed(results, wall_seconds, console)
    console.print(f"\nLook at [bold]{directory / 'report.html'}[/bold]", soft_wrap=True)


def _alerts(alerts: tuple[AlertStory, ...], origin: int) -> Table:
    title = "Alerts" if alerts else "Alerts: none"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("time", "camera", "severity", "reasons"):
        table.add_column(name)
    for name in ("score", "p-value", "after event"):
        table.add_column(name, justify="right")
    for alert in alerts:
        table.add_row(
            words.clock(alert.opened_at - origin),
            words.camera(alert.source),
            alert.severity,
            ", ".join(alert.reasons),
            f"{alert.score:.2f}",
            f"{alert.p_value:.1e}",
            "" if alert.detect_seconds is None else f"{alert.detect_seconds:.1f} s",
        )
    return table


def _outcomes(outcomes: tuple[LabelOutcome, ...], origin: int) -> Table:
    table = Table(title="Labelled events", box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("from", "camera", "event", "found", "reason"):
        table.add_column(name, no_wrap=True)
    for outcome in outcomes:
        kind = words.spaced(outcome.kind)
        after = outcome.seconds_to_detect
        table.add_row(
            words.clock(outcome.start - origin),
            words.camera(outcome.source),
            kind if outcome.natural else f"{kind} (injected)",
            "[red]missed[/red]" if after is None else f"[green]{after:.1f} s[/green]",
            {None: "", True: "right", False: "wrong"}[outcome.right_reason],
        )
    return table


def _counts(results: Results, console: Console) -> None:
    tally = results.tally
    parts = [f"{name.replace('_', ' ')} {count}" for name, count in tally.outcomes.items()]
    verdict = "reconciles" if tally.reconciles else "[red]DOES NOT RECONCILE[/red]"
    right = " + ".join([*parts, f"buffered {tally.buffered}"])
    console.print(f"Events: consumed {tally.consumed} = {right} ({verdict})")


def _speed(results: Results, wall_seconds: float, console: Console) -> None:
    rates = ", ".join(f"{rate:.0f} {unit}" for unit, rate in results.report.rates.items())
    moments = results.run.observations
    span = (moments[-1].window_end - results.report.origin) / MICROSECONDS if moments else 0.0
    console.print(f"{span:.0f} s of footage in {wall_seconds:.1f} s: {rates}")
    stages = ", ".join(
        f"{stage} {seconds:.1f} s" for stage, seconds in results.report.stage_seconds.items()
    )
    console.print(f"Time per stage (threads overlap): {stages}")
