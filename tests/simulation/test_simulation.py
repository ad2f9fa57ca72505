"""Whatever goes wrong, by seed: what readers see is what one undisturbed run writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor

import pytest

from tests.simulation.broken import VARIANTS
from tests.simulation.check import check
from tests.simulation.many import processes, run_many
from tests.simulation.plan import Fault

SEEDS = int(os.environ.get("SEEDS", "2000"))
UNNOTICED = 400  # seeds after which a broken rule counts as not noticed


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with processes() as found:
        yield found


@pytest.mark.timeout(900)  # minutes of both cores, which other tests use as well
def test_no_fault_changes_what_is_written(
    pool: Executor, capsys: pytest.CaptureFixture[str]
) -> None:
    total = run_many(range(SEEDS), pool)
    with capsys.disabled():
        print(f"\n{total.summary()}")  # noqa: T201 - what was simulated
    assert not total.failed, total.summary()
    assert all(total.counts[f"fault: {fault}"] for fault in Fault)
    assert total.counts["alerts"]
    assert total.counts["drains"]
    assert total.counts["words heeded"]
    assert total.counts["texts of speech"]
    assert total.counts["alerts in shadow"]
    assert total.counts["bundles promoted"]
    assert total.counts["speech not understood"]
    assert total.counts["frames reused"]


def test_a_seed_decides_everything_and_what_was_simulated_before_nothing(pool: Executor) -> None:
    with processes() as fresh:
        expected = run_many(range(6), fresh).digests
    assert run_many(range(6), pool).digests == expected


def is_noticed(name: str) -> bool:
    """Tell whether a seed fails under this variant, and for the right reason."""
    variant, rule, known = VARIANTS[name]
    with variant():
        return any(rule in check(seed).rules for seed in (known, *range(UNNOTICED)))


@pytest.mark.timeout(900)
def test_each_broken_rule_is_noticed(pool: Executor) -> None:
    noticed = dict(zip(VARIANTS, pool.map(is_noticed, VARIANTS), strict=True))
    assert [name for name, seen in noticed.items() if not seen] == []
