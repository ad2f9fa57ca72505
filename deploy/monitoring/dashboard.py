"""The Grafana dashboard, built from its panels with Grafana's own types."""

from __future__ import annotations

import json
from typing import Any

from grafana_foundation_sdk.builders import bargauge, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import common as layout
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models

from deploy.monitoring import runbook
from deploy.monitoring.panels import Panel, of_each, of_job
from deploy.monitoring.rows import rows

TITLE = "Multimodal worker"
UID = "multimodal-worker"
_SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
_SHAPES = {"number": (4, 4), "lines": (12, 8), "bars": (12, 8)}  # width of 24, height

ANNOTATIONS = {
    "Rebalances": (
        "orange",
        f"sum by (instance, event) (changes({of_each('mmworker_rebalances_total')}[1m])) > 0",
    ),
    "Releases": (
        "blue",
        f"count by (version, revision) ({of_job('mmworker_build_info')})"
        f" unless count by (version, revision) ({of_job('mmworker_build_info')} offset 2m)",
    ),
}

_Builder = stat.Panel | timeseries.Panel | bargauge.Panel


def as_json(runbook_base: str = runbook.BASE) -> str:
    """Return the dashboard as Grafana imports it; its panels link to the runbook at the base."""
    built = _dashboard(runbook_base).build()
    return json.dumps(_numbered(json.loads(JSONEncoder().encode(built))), indent=1) + "\n"


def _dashboard(runbook_base: str) -> dashboard.Dashboard:
    made = (
        dashboard.Dashboard(TITLE)
        .uid(UID)
        .tags(["multimodal-worker"])
        .time("now-3h", "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
        )
        .with_variable(_labels("job", "mmworker_build_info"))
        .with_variable(_labels("instance", of_job("mmworker_build_info")))
        .link(dashboard.DashboardLink("Runbook").url(runbook_base).target_blank(True))
    )
    for name, (colour, expr) in ANNOTATIONS.items():
        made.annotation(
            dashboard.AnnotationQuery().name(name).datasource(_SOURCE).icon_color(colour).expr(expr)
        )
    for row in rows():
        made.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            made.with_panel(_panel(panel, runbook_base))
    return made


def _labels(label: str, metric: str) -> dashboard.QueryVariable:
    """Return a variable with the values of a label; several can be chosen, all are at first."""
    everything = models.VariableOption(selected=True, text="All", value="$__all")
    return (
        dashboard.QueryVariable(label)
        .label(label.capitalize())
        .datasource(_SOURCE)
        .query(f"label_values({metric}, {label})")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(everything)
    )


def _panel(panel: Panel, runbook_base: str) -> _Builder:
    width, height = _SHAPES[panel.kind]
    link = dashboard.DashboardLink(f"Runbook: {panel.runbook}").target_blank(True)
    built = _shown(panel)
    built.title(panel.title).description(panel.description).unit(panel.unit)
    built.datasource(_SOURCE).span(width).height(height)
    built.links([link.url(runbook.link(panel.runbook, runbook_base))])
    for place, (legend, expr) in enumerate(panel.queries.items()):
        target = prometheus.Dataquery().expr(expr).ref_id(chr(ord("A") + place))
        target.legend_format(legend)
        built.with_target(
            target.instant() if panel.kind != "lines" else target.range().exemplar(True)
        )
    return built


def _shown(panel: Panel) -> _Builder:
    match panel.kind:
        case "number":
            return stat.Panel().thresholds(_thresholds(panel.red_above))
        case "bars":
            bars = bargauge.Panel().thresholds(_thresholds(panel.red_above)).min(0)
            return bars.orientation(common.VizOrientation.VERTICAL)
        case "lines":
            lines = timeseries.Panel().min(0).line_width(1).fill_opacity(5)
            lines.legend(layout.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST))
            if panel.red_above is None:
                return lines
            style = layout.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
            return lines.thresholds(_thresholds(panel.red_above)).thresholds_style(style)


def _thresholds(red_above: float | None) -> dashboard.ThresholdsConfig:
    steps = [models.Threshold(value=None, color="green")]
    if red_above is not None:
        steps.append(models.Threshold(value=red_above, color="red"))
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _numbered(document: dict[str, Any]) -> dict[str, Any]:
    """Give each panel an id: links to a panel go by it."""
    for number, panel in enumerate(document["panels"], 1):
        panel["id"] = number
    return document
