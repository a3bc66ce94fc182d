"""Claims about the machine's peak."""

from __future__ import annotations

import pytest
import torch

from lowvision.bench import peak


def test_it_is_counted_in_multiply_adds_and_leaves_the_threads_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "PATIENCE", 0.01)
    threads = torch.get_num_threads()
    assert 1e8 < peak.multiply_adds_per_second() < 1e15
    assert torch.get_num_threads() == threads
