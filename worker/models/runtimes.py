"""Ways to run a network: torch as it is or compiled, OpenVINO or dynamic int8 on a CPU.

The module is built, and torch imported, only where a plan needs them: a network that was converted
for OpenVINO before is read from its file.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from worker.models.bfloat16 import ready_for_bfloat16
from worker.models.converted import ConvertedFile
from worker.models.kept_files import can_keep
from worker.models.openvino_runtime import Model, convert, start_openvino
from worker.models.plan import HALVES, Array, Plan, Run

if TYPE_CHECKING:
    from torch import nn


class Network:
    """A module that can be built, and inputs that are typical of it.

    `sample` returns one array per input of the module, all with as many items as a plan is measured
    on. `converted` is where its form for OpenVINO is kept; None: nowhere. `int8` is what runs for
    plans of that dtype.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        sample: Callable[[], tuple[Array, ...]],
        converted: ConvertedFile | None = None,
        int8: Model | None = None,
    ) -> None:
        self._build = build
        self._sample = sample
        self._converted = converted
        self._int8 = int8

    @cached_property
    def module(self) -> nn.Module:
        """The module, in evaluation mode."""
        return self._build().eval()

    @cached_property
    def sample(self) -> tuple[Array, ...]:
        """The typical inputs."""
        return self._sample()

    def start(self, plan: Plan, device: str = "cpu") -> Run:
        """Make it ready to run by a plan. The result is to be called by one thread at a time."""
        if plan.runtime == "openvino":
            return start_openvino(self._model(plan), plan)
        from worker.models.torch_runtime import start_torch

        return start_torch(self.module, self.sample, plan, device)

    def _model(self, plan: Plan) -> Model:
        if plan.dtype == "int8" and self._int8:
            return self._int8
        return self._half if plan.dtype in HALVES else self.openvino

    @cached_property
    def openvino(self) -> Model:
        """The network in float32 as OpenVINO has it."""
        kept = None if self._converted is None else self._converted.read()
        if kept is not None:
            return kept
        model = convert(self.module, self.sample)
        if self._converted is not None:
            self._converted.write(model)
        return model

    @cached_property
    def _half(self) -> Model:
        """Also for float16, which OpenVINO runs in bfloat16 where a CPU has no other."""
        kept = None if self._converted is None else self._converted.directory
        usable = kept is not None and can_keep(kept)
        return ready_for_bfloat16(self.openvino, kept if usable else None)
