import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.report.builders import (
    ORIGIN,
    alert_span,
    at,
    camera,
    jpeg,
    label,
    noise,
    outcome,
    points,
    report,
    story,
)
from worker.core.messages import Warmup
from worker.report.model import Report
from worker.report.outcome import outcome_of
from worker.report.page import render
from worker.report.stories import MAX_STORIES, stories_of

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects elements; fails on tags that do not close what they opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.words = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        self.texts[inside] = self.texts.get(inside, "") + data
        if inside not in ("style", "script"):
            self.words += f" {' '.join(data.split())}"

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def full(**changes: Any) -> Report:
    """A report with everything in it."""
    lines = (
        camera(
            points=points(None, 0.1, 0.9, 0.2, missing=("audio",)),
            alerts=(alert_span(2, 3),),
            labels=(label(2, 3, note="two people"),),
        ),
        camera("/cameras/road"),
    )
    fields: dict[str, Any] = {
        "cameras": lines,
        "outcomes": (outcome(seconds_to_detect=1.5, right_reason=True), outcome(hit=False)),
        "false_alarms": 1,
        "counts": {"consumed": 10, "paired": 9, "late": 1, "reconciled": True},
        "rates": {"frames/s": 61.34},
        "stage_seconds": {"decode": 1.0, "encode": 3.0},
        "settings": {"models.frame": "efficientnet"},
    }
    return report(**(fields | changes))


def test_the_page_is_well_formed_and_has_one_main_heading() -> None:
    page = Page(render(full()))
    assert len(page.all("h1")) == 1
    assert page.all("html")[0]["lang"] == "en"


def test_ids_are_unique_and_every_link_leads_to_one() -> None:
    page = Page(render(full()))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [link["href"] or "" for link in page.all("a")]
    assert "#alert-1" in links
    assert {link[1:] for link in links} <= set(ids)


def test_nothing_on_the_page_needs_the_network() -> None:
    html = render(full())
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", re.sub(r"base64,[^\"]+", "", html))
    for _, attributes in Page(html).elements:
        assert (attributes.get("src") or "data:").startswith("data:")


def test_the_policy_allows_exactly_our_own_style_and_script() -> None:
    page = Page(render(full()))
    policy = page.all("meta")[1]["content"] or ""
    assert policy.startswith("default-src 'none'; img-src data:; media-src data:;")
    assert "unsafe" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", render(full()), re.DOTALL)
    for text in (page.texts["style"], *scripts):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert digest in policy


def test_no_element_carries_a_style_or_a_handler_that_the_policy_would_refuse() -> None:
    for _, attributes in Page(render(full())).elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "</style><b>", '"><img src=x>'])
def test_text_from_outside_is_escaped_everywhere(hostile: str) -> None:
    told = story(
        2,
        alert_id=hostile,
        source=hostile,
        sentence=hostile,
        caption=hostile,
        caption_normal=hostile,
        label=hostile,
        reasons=(f"trigger:{hostile}",),
        experts={hostile: (0.5, None)},
        contributions={hostile: 1.0},
    )
    page = Page(
        render(
            full(
                title=hostile,
                subtitle=hostile,
                backend=hostile,
                alerts=(told,),
                cameras=(camera(hostile, labels=(label(2, 3, kind=hostile, note=hostile),)),),
                outcomes=(outcome(source=hostile, kind=hostile, note=hostile),),
                settings={hostile: hostile},
                rates={hostile: 1.0},
                stage_seconds={hostile: 1.0},
            )
        )
    )
    assert len(page.all("script")) == 2
    assert len(page.all("style")) == 1
    assert all((image["src"] or "").startswith("data:") for image in page.all("img"))
    assert hostile in page.words


def test_the_outcome_comes_first() -> None:
    words = Page(render(full())).words
    headline = "1 alert on 2 cameras, 1 of 2 labelled events found, 1 false alarm."
    assert words.index(headline) < words.index("Time lines") < words.index("Sentence 2.")


def test_an_alert_is_told_with_its_evidence() -> None:
    page = Page(render(full(alerts=(story(2, alert_id="id-1", label="people_on_lawn"),))))
    images = [image["alt"] for image in page.all("img")]
    assert images[:2] == ["Camera lawn at the alert", "Camera lawn at a normal moment"]
    assert (images[2] or "").startswith("Spectrogram")
    assert len(page.all("audio")) == 1
    for text in ("Two people on the lawn.", "Nobody is on the lawn.", "Sentence 2.", "90 %"):
        assert text in page.words
    assert "labelled: people on lawn" in page.words
    assert "mmworker feedback id-1 --verdict normal" in page.words


