"""A state is only taken up by a scorer for which it means the same."""

from __future__ import annotations

import pytest

from worker.scoring import memory
from worker.scoring.experts import panel
from worker.scoring.memory import layout_digest


def test_another_caption_encoder_expert_or_version_is_another_layout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = layout_digest(24)
    assert before == layout_digest(24) != layout_digest(25)
    with monkeypatch.context() as patch:
        patch.setattr(panel, "VISUAL_DIM", 32)
        assert layout_digest(24) != before
    monkeypatch.setattr(memory, "VERSION", memory.VERSION + 1)
    assert layout_digest(24) != before
