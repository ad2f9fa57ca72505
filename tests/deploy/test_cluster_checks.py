"""The checks of `make k8s` notice what they are there for."""

from __future__ import annotations

import pytest

from tests.deploy.cluster.release import difference

LIVE = {"spec": {"replicas": 2, "containers": [{"name": "worker", "image": "a"}]}, "status": {}}


def test_what_the_server_adds_is_no_difference() -> None:
    assert difference({"spec": {"replicas": 2, "containers": [{"image": "a"}]}}, LIVE) is None


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ({"spec": {"replicas": 3}}, "spec.replicas"),
        ({"spec": {"containers": [{"image": "b"}]}}, "spec.containers.0.image"),
        ({"spec": {"containers": []}}, "spec.containers"),
        ({"spec": {"paused": True}}, "spec.paused"),
    ],
)
def test_a_value_that_is_missing_or_another_is_named(wanted: dict[str, object], path: str) -> None:
    assert difference(wanted, LIVE) == path
