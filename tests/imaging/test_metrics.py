"""Claims about PSNR and SSIM."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from lowvision.errors import DataError
from lowvision.imaging import metrics
from lowvision.imaging.metrics import measure


def pair(channels: int = 3, height: int = 90, width: int = 67) -> tuple[Tensor, Tensor]:
    """Return a smooth noisy image and a noisier copy: (C,H,W) in [0,1], 8-bit values."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    clean = torch.stack([x, y, x * y])[:channels] * 0.8 + 0.1
    noisy = [clean + 0.05 * torch.randn(clean.shape, generator=generator) for _ in range(2)]
    restored, gt = ((image.clamp(0, 1) * 255).round() / 255 for image in noisy)
    return restored, gt


def matlab_luma(image: Tensor) -> np.ndarray:
    red, green, blue = image.double().numpy()
    return 16 + 65.481 * red + 128.553 * green + 24.966 * blue


def inside(image: np.ndarray, crop: int) -> np.ndarray:
    return image[..., crop:-crop, crop:-crop] if crop else image


@pytest.mark.parametrize("crop", [0, 4])
def test_psnr_and_ssim_equal_scikit_image(crop: int) -> None:
    restored, gt = pair()
    values = measure(restored, gt, crop)
    luma = [inside(matlab_luma(image), crop) for image in (gt, restored)]
    rgb = [inside(image.double().numpy(), crop) for image in (gt, restored)]
    _, similarity = structural_similarity(
        *luma, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True
    )
    assert values == pytest.approx(
        {
            f"psnr_rgb@crop{crop}": peak_signal_noise_ratio(*rgb, data_range=1),
            f"psnr_y@crop{crop}": peak_signal_noise_ratio(*luma, data_range=255),
            f"ssim_y@crop{crop}": inside(similarity, 5).mean(),
        },
        rel=1e-6,
    )


def test_a_difference_of_one_level_everywhere_is_48_13_db() -> None:
    gt = torch.full((3, 20, 20), 100 / 255)
    assert measure(gt + 1 / 255, gt, 0)["psnr_rgb@crop0"] == pytest.approx(20 * math.log10(255))
    # One level in R, G and B is 219/255 levels of studio-range luma.
    assert measure(gt + 1 / 255, gt, 0)["psnr_y@crop0"] == pytest.approx(20 * math.log10(255 * 255 / 219))


def test_ssim_of_two_flat_images_depends_on_their_means() -> None:
    a, b = torch.full((1, 11, 11), 100 / 255), torch.full((1, 11, 11), 50 / 255)
    by_hand = (2 * 100 * 50 + 6.5025) / (100**2 + 50**2 + 6.5025)
    assert measure(a, b, 0)["ssim_y@crop0"] == pytest.approx(by_hand)


def test_equal_images_have_100_db_and_ssim_1() -> None:
    gt = pair()[1]
    assert measure(gt, gt, 2) == {"psnr_rgb@crop2": 100.0, "psnr_y@crop2": 100.0, "ssim_y@crop2": pytest.approx(1)}


def test_differences_below_8_bit_rounding_are_ignored() -> None:
    gt = pair()[1]
    assert measure(gt + 0.4 / 255, gt, 0)["psnr_rgb@crop0"] == 100.0
    white = torch.ones(3, 20, 20)
    assert measure(white * 1.5, white, 0)["psnr_rgb@crop0"] == 100.0


def test_the_border_is_excluded() -> None:
    gt = pair()[1]
    damaged = gt.clone()
    damaged[:, :4], damaged[:, -4:], damaged[..., :4], damaged[..., -4:] = 0, 0, 1, 1
    assert measure(damaged, gt, 4)["psnr_rgb@crop4"] == 100.0
    assert measure(damaged, gt, 3)["psnr_rgb@crop3"] < 100.0


def test_a_grey_image_is_its_own_luma() -> None:
    restored, gt = pair(channels=1)
    values = measure(restored, gt, 4)
    assert values.keys() == {"psnr_y@crop4", "ssim_y@crop4"}
    expected = peak_signal_noise_ratio(inside(gt.numpy(), 4), inside(restored.numpy(), 4), data_range=1)
    assert values["psnr_y@crop4"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("height", [11, 73, 74, 75, 139])
def test_strips_give_the_value_of_the_whole_image(height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = (matlab_luma(image) for image in pair(height=height))
    in_strips = metrics.ssim(torch.from_numpy(a), torch.from_numpy(b))
    monkeypatch.setattr(metrics, "STRIP", 10_000)
    torch.testing.assert_close(in_strips, metrics.ssim(torch.from_numpy(a), torch.from_numpy(b)))


def test_images_too_small_or_of_unequal_size_are_errors() -> None:
    gt = pair(height=18)[1]
    with pytest.raises(DataError, match="67x18 is too small to measure: 4 off each border must leave 11 pixels"):
        measure(gt, gt, 4)
    assert measure(gt[:, :11], gt[:, :11], 0)
    with pytest.raises(DataError, match=r"restored is \(3, 17, 67\)"):
        measure(gt[:, 1:], gt, 0)


def test_psnr_of_tiles_ranks_each_tile_and_is_finite() -> None:
    gt = torch.zeros(3, 3, 8, 8)
    tiles = gt + torch.tensor([0.0, 0.1, 0.01]).view(3, 1, 1, 1)
    torch.testing.assert_close(metrics.psnr(tiles, gt), torch.tensor([100.0, 20.0, 40.0]))


def test_a_grey_image_as_rgb_has_the_same_psnr_and_its_luma_1_32_db_more() -> None:
    restored, gt = pair(channels=1)
    grey = measure(restored, gt, 4)
    repeated = [image.expand(3, -1, -1) for image in (restored, gt)]
    as_grey = measure(*repeated, 4, as_grey=True)
    as_rgb = measure(*repeated, 4)
    assert as_grey["psnr_y@crop4"] == pytest.approx(grey["psnr_y@crop4"], abs=1e-9)
    assert as_grey["ssim_y@crop4"] == pytest.approx(grey["ssim_y@crop4"], abs=1e-9)
    assert as_rgb["psnr_y@crop4"] - grey["psnr_y@crop4"] == pytest.approx(20 * math.log10(255 / 219), abs=1e-6)
