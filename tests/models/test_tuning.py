from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from worker.cli.options import config_of
from worker.core.events import Modality
from worker.errors import OperatorError
from worker.models.cuda_graphs import MAX_GRAPHS, Graphs, Replay
from worker.models.device import resolve_device
from worker.models.plan import Plan, Run, Runtime
from worker.models.plan_cache import PlanCache
from worker.models.processor import Processor, this_processor
from worker.models.runtimes import Network
from worker.models.settings import ModelSettings, Unmeasured
from worker.models.torch_runtime import prepare_now
from worker.models.tuning import Bench, Measurement, choose, min_cosine, open_network
from worker.runtime.assemble import devices

AUTO = ModelSettings("cpu")
PLAIN = Processor("plain", cores=4, bfloat16=False)
MODERN = Processor("modern", cores=4, bfloat16=True)


class Table:
    """Measures by a formula and remembers what it was asked."""

    def __init__(self, seconds: Callable[[Plan], float], cosine: Callable[[Plan], float]) -> None:
        self.asked: list[Plan] = []
        self._seconds, self._cosine = seconds, cosine

    def __call__(self, plan: Plan) -> Measurement:
        self.asked.append(plan)
        return Measurement(self._seconds(plan), self._cosine(plan))


def ticking(step: float = 0.0) -> Callable[[], float]:
    count = itertools.count()
    return lambda: next(count) * step


def exact(_: Plan) -> float:
    return 1.0


def chosen(
    seconds: Callable[[Plan], float],
    cosine: Callable[[Plan], float] = exact,
    settings: ModelSettings = AUTO,
    processor: Processor = MODERN,
) -> Plan:
    return choose(settings, processor, Table(seconds, cosine), ticking())


def test_the_least_cpu_time_per_item_and_thread_wins() -> None:
    fast = Plan("openvino", "bfloat16", 16, 4)
    assert chosen(lambda plan: 1.0 if plan == fast else 2.0 - (plan.runtime == "openvino")) == (
        Plan("openvino", "float32", 8, 4)
    )
    assert chosen(lambda plan: 1.0 if plan.dtype == "float32" else 0.5).dtype == "bfloat16"
    assert chosen(lambda plan: 1.0 / plan.batch_size).batch_size == 32


def test_threads_that_burn_more_cpu_than_they_save_lose() -> None:
    assert chosen(lambda plan: 1.0 if plan.threads == 1 else 4.1).threads == 1
    assert chosen(lambda plan: 1.0 if plan.threads == 1 else 3.9).threads == 4


def test_a_plan_that_changes_the_vectors_is_not_admissible() -> None:
    plan = chosen(
        lambda plan: 1.0 if plan.dtype == "float32" else 0.1,
        lambda plan: 1.0 if plan.dtype == "float32" else 0.9989,
    )
    assert plan.dtype == "float32"


def test_a_dtype_that_was_asked_for_is_used_whatever_its_cosine() -> None:
    settings = replace(AUTO, dtype="bfloat16")
    assert chosen(lambda _: 1.0, lambda _: 0.9, settings, PLAIN).dtype == "bfloat16"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_a_float_that_was_asked_for_is_run_by_one_runtime_everywhere(
    dtype: Literal["bfloat16", "float16"],
) -> None:
    table = Table(lambda plan: 0.1 if plan.runtime == "torch" else 1.0, exact)
    choose(replace(AUTO, dtype=dtype), MODERN, table, ticking())
    assert {plan.runtime for plan in table.asked} == {"openvino"}
    settings = replace(AUTO, dtype=dtype, runtime="torch")
    assert chosen(lambda _: 1.0, settings=settings).runtime == "torch"


def test_bfloat16_is_not_tried_where_the_processor_lacks_it() -> None:
    table = Table(lambda _: 1.0, exact)
    choose(AUTO, PLAIN, table, ticking())
    assert {plan.dtype for plan in table.asked} == {"float32"}
    assert {plan.threads for plan in table.asked} == {1, 4}
    assert {plan.batch_size for plan in table.asked} == {4, 8, 16, 32}


def test_what_the_operator_sets_is_not_varied() -> None:
    table = Table(lambda _: 1.0, exact)
    choose(replace(AUTO, batch_size=5, threads=3), PLAIN, table, ticking())
    assert {(plan.batch_size, plan.threads) for plan in table.asked} == {(5, 3)}


def test_when_the_time_is_over_the_best_so_far_is_taken_but_every_runtime_was_tried() -> None:
    table = Table(lambda plan: 1.0 if plan.runtime == "torch" else 0.5, exact)
    plan = choose(AUTO, MODERN, table, ticking(1.0), budget=1.5)
    assert plan == Plan("openvino", "float32", 8, 4)
    kinds = 4
    assert len(table.asked) == kinds + len([plan, "one other shape"])


