"""What a test does where a service or program that it needs is not there."""

from __future__ import annotations

import os
import shutil

import pytest

VARIABLE = "MMWORKER_REQUIRE_SERVICES"
NOT_RUN = "not run for lack of a service"  # by which the last lines of a run name the tests


def require(available: bool, why: str) -> None:
    """Skip, and be listed, where something is not available; fail where all services have to be."""
    if available:
        return
    if os.environ.get(VARIABLE) == "1":
        pytest.fail(f"{VARIABLE}=1, but {why}", pytrace=False)
    pytest.skip(f"{NOT_RUN}: {why}")


def require_program(name: str) -> None:
    """Do so for a program on the path."""
    require(shutil.which(name) is not None, f"there is no `{name}`")
