from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from worker.models.consistency.cca import Cca
from worker.models.consistency.contrastive import (
    AgreementHead,
    Heads,
    agreement_loss,
    duplicates,
    info_nce,
)
from worker.models.consistency.shared_space import agreement

Array = NDArray[np.float64]


def pairs(rows: int, seed: int, noise: float = 0.5) -> tuple[Array, Array]:
    """Two views of three hidden numbers, each among coordinates that mean nothing."""
    random = np.random.default_rng(seed)
    hidden = random.standard_normal((rows, 3))
    mixing = np.random.default_rng(99)
    x = hidden @ mixing.standard_normal((3, 12)) + noise * random.standard_normal((rows, 12))
    y = hidden @ mixing.standard_normal((3, 8)) + noise * random.standard_normal((rows, 8))
    return x, y


def auroc(true: Array, false: Array) -> float:
    """The share of (true, false) pairs in which the true one scores higher."""
    return float((true[:, None] > false).mean())


def unit(rows: Array) -> Array:
    result: Array = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return result


def test_the_shared_space_score_is_the_log_softmax_of_the_true_partner() -> None:
    random = np.random.default_rng(0)
    u, v, others = (unit(random.standard_normal((n, 6))) for n in (5, 5, 7))
    for row, score in enumerate(agreement(u, v, others, tau=10)):
        logits = 10 * np.r_[u[row] @ v[row], others @ u[row]]
        assert score == pytest.approx(np.log(np.exp(logits[0]) / np.exp(logits).sum()))


def test_a_partner_like_all_others_is_at_chance_and_a_perfect_one_is_certain() -> None:
    u = np.eye(4)[:1]
    same = np.repeat(np.eye(4)[1:2], 63, axis=0)
    assert agreement(u, same[:1], same)[0] == pytest.approx(-np.log(64))
    assert agreement(u, u, same)[0] == pytest.approx(0, abs=1e-9)


def test_cca_finds_the_correlations_of_the_generalised_eigenproblem() -> None:
    x, y = pairs(400, 0)
    cca = Cca.fit(x, y, ridge=1e-6)
    a, b = x - x.mean(0), y - y.mean(0)
    cross = a.T @ b
    operator = np.linalg.solve(a.T @ a, cross) @ np.linalg.solve(b.T @ b, cross.T)
    values = np.sort(np.linalg.eigvals(operator).real)[::-1][:8]
    assert cca.correlations == pytest.approx(np.sqrt(values.clip(0)), abs=1e-3)


def test_cca_projections_are_uncorrelated_and_as_correlated_as_it_says() -> None:
    x, y = pairs(2000, 1)
    cca = Cca.fit(x, y, dim=3, ridge=1e-6)
    a = (x - cca.first.mean) @ cca.first.directions / cca.correlations
    b = (y - cca.second.mean) @ cca.second.directions / cca.correlations
    assert a.T @ a / len(a) == pytest.approx(np.eye(3), abs=1e-2)
    assert np.diag(a.T @ b / len(a)) == pytest.approx(cca.correlations, abs=1e-2)


def test_cca_tells_true_pairs_it_has_not_seen_from_false_ones() -> None:
    cca = Cca.fit(*pairs(300, 2))
    x, y = pairs(300, 3)
    assert auroc(cca.agreement(x, y), cca.agreement(x, np.roll(y, 1, axis=0))) > 0.9


def test_cca_finds_nothing_where_there_is_nothing() -> None:
    random = np.random.default_rng(4)
    x, y = random.standard_normal((2000, 6)), random.standard_normal((2000, 5))
    cca = Cca.fit(x, y)
    x, y = random.standard_normal((2000, 6)), random.standard_normal((2000, 5))
    scores = auroc(cca.agreement(x, y), cca.agreement(x, np.roll(y, 1, axis=0)))
    assert scores == pytest.approx(0.5, abs=0.05)


def test_cca_lives_with_fewer_pairs_than_coordinates_and_with_constant_ones() -> None:
    x, y = pairs(5, 5)
    x[:, 0] = 1
    cca = Cca.fit(x, y)
    assert np.isfinite(cca.agreement(x, y)).all()
    assert cca.agreement(np.tile(cca.first.mean, (1, 1)), y[:1]) == pytest.approx([0], abs=1e-6)


def test_cca_needs_pairs() -> None:
    with pytest.raises(ValueError, match="two pairs"):
        Cca.fit(np.ones((3, 2)), np.ones((2, 2)))


def test_info_nce_is_the_mean_of_both_cross_entropies() -> None:
    random = np.random.default_rng(6)
    x, y = (unit(random.standard_normal((6, 5))) for _ in range(2))
    logits = 7 * x @ y.T
    rows = -np.diag(logits) + np.log(np.exp(logits).sum(1))
    columns = -np.diag(logits) + np.log(np.exp(logits).sum(0))
    tau = torch.tensor(7.0)
    loss = info_nce(torch.from_numpy(x), torch.from_numpy(y), tau, torch.eye(6))
    assert float(loss) == pytest.approx((rows.mean() + columns.mean()) / 2)


def test_near_duplicates_are_no_negatives() -> None:
    v = torch.tensor([[1.0, 0.0], [0.99, 0.1], [0.0, 1.0]])
    assert duplicates(v).tolist() == [[False, True, False], [True, False, False], [False] * 3]
    x = torch.nn.functional.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)))
    alone = info_nce(x, x, torch.tensor(5.0), v)
    others = info_nce(x, x, torch.tensor(5.0), torch.eye(3))
    assert alone < others


def test_the_agreement_loss_passes_over_duplicates_and_the_row_itself() -> None:
    torch.manual_seed(0)
    head = AgreementHead(4)
    x, y = torch.randn(3, 4), torch.randn(3, 4)
    v = torch.tensor([[1.0, 0.0], [0.99, 0.1], [0.0, 1.0]])
    true = torch.nn.functional.softplus(-head(x, y)).mean()
    only_self = agreement_loss(head, x, y, torch.tensor([0, 1, 2]), v)
    only_duplicates = agreement_loss(head, x, y, torch.tensor([1, 0, 2]), v)
    assert only_self == only_duplicates == true
    false = torch.nn.functional.softplus(head(x[:1], y[2:])).mean()
    assert torch.isclose(agreement_loss(head, x, y, torch.tensor([2, 0, 2]), v), (true + false) / 2)


def test_heads_learn_from_pairs_alone_what_belongs_together() -> None:
    torch.manual_seed(0)
    u, v = (torch.from_numpy(each).float() for each in pairs(600, 7))
    heads, decide = Heads(12, 8, 16), AgreementHead(16)
    optimiser = torch.optim.Adam([*heads.parameters(), *decide.parameters()], 1e-2)
    for step in range(80):
        optimiser.zero_grad()
        x, y = heads(u, v)
        negatives = torch.arange(600).roll(step % 599 + 1)
        loss = info_nce(x, y, heads.tau, v) + agreement_loss(decide, x, y, negatives, v)
        torch.autograd.backward(loss)
        optimiser.step()
    a, b = (torch.from_numpy(each).float() for each in pairs(300, 8))
    with torch.no_grad():
        x, y = heads(a, b)
        decided = decide(x, y).numpy(), decide(x, y.roll(1, 0)).numpy()
        near = heads.agreement(a, b).numpy(), heads.agreement(a, b.roll(1, 0)).numpy()
    assert auroc(*decided) > 0.9
    assert auroc(*near) > 0.9
