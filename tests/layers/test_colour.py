"""Claims about the mean colour of photographs."""

from __future__ import annotations

import pytest
import torch

from lowvision import layers


@pytest.mark.parametrize("colours", [1, 3])
def test_the_mean_colour_is_subtracted_and_added_again(colours: int) -> None:
    mean = layers.MeanShift(colours)
    image = torch.rand(1, colours, 4, 4)
    torch.testing.assert_close(mean.add(mean.sub(image)), image)
    assert mean.sub(image).mean() < image.mean()
    assert not mean.state_dict()  # a constant is not stored
