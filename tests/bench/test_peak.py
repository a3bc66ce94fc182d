"""Claims about the machine's peak."""

from __future__ import annotations

import pytest
import torch

from lowvision.bench import peak


def test_the_peak_is_in_multiply_adds_and_the_thread_setting_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "PATIENCE", 0.01)
    threads = torch.get_num_threads()
    assert 1e8 < peak.multiply_adds_per_second() < 1e15
    assert torch.get_num_threads() == threads