def small_network() -> Network:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    sample = np.random.default_rng(0).standard_normal((32, 8)).astype(np.float32)
    return Network(lambda: module, lambda: (sample,))


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
@pytest.mark.parametrize("batch_size", [1, 5, 64])
@pytest.mark.parametrize("threads", [1, 2, 50])
def test_every_runtime_returns_what_the_module_returns(
    runtime: str, batch_size: int, threads: int
) -> None:
    network = small_network()
    plan = Plan("openvino" if runtime == "openvino" else "torch", "float32", batch_size, threads)
    result = network.start(plan).in_batches(network.sample, batch_size)
    with torch.inference_mode():
        expected = network.module(torch.from_numpy(network.sample[0])).numpy()
    assert result.dtype == np.float32
    assert np.abs(result - expected).max() < 1e-5


def test_a_network_that_cannot_be_compiled_here_is_told_in_a_sentence() -> None:
    def without_compiler(*_: object) -> NDArray[np.float32]:
        raise RuntimeError("no C++ compiler\nand a long trace")

    sentence = r"models\.runtime is compiled, which fails here \(no C\+\+ compiler\)"
    with pytest.raises(OperatorError, match=sentence):
        prepare_now(without_compiler, small_network().sample, "compiled")


def test_int8_is_measured_and_taken_although_it_moves_vectors(tmp_path: Path) -> None:
    settings = replace(AUTO, runtime="int8", batch_size=4, threads=1, cache_directory=tmp_path)
    plan, run = open_network(small_network(), settings, "digest")
    assert plan == Plan("int8", "float32", 4, 1)
    exact = small_network().start(Plan("torch", "float32", 4, 1))
    rows = [each(*small_network().sample) for each in (run, exact)]
    assert not np.array_equal(rows[0], rows[1])
    assert min_cosine(*rows) > 0.99


def test_openvino_does_not_report_to_its_vendor() -> None:
    import openvino.tools.ovc.telemetry_utils as used

    assert used.tm.__name__ == "openvino.tools.ovc.telemetry_stub"


def test_the_bench_takes_the_least_of_its_runs_per_item() -> None:
    readings = iter([0.0, 8.0, 10.0, 14.0])  # two runs: 8 s and 4 s
    bench = Bench(small_network(), clock=lambda: next(readings))
    measured = bench.measure(Plan("torch", "float32", 4, 1))
    assert measured.cpu_seconds == 1.0
    assert measured.cosine == pytest.approx(1.0, abs=1e-6)


def test_the_smallest_cosine_counts_and_nan_is_the_worst() -> None:
    a = np.eye(3, dtype=np.float32)
    b = a.copy()
    b[1] = [1, 1, 0]
    assert min_cosine(a, a) == pytest.approx(1.0)
    assert min_cosine(a, b) == pytest.approx(np.sqrt(0.5))
    b[2, 2] = np.nan
    assert min_cosine(a, b) == -1.0


def cache_in(directory: Path, processor: Processor = PLAIN) -> PlanCache:
    return PlanCache.of(replace(AUTO, cache_directory=directory), processor, "digest")


PLAN = Plan("torch", "float32", 8, 2)


def test_a_kept_plan_is_read_again(tmp_path: Path) -> None:
    cache = cache_in(tmp_path / "new" / "directory")
    assert cache.read() is None
    cache.write(PLAN)
    assert cache.read() == PLAN
    assert [path.suffix for path in cache.directory.iterdir()] == [".json"]


