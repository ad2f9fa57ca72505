"""The start-up choice of runtime, dtype, batch size and threads.

Which plan is fastest depends on the processor, so it is measured, once per processor, library
versions and model, and the choice is kept on disk.

The aim is items per wall-clock second of a process that has its cores for itself; but where it
starts, neighbours may be busy, and then wall time says more about them than about the plan. CPU
time does not count the time that others take, so a plan's cost is

    cost = CPU seconds per item / threads

which is the wall time on idle cores if the threads share the work evenly. A plan whose threads
spin while they wait is charged for it; one whose threads sleep is flattered, by at most its
serial share, which is small at the batch sizes in question. Of a few repeats the least counts.

A plan must also return what float32 torch returns: the smallest cosine over the sample has to be
at least 0.999. A dtype that was asked for is used whatever its cosine, and half a float then by
OpenVINO alone: which runtime is the faster one must not decide what the vectors are. First the
runtimes and dtypes compete, then the batch sizes and threads of the best, until `budget` seconds of
CPU time are used up.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.errors import OperatorError
from worker.models.device import resolve_device
from worker.models.plan import HALVES, Array, Dtype, Plan, Run, Runtime
from worker.models.plan_cache import PlanCache
from worker.models.processor import Processor, this_processor
from worker.models.runtimes import Network
from worker.models.settings import ModelSettings, Unmeasured

MIN_COSINE = 0.999
BUDGET_SECONDS = 6.0

_BATCH_SIZES = (8, 4, 16, 32)  # the likeliest first
_REPEATS = 2
_GPU_BATCH_SIZE = 32


@dataclass(frozen=True, slots=True)
class Measurement:
    """CPU seconds per item, and the smallest cosine to float32 torch."""

    cpu_seconds: float
    cosine: float


Measure = Callable[[Plan], Measurement]
Clock = Callable[[], float]


def open_network(network: Network, settings: ModelSettings, digest: str) -> tuple[Plan, Run]:
    """Return the plan for this machine, kept or measured now, and the network started by it.

    Raises Unmeasured where it is not kept and the settings forbid to measure.
    """
    device = resolve_device(settings.device)
    if device != "cpu":
        plan = _gpu_plan(settings)
        return plan, network.start(plan, device)
    if settings.runtime == "graphs":
        raise OperatorError("models.runtime graphs is for CUDA devices: set it to auto.")
    processor = this_processor()
    cache = PlanCache.of(settings, processor, digest)
    kept = cache.read()
    if kept is None and not settings.measures:
        raise Unmeasured
    plan = kept or _measured(network, settings, processor, cache)
    return plan, network.start(plan)


def _measured(
    network: Network, settings: ModelSettings, processor: Processor, cache: PlanCache
) -> Plan:
    plan = choose(settings, processor, Bench(network).measure, time.process_time)
    cache.write(plan)
    return plan


def _gpu_plan(settings: ModelSettings) -> Plan:
    if settings.runtime in {"openvino", "int8"}:
        raise OperatorError(f"models.runtime {settings.runtime} is for CPUs: set models.device.")
    if settings.dtype == "int8":
        raise OperatorError("models.dtype int8 is for CPUs: set models.device to cpu.")
    runtime: Runtime = "torch" if settings.runtime == "auto" else settings.runtime
    dtype = "float32" if settings.dtype == "auto" else settings.dtype
    return Plan(runtime, dtype, settings.batch_size or _GPU_BATCH_SIZE, settings.threads or 1)


def choose(
    settings: ModelSettings,
    processor: Processor,
    measure: Measure,
    clock: Clock,
    budget: float = BUDGET_SECONDS,
) -> Plan:
    """Return the cheapest admissible plan; shapes are tried for `budget` seconds of `clock`.

    A dtype that the settings name, or int8, is used whatever its cosine.
    """
    best = _cheapest(_kinds(settings, processor), settings, measure)
    deadline = clock() + budget
    shapes = itertools.takewhile(lambda _: clock() < deadline, _shapes(best, settings, processor))
    return _cheapest(itertools.chain([best], shapes), settings, measure)


def _cheapest(plans: Iterable[Plan], settings: ModelSettings, measure: Measure) -> Plan:
    """Return the cheapest of the plans; the first one is the fallback and always admissible."""
    first, *others = ((plan, measure(plan)) for plan in plans)
    best, lowest = first[0], cost(*first)
    for plan, measured in others:
        asked_for = settings.dtype != "auto" or settings.runtime == "int8"
        admissible = asked_for or measured.cosine >= MIN_COSINE
        if admissible and cost(plan, measured) < lowest:
            best, lowest = plan, cost(plan, measured)
    return best


def cost(plan: Plan, measured: Measurement) -> float:
    """Return the estimated wall seconds per item on idle cores."""
    return measured.cpu_seconds / plan.threads


def _kinds(settings: ModelSettings, processor: Processor) -> Iterator[Plan]:
    """Yield one plan per runtime and dtype, float32 torch (or what is asked for) first."""
    batch_size, threads = _batch_sizes(settings)[0], _thread_counts(settings, processor)[-1]
    for dtype in _dtypes(settings, processor):
        for runtime in _runtimes(settings):
            yield Plan(runtime, dtype, batch_size, threads)


def _runtimes(settings: ModelSettings) -> tuple[Runtime, ...]:
    if settings.dtype == "int8":
        if settings.runtime not in {"auto", "openvino"}:
            raise OperatorError("models.dtype int8 needs OpenVINO: set models.runtime to auto.")
        return ("openvino",)
    if settings.runtime != "auto":
        return (settings.runtime,)
    return ("openvino",) if settings.dtype in HALVES else ("torch", "openvino")


def _dtypes(settings: ModelSettings, processor: Processor) -> tuple[Dtype, ...]:
    if settings.dtype != "auto":
        return (settings.dtype,)
    if settings.runtime == "int8":
        return ("float32",)
    return ("float32", "bfloat16") if processor.bfloat16 else ("float32",)


def _shapes(kind: Plan, settings: ModelSettings, processor: Processor) -> Iterator[Plan]:
    """Yield the other thread counts and batch sizes of a kind."""
    for threads in reversed(_thread_counts(settings, processor)):
        for batch_size in _batch_sizes(settings):
            plan = Plan(kind.runtime, kind.dtype, batch_size, threads)
            if plan != kind:
                yield plan


def _batch_sizes(settings: ModelSettings) -> tuple[int, ...]:
    return (settings.batch_size,) if settings.batch_size else _BATCH_SIZES


def _thread_counts(settings: ModelSettings, processor: Processor) -> list[int]:
    return [settings.threads] if settings.threads else sorted({1, processor.cores})


class Bench:
    """Measures plans of one network on its sample."""

    def __init__(self, network: Network, clock: Clock = time.process_time) -> None:
        self._network = network
        self._clock = clock
        self._started: dict[tuple[str, str, int], tuple[Run, float]] = {}
        reference = network.start(Plan("torch", "float32", 8, this_processor().cores))
        self._reference = reference.in_batches(network.sample, 8)

    def measure(self, plan: Plan) -> Measurement:
        """Return the least CPU time of a few runs, after one that is not counted."""
        run, cosine = self._run(plan)
        size = min(plan.batch_size * plan.threads, len(self._network.sample[0]))
        sample = tuple(array[:size] for array in self._network.sample)
        run.in_batches(sample, plan.batch_size)
        seconds = min(self._seconds(run, sample, plan.batch_size) for _ in range(_REPEATS))
        return Measurement(seconds / size, cosine)

    def _run(self, plan: Plan) -> tuple[Run, float]:
        key = (plan.runtime, plan.dtype, plan.threads)
        if key not in self._started:
            run = self._network.start(plan)
            vectors = run.in_batches(self._network.sample, plan.batch_size)
            self._started[key] = (run, min_cosine(vectors, self._reference))
        return self._started[key]

    def _seconds(self, run: Run, sample: tuple[Array, ...], batch_size: int) -> float:
        begin = self._clock()
        run.in_batches(sample, batch_size)
        return self._clock() - begin


def min_cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the smallest cosine between rows of the same place; -1 where one is not finite."""
    return float(np.nan_to_num(cosines(a, b), nan=-1.0).min())


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine between the rows (N, D) of each place."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    found: NDArray[np.float32] = (a * b).sum(axis=1) / np.maximum(lengths, 1e-12)
    return found
