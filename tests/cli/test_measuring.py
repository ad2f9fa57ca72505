"""Encoders are measured in a child process, so that the worker never loads what that takes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from worker.cli import measuring
from worker.config import Config, load
from worker.core.events import Modality
from worker.models.base import Encoder
from worker.models.settings import Unmeasured

CONFIG = Config.model_validate({"models": {"frames_per_moment": 2}})
ENCODERS: dict[Modality, Encoder] = {}


class Machine:
    """What is asked of it; nothing is known before `measured` is set, by a child for instance."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
        self.measured = False
        self.built: list[bool] = []  # whether they might have been measured in this process
        self.children: list[Config] = []
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
        monkeypatch.setattr(measuring, "build_encoders", self._build)
        monkeypatch.setattr(subprocess, "run", self._run)

    def _build(self, *_: object, measures: bool = True) -> dict[Modality, Encoder]:
        self.built.append(measures)
        if not (measures or self.measured):
            raise Unmeasured
        return ENCODERS

    def _run(self, command: list[str], **_: Any) -> None:
        assert command[1:5] == ["-m", "worker", "models", "show"]
        self.children.append(load(Path(command[-1]), {}).config)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path / "cache")


def test_what_is_known_is_taken_up_without_a_child(machine: Machine) -> None:
    machine.measured = True
    assert measuring.measured_encoders(CONFIG, None) is ENCODERS
    assert (machine.built, machine.children) == ([False], [])


def test_a_child_with_the_same_configuration_measures_what_is_not_known(machine: Machine) -> None:
    assert measuring.measured_encoders(CONFIG, None) is ENCODERS
    assert machine.built == [False, True]  # what the child could not do is done here
    assert machine.children == [CONFIG]


def test_where_nothing_can_be_kept_a_child_would_measure_in_vain(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "can_keep", lambda _: False)
    assert measuring.measured_encoders(CONFIG, None) is ENCODERS
    assert (machine.built, machine.children) == ([True], [])
