"""The alerts, numbered in time order and made ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worker.core import words
from worker.core.events import MODALITIES
from worker.core.messages import Explanation
from worker.report import media
from worker.report.lanes import Numbered
from worker.report.model import SAMPLE_RATE, AlertStory, Report
from worker.report.spectrogram import TICKS_HZ, mel_position, spectrogram_png

MAX_STORIES = 40  # with pictures and sound; the others are listed, so that the page stays small


@dataclass(frozen=True, slots=True)
class Share:
    """A modality's part in the alert; `percent` is None where it said nothing at that time."""

    name: str
    percent: int | None


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one expert said, and its part in the alert. `p_value` is None where it gave none."""

    name: str
    score: float
    p_value: float | None
    percent: int | None


@dataclass(frozen=True, slots=True)
class Spot:
    """A cell of the picture, in percent of its width and height; `opacity` in (0, 1]."""

    left: float
    top: float
    width: float
    height: float
    opacity: float


@dataclass(frozen=True, slots=True)
class Sound:
    """A clip to see and to hear; `y` of the frequency ticks in percent from the top."""

    spectrogram: str
    audio: str
    seconds: float
    cut: bool
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Story:
    """One alert on the page."""

    number: int
    rank: int
    anchor: str
    name: str
    alert: AlertStory
    evidence: media.Picture | None
    normal: media.Picture | None
    sound: Sound | None
    shares: tuple[Share, ...]
    opinions: tuple[Opinion, ...]
    spots: tuple[Spot, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """An alert without room for its pictures."""

    number: int
    rank: int
    name: str
    alert: AlertStory


@dataclass(frozen=True, slots=True)
class Stories:
    """The told alerts and the merely listed ones, each in time order."""

    told: tuple[Story, ...]
    listed: tuple[Row, ...]

    def numbers(self) -> Mapping[str, Numbered]:
        """Return the number and anchor of each alert id."""
        listed = {row.alert.alert_id: Numbered(row.number, "") for row in self.listed}
        told = {s.alert.alert_id: Numbered(s.number, s.anchor) for s in self.told}
        return listed | told


def stories_of(report: Report) -> Stories:
    """Number all alerts by time; tell the MAX_STORIES most severe ones."""
    rows = _rows(report)
    strongest = sorted(rows, key=lambda row: (-row.rank, row.alert.p_value, row.number))
    told = {row.number for row in strongest[:MAX_STORIES]}
    return Stories(
        told=tuple(_story(row) for row in rows if row.number in told),
        listed=tuple(row for row in rows if row.number not in told),
    )


def _rows(report: Report) -> list[Row]:
    names = words.cameras([c.source for c in report.cameras] + [a.source for a in report.alerts])
    in_time = sorted(report.alerts, key=lambda alert: (alert.opened_at, alert.alert_id))
    return [
        Row(number, words.severity_rank(alert.severity), names[alert.source], alert)
        for number, alert in enumerate(in_time, start=1)
    ]


def _story(row: Row) -> Story:
    alert = row.alert
    return Story(
        number=row.number,
        rank=row.rank,
        anchor=f"alert-{row.number}",
        name=row.name,
        alert=alert,
        evidence=media.picture(alert.evidence_jpeg),
        normal=media.picture(alert.normal_jpeg),
        sound=_sound(alert),
        shares=_shares(alert.contributions),
        opinions=_opinions(alert),
        spots=_spots(alert.explanation),
    )


def _spots(explanation: Explanation | None) -> tuple[Spot, ...]:
    if explanation is None or explanation.region is None:
        return ()
    region = explanation.region
    width, height = 100 / region.columns, 100 / region.rows
    hottest = max((cell.heat for cell in region.cells), default=0.0)
    return tuple(
        Spot(
            left=round(cell.column * width, 2),
            top=round(cell.row * height, 2),
            width=round(width, 2),
            height=round(height, 2),
            opacity=round(cell.heat / hottest, 2),
        )
        for cell in region.cells
        if cell.heat > 0
    )


def _shares(contributions: Mapping[str, float]) -> tuple[Share, ...]:
    total = sum(max(0.0, value) for value in contributions.values())
    known = [m.value for m in MODALITIES]
    names = known + [name for name in contributions if name not in known]
    return tuple(Share(name, _percent(contributions.get(name), total)) for name in names)


def _percent(value: float | None, total: float) -> int | None:
    if value is None:
        return None
    return round(100 * max(0.0, value) / total) if total > 0 else 0


def _opinions(alert: AlertStory) -> tuple[Opinion, ...]:
    shares = {} if alert.explanation is None else alert.explanation.experts
    opinions = [
        Opinion(
            name,
            score,
            p,
            None if alert.explanation is None else _percent(shares.get(name, 0.0), 1.0),
        )
        for name, (score, p) in alert.experts.items()
    ]
    return tuple(sorted(opinions, key=lambda opinion: -opinion.score))


def _sound(alert: AlertStory) -> Sound | None:
    if alert.audio_wav is None or alert.audio_wav.size == 0:
        return None
    heard = media.audible(alert.audio_wav)
    ticks = tuple((round(100 * (1 - mel_position(hz)), 2), _hertz(hz)) for hz in TICKS_HZ)
    return Sound(
        spectrogram=media.data_uri("image/png", spectrogram_png(heard)),
        audio=media.data_uri("audio/flac", media.flac(heard)),
        seconds=heard.size / SAMPLE_RATE,
        cut=heard.size < alert.audio_wav.size,
        ticks=ticks,
    )


def _hertz(hertz: int) -> str:
    return f"{hertz // 1000} kHz" if hertz >= 1000 else f"{hertz} Hz"
