"""One step over a batch: in parts, by several processes, in bfloat16 where that is asked for.

    g = sum_k (n_k / n) g_k        g_k: gradient of the mean loss over the n_k of n rows of part k

A batch has `accumulate` parts for each process, which works on its own ones. So P processes step as
one does with P times as many parts. Contrastive terms compare the rows of a part alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from worker.training.losses import TERMS, Terms, total
from worker.training.processes import ALONE, Processes

Precision = Literal["float32", "bfloat16"]
TermsOf = Callable[[torch.Tensor, int], Terms]  # rows of a part, and its number

MAX_NORM = 5.0  # of the gradient
_MIN_ROWS = 2  # of a part: one alone has nothing to be compared with


@dataclass(frozen=True, slots=True)
class Stepper:
    """Moves parameters. `accumulate` parts are worked on one after the other, to save memory.

    With `precision` bfloat16 products of matrices are taken in it; weights stay float32.
    """

    optimizer: torch.optim.Optimizer
    accumulate: int = 1
    precision: Precision = "float32"
    processes: Processes = ALONE

    def gradients(self, places: torch.Tensor, terms_of: TermsOf) -> dict[str, float]:
        """Leave the gradient of the batch in the parameters; return the means of its terms.

        Where a term is no finite number no gradient is of use; all processes return the same.
        """
        self.optimizer.zero_grad()
        parts = _parts(places, self.accumulate * self.processes.count)
        sums: dict[str, torch.Tensor] = {}
        for number in range(self.processes.rank, len(parts), self.processes.count):
            share = len(parts[number]) / len(places)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bfloat16"):
                terms = terms_of(parts[number], number)
                loss = total(terms) * share
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
            for name, term in terms.items():
                sums[name] = sums.get(name, torch.zeros(())) + term.detach().float() * share
        self._share()
        return self._added(sums)

    def move(self) -> None:
        """Step by the gradients, clipped to MAX_NORM."""
        nn.utils.clip_grad_norm_(self._parameters(), MAX_NORM)
        self.optimizer.step()

    def _share(self) -> None:
        """Add up the gradients of those parameters that have one in any process."""
        if self.processes.count == 1:
            return
        parameters = self._parameters()
        has = torch.tensor([each.grad is not None for each in parameters], dtype=torch.float32)
        self.processes.add([has])
        moved = [each for each, known in zip(parameters, has.tolist(), strict=True) if known]
        for each in moved:
            if each.grad is None:
                each.grad = torch.zeros_like(each)
        self.processes.add([each.grad for each in moved if each.grad is not None])

    def _added(self, sums: Mapping[str, torch.Tensor]) -> dict[str, float]:
        """Return the terms over all parts; not each process knows all of them."""
        values = torch.stack([sums.get(name, torch.zeros(())) for name in TERMS])
        known = torch.tensor([float(name in sums) for name in TERMS])
        self.processes.add([values, known])
        rows = zip(TERMS, values.tolist(), known.tolist(), strict=True)
        return {name: value for name, value, is_known in rows if is_known}

    def _parameters(self) -> Sequence[nn.Parameter]:
        return [each for group in self.optimizer.param_groups for each in group["params"]]


def are_numbers(terms: Mapping[str, float]) -> bool:
    """Tell whether a batch has gone well."""
    return all(map(math.isfinite, terms.values()))


def _parts(places: torch.Tensor, most: int) -> tuple[torch.Tensor, ...]:
    """Cut evenly into at most so many, of two rows or more."""
    return places.tensor_split(max(1, min(most, len(places) // _MIN_ROWS)))
