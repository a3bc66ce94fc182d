"""Claims about the metrics of the core: their values on images whose quality is known."""

from __future__ import annotations

import pytest
import torch

from lowvision.plugins.core_metrics import PSNR, SSIM

GT = torch.randint(0, 200, (3, 16, 16), generator=torch.Generator().manual_seed(0)).float() / 255


def test_the_psnr_of_one_level_of_difference_is_that_of_its_definition() -> None:
    values = PSNR().measure(GT + 1 / 255, GT)
    assert values["rgb"] == pytest.approx(48.1308, abs=1e-3)  # 20 log10 255
    assert values["y"] > values["rgb"]  # luma spans 219 of 255 levels


def test_of_grey_images_luma_is_the_value_itself_only_in_the_full_range() -> None:
    grey = GT[:1].expand(3, -1, -1)
    full = PSNR().of_grey_file().measure(grey + 1 / 255, grey)
    assert full["y"] == pytest.approx(48.1308, abs=1e-3)


def test_equal_images_have_the_largest_ssim_and_noise_a_smaller_one() -> None:
    assert SSIM().measure(GT, GT) == {"y": pytest.approx(1)}
    noisy = (GT + 0.2 * torch.rand(GT.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    assert 0 < SSIM().measure(noisy, GT)["y"] < 0.98


def test_ssim_measures_no_image_smaller_than_its_window() -> None:
    small = GT[:, : SSIM.smallest, : SSIM.smallest]
    assert SSIM().measure(small, small) == {"y": pytest.approx(1)}
