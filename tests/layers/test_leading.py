"""Claims about the first channels of features."""

from __future__ import annotations

import torch

from lowvision.layers import Leading


def test_the_first_channels_are_selected_without_a_copy() -> None:
    features = torch.rand(2, 5, 3, 4)
    selected = Leading(2)(features)
    assert torch.equal(selected, features[:, :2])
    assert selected.data_ptr() == features.data_ptr()