def test_a_plan_belongs_to_processor_model_and_settings(tmp_path: Path) -> None:
    cache_in(tmp_path).write(PLAN)
    settings = replace(AUTO, cache_directory=tmp_path)
    assert cache_in(tmp_path, MODERN).read() is None
    assert PlanCache.of(settings, PLAIN, "another digest").read() is None
    assert PlanCache.of(replace(settings, threads=2), PLAIN, "digest").read() is None
    assert PlanCache.of(settings, PLAIN, "digest").read() == PLAN


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{", ""),
        ('"torch"', '"cobol"'),
        ('"batch_size": 8', '"batch_size": 0'),
        ('"batch_size": 8', '"batch_size": "8"'),
        ('"threads": 2', '"threads": 1000000'),
        ('"threads": 2', '"fibres": 2'),
        ('"plan"', '"plans"'),
        ('"digest": "digest"', '"digest": "other"'),
    ],
)
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, old: str, new: str) -> None:
    cache = cache_in(tmp_path)
    cache.write(PLAN)
    content = cache.path.read_text()
    assert old in content
    cache.path.write_text(content.replace(old, new))
    assert cache.read() is None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[]", b"null", b"[" * 100_000])
def test_a_file_of_something_else_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    cache = cache_in(tmp_path)
    cache.path.write_bytes(content)
    assert cache.read() is None


def test_a_directory_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = cache_in(tmp_path / "file")
    cache.write(PLAN)
    assert cache.read() is None


def test_the_second_start_takes_the_plan_of_the_first(tmp_path: Path) -> None:
    settings = replace(AUTO, cache_directory=tmp_path)
    first, _ = open_network(small_network(), settings, "digest")
    kept = replace(first, batch_size=first.batch_size + 1)
    PlanCache.of(settings, this_processor(), "digest").write(kept)
    plan, run = open_network(small_network(), settings, "digest")
    assert plan == kept
    assert run(*small_network().sample).shape == (32, 4)


def test_a_start_that_must_not_measure_says_so_until_it_was_done(tmp_path: Path) -> None:
    settings = replace(AUTO, cache_directory=tmp_path, measures=False)
    with pytest.raises(Unmeasured):
        open_network(small_network(), settings, "digest")
    PlanCache.of(settings, this_processor(), "digest").write(PLAN)
    assert open_network(small_network(), settings, "digest")[0] == PLAN


@pytest.mark.parametrize(
    ("flags", "bfloat16"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16", True),
        ("flags\t\t: amx_bf16", True),
        ("Features\t: fp asimd bf16", True),
        ("flags\t\t: fpu avx512f", False),
        ("", False),
    ],
)
def test_bfloat16_is_read_from_the_flags(tmp_path: Path, flags: str, bfloat16: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"model name\t: Some CPU\n{flags}\n\nmodel name\t: second\n")
    processor = this_processor(cpuinfo, tmp_path / "absent")
    assert processor.bfloat16 is bfloat16
    assert processor.model == "Some CPU"


def test_cores_are_bounded_by_the_quota_of_the_container(tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text("100000 100000\n")
    assert this_processor(tmp_path / "absent", quota).cores == 1
    quota.write_text("max 100000\n")
    assert this_processor(tmp_path / "absent", quota).cores >= 1


def test_cuda_where_there_is_none_is_the_operators_mistake() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"
    for asked in ("cuda", "cuda:1"):
        with pytest.raises(OperatorError, match=r"models\.device"):
            resolve_device(asked)


@pytest.mark.parametrize(
    ("asked", "found"), [("auto", "cuda"), ("cuda", "cuda"), ("cuda:1", "cuda:1"), ("cpu", "cpu")]
)
def test_each_encoder_may_have_a_device_of_its_own(
    asked: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.models.device._has_driver", lambda: True)
    monkeypatch.setattr("worker.models.device._cuda_devices", lambda: 2)
    assert resolve_device(asked) == found
    with pytest.raises(OperatorError, match="No CUDA device 2 was found"):
        resolve_device("cuda:2")
    config = config_of(None, {"models.device": "cpu", "models.frame_device": asked})
    assert devices(config) == {
        Modality.FRAME: found.partition(":")[0],
        Modality.CAPTION: "cpu",
        Modality.AUDIO: "cpu",
    }


@pytest.mark.parametrize("runtime", ["auto", "compiled", "graphs"])
def test_what_was_asked_of_a_gpu_is_what_is_started(
    runtime: Runtime | Literal["auto"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.models.tuning.resolve_device", lambda device: device)
    started: list[tuple[Plan, str]] = []

    class Started(Network):
        def start(self, plan: Plan, device: str = "cpu") -> Run:
            started.append((plan, device))
            return Run(lambda *arrays: arrays[0])

    network = Started(torch.nn.Identity, lambda: (np.zeros((1, 2), np.float32),))
    plan, _ = open_network(network, ModelSettings("cuda:1", runtime=runtime, batch_size=8), "")
    assert started == [(plan, "cuda:1")]
    kind = "torch" if runtime == "auto" else runtime
    assert plan == Plan(kind, "float32", 8, 1)


def test_cuda_graphs_are_refused_on_a_cpu() -> None:
    network = Network(torch.nn.Identity, lambda: (np.zeros((1, 2), np.float32),))
    with pytest.raises(OperatorError, match="graphs is for CUDA devices"):
        open_network(network, ModelSettings("cpu", runtime="graphs"), "")


class Recorder:
    """Records as a graph does: of fixed shapes, into buffers that are used again."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> Replay:
        self.shapes.append(tuple(inputs[0].shape))
        held = tuple(each.clone() for each in inputs)

        def replay(*new: torch.Tensor) -> torch.Tensor:
            for place, each in zip(held, new, strict=True):
                assert place.shape == each.shape
                place.copy_(each)
            result: torch.Tensor = module(*held).clone()
            return result

        return replay


def test_a_graph_is_recorded_for_each_bucket_and_gives_what_the_network_gives() -> None:
    network, record = torch.nn.Linear(3, 2), Recorder()
    graphs = Graphs(network, 12, record)
    for items in (3, 4, 1, 9, 12, 3):
        rows = torch.randn(items, 3)
        assert torch.equal(graphs(rows), network(rows))
    assert record.shapes == [(4, 3), (1, 3), (12, 3)]


def test_beyond_so_many_shapes_nothing_more_is_recorded() -> None:
    record = Recorder()
    graphs = Graphs(torch.nn.Identity(), 1, record)
    for length in range(1, MAX_GRAPHS + 5):
        assert graphs(torch.ones(1, length)).shape == (1, length)
    assert len(record.shapes) == MAX_GRAPHS