def test_what_an_alert_does_not_have_is_said_instead_of_left_blank() -> None:
    bare = story(2, evidence_jpeg=None, normal_jpeg=b"broken", caption=None, audio_wav=None)
    page = Page(render(report(alerts=(bare,))))
    assert page.all("img") == page.all("audio") == []
    for text in ("No picture at that time", "No normal picture", "none at that time", "No sound"):
        assert text in page.words
    assert "nothing to judge at that time" in page.words


def test_an_alert_without_a_label_is_only_called_so_where_labels_are_known() -> None:
    assert "no labelled event here" in Page(render(full())).words
    assert "no labelled event here" not in Page(render(report())).words


def test_alerts_are_numbered_in_time_order() -> None:
    told = stories_of(report(alerts=(story(9), story(3), story(5)))).told
    assert [(s.number, s.alert.alert_id) for s in told] == [(1, "id-3"), (2, "id-5"), (3, "id-9")]


def test_of_too_many_alerts_the_mildest_are_listed_without_pictures() -> None:
    many = [story(i, evidence_jpeg=None, normal_jpeg=None, audio_wav=None) for i in range(50)]
    many[7] = story(7, severity="low")
    stories = stories_of(report(alerts=tuple(many)))
    assert len(stories.told) == MAX_STORIES
    assert 8 in [row.number for row in stories.listed]
    assert f"{50 - MAX_STORIES} milder alerts" in Page(render(report(alerts=tuple(many)))).words


def test_ten_alerts_stay_below_five_megabytes() -> None:
    big = {"evidence_jpeg": jpeg(1920, 1080), "normal_jpeg": jpeg(1920, 1080)}
    alerts = tuple(story(i, audio_wav=noise(8), **big) for i in range(10))
    assert len(render(report(alerts=alerts))) < 5_000_000


def test_the_cursor_data_are_valid_and_in_seconds_from_the_origin() -> None:
    html = render(report(cameras=(camera(points=points(None, 0.25)),)))
    found = re.search(r'id="scene-data">(.*?)</script>', html)
    assert found is not None
    assert json.loads(found[1]) == {
        "start": 0.0,
        "end": 2.0,
        "cameras": [[[0.0, 1.0, None], [1.0, 2.0, 0.25]]],
    }


def test_a_page_about_nothing_is_still_a_page() -> None:
    words = Page(render(report(cameras=(), alerts=()))).words
    assert "No moment was seen" in words
    assert "No alert, because no moment was judged." in words


def test_warming_up_is_not_called_normal() -> None:
    found = outcome_of(report(cameras=(camera(points=points(None, None)),), alerts=()))
    assert found.warming == ("lawn",)
    assert "no moment was judged" in found.quiet
    cold = camera(points=points(None, warmup=Warmup(12, 200)))
    told = Page(render(report(cameras=(cold,)))).words
    assert "Still warming up: lawn (12 of 200 moments)." in told


def test_a_camera_that_drifts_is_named_with_what_may_be_done() -> None:
    drifts = camera(source="/cameras/my lawn", points=points(0.1, drifting=True))
    told = Page(render(report(cameras=(drifts, camera())))).words
    assert "my lawn does not look as it used to." in told
    assert "mmworker learn-anew '/cameras/my lawn'" in told
    assert told.count("learn-anew") == 1
    explained = replace(drifts, alerts=(alert_span(0, 1),))
    assert "learn-anew" not in Page(render(report(cameras=(explained,)))).words


def test_without_alerts_moments_above_the_threshold_are_not_denied() -> None:
    assert "1 moment was above" in outcome_of(report(alerts=())).quiet
    calm = camera(points=points(0.1))
    assert "stayed below" in outcome_of(report(cameras=(calm,), alerts=())).quiet


def test_counts_that_do_not_add_up_are_called_out() -> None:
    counts = {"consumed": 10, "paired": 9}
    tile = outcome_of(report(counts=counts)).tiles[-1]
    assert (tile.value, tile.of, tile.tone) == ("9", "of 10", "bad")
    assert "do not add up" in tile.note


def test_times_are_counted_from_the_origin() -> None:
    told = story(2, opened_at=at(75.5))
    assert "at 1:15.5" in Page(render(report(alerts=(told,), origin=ORIGIN))).words


def test_sources_with_equal_short_names_are_told_apart() -> None:
    words = Page(render(report(cameras=(camera("/a/gate"), camera("/b/gate")), alerts=()))).words
    assert "/a/gate" in words
    assert "/b/gate" in words
