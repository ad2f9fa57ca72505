"""Each operator against a direct evaluation of its formula, and what all of them promise."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from math import erf
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.models.fusion.attention import BLOCKS, HEADS, LATENTS
from worker.models.fusion.model import OPERATORS, FusionModel
from worker.models.fusion.operators import masked_softmax, shares

Array = NDArray[np.float64]

DIM = 8
DIMS = {"frame": 10, "caption": 6, "audio": 4, "depth": 3}
SIZE = len(DIMS)
MASKS = np.array(list(itertools.product([False, True], repeat=SIZE)))
EVERY_OPERATOR = pytest.mark.parametrize("name", OPERATORS)


def stirred(module: torch.nn.Module) -> Any:
    """Return the module in float64 with parameters that are all at work."""
    torch.manual_seed(1)
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return module


def operator(name: str) -> Any:
    return stirred(OPERATORS[name](SIZE, DIM))


def inputs(rows: int = len(MASKS)) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(2)
    tokens = torch.randn(rows, SIZE, DIM, generator=random, dtype=torch.float64)
    quality = 0.2 + 0.8 * torch.rand(rows, SIZE, generator=random, dtype=torch.float64)
    return tokens, torch.from_numpy(MASKS[:rows]), quality


def values(module: torch.nn.Module) -> dict[str, Array]:
    return {name: value.detach().numpy() for name, value in module.state_dict().items()}


def of_length_one(amounts: Array) -> Array:
    return amounts / amounts.sum() if amounts.sum() > 0 else amounts


def softmax(logits: Array) -> Array:
    raised = np.exp(logits - logits.max())
    result: Array = raised / raised.sum()
    return result


def gelu(x: Array) -> Array:
    return np.array([v * (1 + erf(v / np.sqrt(2))) / 2 for v in x.ravel()]).reshape(x.shape)


def layer_norm(x: Array, scale: Array, shift: Array) -> Array:
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    result: Array = (x - x.mean(axis=-1, keepdims=True)) / deviation * scale + shift
    return result


def _softmax_of_present(logits: Array, there: Array, q: Array) -> Array:
    weights = np.where(there, q * np.exp(logits), 0)
    return of_length_one(weights)


def concat(w: Mapping[str, Array], t: Array, there: Array, q: Array) -> tuple[Array, Array]:
    filled = np.where(there[:, None], q[:, None] * t, w["missing"])
    parts = [w["joint.weight"][:, m * DIM : (m + 1) * DIM] @ filled[m] for m in range(SIZE)]
    fused = w["joint.weight"] @ filled.ravel() + w["joint.bias"]
    return fused, of_length_one(np.linalg.norm(parts, axis=1) * there)


def weighted(w: Mapping[str, Array], t: Array, there: Array, q: Array) -> tuple[Array, Array]:
    weights = _softmax_of_present(w["logits"], there, q)
    return weights @ t, weights


def gated(w: Mapping[str, Array], t: Array, there: Array, q: Array) -> tuple[Array, Array]:
    logits = np.tanh(t @ w["hidden.weight"].T + w["hidden.bias"]) @ w["score.weight"][0]
    weights = _softmax_of_present(logits, there, q)
    return weights @ t, weights


def product(w: Mapping[str, Array], t: Array, there: Array, q: Array) -> tuple[Array, Array]:
    scaled = t * (there * q)[:, None]
    return np.prod(1 + scaled, axis=0) - 1, of_length_one(np.linalg.norm(scaled, axis=1))


def poe(w: Mapping[str, Array], t: Array, there: Array, q: Array) -> tuple[Array, Array]:
    means = np.stack([w["means"][m] @ t[m] for m in range(SIZE)])
    logs = np.stack([w["precisions"][m] @ t[m] + w["bias"][m] for m in range(SIZE)])
    precisions = np.exp(logs.clip(-6, 6)) * (there * q)[:, None]
    fused = (precisions * means).sum(axis=0) / (1 + precisions.sum(axis=0))
    return fused, of_length_one(precisions.mean(axis=1))


def adapter(w: Mapping[str, Array], t: Array, there: Array, q: Array) -> tuple[Array, Array]:
    heard = np.zeros_like(t)
    for m in range(SIZE):
        others = [t[k] for k in range(SIZE) if k != m and there[k]]
        context = np.mean(others, axis=0) if others else np.zeros(DIM)
        low = gelu(w["down.weight"] @ np.concatenate([t[m], context]) + w["down.bias"])
        heard[m] = t[m] + w["up.weight"] @ low + w["up.bias"]
    return weighted({"logits": w["sum.logits"]}, heard, there, q)


def attention(w: Mapping[str, Array], t: Array, there: Array, q: Array) -> tuple[Array, Array]:
    keys = np.concatenate([w["always"], t[there]])
    bias = np.concatenate([[0], np.log(q[there])])
    latents, looked = w["latents"], np.zeros((LATENTS, len(keys)))
    for block in range(BLOCKS):
        b = {k.removeprefix(f"blocks.{block}."): v for k, v in w.items()}
        known = layer_norm(keys, b["token_norm.weight"], b["token_norm.bias"])
        asking = layer_norm(latents, b["latent_norm.weight"], b["latent_norm.bias"])
        query, key, value = (
            np.split(source @ part.T + shift, HEADS, axis=1)
            for source, part, shift in zip(
                (asking, known, known),
                np.split(b["attention.in_proj_weight"], 3),
                np.split(b["attention.in_proj_bias"], 3),
                strict=True,
            )
        )
        scale = np.sqrt(DIM / HEADS)
        seen = [
            np.stack([softmax(row) for row in query[h] @ key[h].T / scale + bias])
            for h in range(HEADS)
        ]
        heard = np.concatenate([seen[h] @ value[h] for h in range(HEADS)], axis=1)
        out = heard @ b["attention.out_proj.weight"].T + b["attention.out_proj.bias"]
        latents, looked = latents + out, np.mean(seen, axis=0)
        inner = layer_norm(latents, b["feed_forward.0.weight"], b["feed_forward.0.bias"])
        inner = gelu(inner @ b["feed_forward.1.weight"].T + b["feed_forward.1.bias"])
        latents = latents + inner @ b["feed_forward.3.weight"].T + b["feed_forward.3.bias"]
    weights = np.zeros(SIZE)
    weights[there] = looked.mean(axis=0)[1:]
    fused = layer_norm(latents.mean(axis=0), w["norm.weight"], w["norm.bias"])
    return fused, of_length_one(weights)


FORMULAS: Mapping[str, Callable[..., tuple[Array, Array]]] = {
    "concat": concat,
    "weighted": weighted,
    "gated": gated,
    "product": product,
    "attention": attention,
    "poe": poe,
    "adapter": adapter,
}


@EVERY_OPERATOR
def test_every_mask_gives_what_the_formula_gives(name: str) -> None:
    module = operator(name)
    tokens, present, quality = inputs()
    fused, weights = module(tokens, present, quality)
    for row in range(len(MASKS)):
        wanted = FORMULAS[name](
            values(module), tokens[row].numpy(), MASKS[row], quality[row].numpy()
        )
        assert fused[row].detach().numpy() == pytest.approx(wanted[0], abs=1e-9)
        assert weights[row].detach().numpy() == pytest.approx(wanted[1], abs=1e-9)


@EVERY_OPERATOR
def test_weights_are_shares_of_the_present(name: str) -> None:
    _, weights = operator(name)(*inputs())
    assert (weights >= 0).all()
    assert (weights[~torch.from_numpy(MASKS)] == 0).all()
    some = torch.from_numpy(MASKS.any(axis=1)).double()
    assert torch.allclose(weights.sum(1), some)


@EVERY_OPERATOR
def test_the_missing_has_neither_influence_nor_gradient(name: str) -> None:
    module = operator(name)
    tokens, present, quality = inputs()
    dirty = torch.where(present.unsqueeze(-1), tokens, 1e6).requires_grad_()
    fused, weights = module(dirty, present, quality)
    clean = module(tokens, present, quality)
    assert torch.equal(fused, clean[0])
    assert torch.equal(weights, clean[1])
    (fused.square().sum() + weights.square().sum()).backward()
    assert dirty.grad is not None
    assert torch.isfinite(dirty.grad).all()
    assert (dirty.grad[~present] == 0).all()
    assert (dirty.grad[present].abs().sum(1) > 0).all()


@EVERY_OPERATOR
def test_every_parameter_learns(name: str) -> None:
    module = operator(name)
    tokens, present, quality = inputs()
    fused, _ = module(tokens.requires_grad_(), present, quality)
    torch.autograd.backward(fused.square().sum())
    still = [each for each, value in module.named_parameters() if value.grad is None]
    assert not still
    assert all(torch.isfinite(value.grad).all() for value in module.parameters())
    assert all(value.grad.abs().sum() > 0 for value in module.parameters())


@EVERY_OPERATOR
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    module = operator(name)
    tokens, _, quality = inputs(3)
    present = torch.tensor([[True, True, False, True], [True, False, False, False], [True] * 4])
    assert torch.autograd.gradcheck(
        lambda x: module(x, present, quality)[0], (tokens.requires_grad_(),), fast_mode=True
    )


@EVERY_OPERATOR
def test_less_quality_means_less_weight(name: str) -> None:
    tokens, _, _ = inputs()
    present = torch.ones(len(MASKS), SIZE, dtype=torch.bool)
    quality = torch.ones(len(MASKS), SIZE, dtype=torch.float64)
    module = operator(name)
    _, before = module(tokens, present, quality)
    quality[:, 1] = 0.1
    _, after = module(tokens, present, quality)
    assert (after[:, 1] < before[:, 1]).all()


@pytest.mark.parametrize("name", ["gated", "product", "attention"])
@given(order=st.permutations(range(SIZE)))
def test_operators_that_treat_modalities_alike_do_not_mind_their_order(
    name: str, order: list[int]
) -> None:
    module = operator(name)
    tokens, present, quality = inputs()
    fused, weights = module(tokens, present, quality)
    turned, moved = module(tokens[:, order], present[:, order], quality[:, order])
    assert torch.allclose(fused, turned)
    assert torch.allclose(weights[:, order], moved)


@EVERY_OPERATOR
def test_rows_do_not_depend_on_each_other(name: str) -> None:
    module = operator(name)
    tokens, present, quality = inputs()
    fused, _ = module(tokens, present, quality)
    order = torch.randperm(len(MASKS), generator=torch.Generator().manual_seed(3))
    turned, _ = module(tokens[order], present[order], quality[order])
    assert torch.allclose(fused[order], turned)


def test_untrained_operators_begin_as_the_plain_ones() -> None:
    tokens, present, quality = inputs()
    plain = tokens.new_ones(quality.shape)
    mean, equal = OPERATORS["weighted"](SIZE, DIM).double()(tokens, present, plain)
    count = present.sum(1, keepdim=True).clamp_min(1).double()
    assert torch.allclose(mean, torch.where(present.unsqueeze(-1), tokens, 0.0).sum(1) / count)
    assert torch.allclose(equal, present / count)
    adapted, _ = OPERATORS["adapter"](SIZE, DIM).double()(tokens, present, plain)
    assert torch.allclose(adapted, mean)


@given(st.lists(st.floats(-300, 300, width=32), min_size=SIZE, max_size=SIZE))
def test_the_masked_softmax_is_finite_for_any_logits_and_mask(logits: list[float]) -> None:
    rows = torch.tensor([logits] * len(MASKS), requires_grad=True)
    weights = masked_softmax(rows, torch.from_numpy(MASKS))
    assert torch.isfinite(weights).all()
    torch.autograd.backward(weights.square().sum())
    assert rows.grad is not None
    assert torch.isfinite(rows.grad).all()


def test_amounts_that_are_all_zero_are_shared_equally() -> None:
    present = torch.tensor([[True, True, False]])
    assert shares(torch.zeros(1, 3), present).tolist() == [[0.5, 0.5, 0.0]]


def embeddings(rows: int) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(4)
    return {name: torch.randn(rows, size, generator=random) for name, size in DIMS.items()}


@EVERY_OPERATOR
def test_the_model_is_finite_for_every_mask_and_never_looks_at_the_missing(name: str) -> None:
    torch.manual_seed(0)
    model = FusionModel(DIMS, name, dim=DIM, classes=3).eval()
    present = torch.from_numpy(MASKS)
    clean, dirty = embeddings(len(MASKS)), embeddings(len(MASKS))
    for place, vectors in enumerate(dirty.values()):
        vectors[~present[:, place]] = torch.nan
    with torch.no_grad():
        one, other = model(clean, present), model(dirty, present)
    assert one.fused.shape == (len(MASKS), DIM)
    assert one.logits.shape == (len(MASKS), 3)
    assert one.unimodal_logits.shape == (len(MASKS), SIZE, 3)
    for left, right in zip(one, other, strict=True):
        assert torch.isfinite(left).all()
        assert torch.equal(left, right)
    assert (one.unimodal_logits[~present] == 0).all()


def test_a_model_learns_a_rule_that_needs_two_modalities() -> None:
    """It is whether both have their first coordinate above their second: one alone tells 3 of 4."""
    torch.manual_seed(0)
    model = FusionModel({"a": 4, "b": 4}, "concat", dim=DIM)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    present = torch.ones(256, 2, dtype=torch.bool)
    z = {name: torch.randn(256, 4) for name in ("a", "b")}
    above = [vectors[:, 0] > vectors[:, 1] for vectors in z.values()]
    labels = (above[0] & above[1]).long()
    for _ in range(100):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(z, present).logits, labels)
        torch.autograd.backward(loss)
        optimiser.step()
    alone = torch.tensor([[True, False]]).expand(256, 2)
    accuracy = [
        float((model(z, mask).logits.argmax(1) == labels).double().mean())
        for mask in (present, alone)
    ]
    assert accuracy[0] > 0.9
    assert accuracy[1] < 0.85


def test_the_size_of_the_attention_is_what_the_docstring_says() -> None:
    model = OPERATORS["attention"](3, 256)
    assert sum(value.numel() for value in model.parameters()) / 1e6 == pytest.approx(1.6, abs=0.2)
