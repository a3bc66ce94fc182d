"""Claims about measuring the quality of images: metric values, crops, sizes, errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lowvision import DataError, Metric
from lowvision.evaluation.measure import DEFAULT_METRICS, mean
from lowvision.evaluation.quality import Quality
from lowvision.imaging import io, metrics

CPU = torch.device("cpu")


class Odd(Metric):
    """A metric that fails, or needs large images."""

    smallest: ClassVar[int] = 30

    fails: bool = False
    """True: measuring fails."""

    def protocol(self) -> str:
        return "odd"

    def measure(self, restored: Tensor, gt: Tensor | None) -> float:
        if self.fails:
            raise RuntimeError("no kernel")
        return 1.0


class Bright(Metric):
    """A no-reference metric."""

    full_reference: ClassVar[bool] = False

    def protocol(self) -> str:
        return "mean"

    def measure(self, restored: Tensor, gt: Tensor | None) -> float:
        assert gt is None
        return float(restored.mean())


class Elsewhere(Metric):
    """A metric that compares with another file."""

    file: str
    """The file."""

    def protocol(self) -> str:
        return "elsewhere"

    def reference(self, photo: str) -> Path | None:
        return Path(self.file)

    def measure(self, restored: Tensor, gt: Tensor | None) -> Mapping[str, float]:
        assert gt is not None
        return {"largest": float((restored - gt).abs().max())}


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 999),
    channels=st.sampled_from([1, 3]),
    crop=st.integers(0, 4),
    as_grey=st.booleans(),
    side=st.integers(19, 90),
)
def test_the_default_metrics_are_psnr_and_ssim_with_known_values(
    seed: int, channels: int, crop: int, as_grey: bool, side: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    gt = torch.rand(channels, side, side + 3, generator=generator)
    images = {f"way {n}": gt + n / 10 * torch.randn(gt.shape, generator=generator) for n in range(3)}
    measured = Quality(DEFAULT_METRICS, crop, CPU).measure(images, gt, "photo", as_grey)
    for row_name, image in images.items():
        assert measured[row_name] == pytest.approx(metrics.measure(image, gt, crop, as_grey), rel=1e-9)
        assert [*measured[row_name]] == [*metrics.measure(image, gt, crop, as_grey)]


@given(level=st.integers(0, 255))
def test_eight_bit_values_are_exact(level: int) -> None:
    image = metrics.eight_bit(torch.full((1, 1, 1), level / 255), 0)
    assert metrics.levels(image).item() == level


def test_a_small_image_has_no_value_and_the_set_no_mean() -> None:
    chosen = {"psnr": DEFAULT_METRICS["psnr"], "odd": Odd()}
    rows = []
    for side in (20, 40):
        gt = torch.rand(3, side, side)
        rows.append(Quality(chosen, 0, CPU).measure({"routed": gt}, gt, "photo", False))
    assert [sorted(row["routed"]) for row in rows] == [
        ["psnr_rgb@crop0", "psnr_y@crop0"],
        ["odd@crop0", "psnr_rgb@crop0", "psnr_y@crop0"],
    ]
    assert sorted(mean(rows)["routed"]) == ["psnr_rgb@crop0", "psnr_y@crop0"]
    assert sorted(mean(rows[::-1])["routed"]) == ["psnr_rgb@crop0", "psnr_y@crop0"]


def test_a_metric_without_a_reference_gets_none() -> None:
    gt = torch.full((3, 12, 12), 0.2)
    measured = Quality({"bright": Bright()}, 1, CPU).measure({"input": gt + 0.4}, gt, "photo", False)
    assert measured["input"] == {"bright@crop1": pytest.approx(0.6, abs=1e-6)}


def test_a_metric_may_read_another_reference_file(tmp_path: Path) -> None:
    other = torch.rand(3, 12, 14)
    io.write(tmp_path / "other.png", io.Image(io.to_uint8(other)))
    chosen = {"elsewhere": Elsewhere(file=str(tmp_path / "other.png"))}
    measured = Quality(chosen, 0, CPU).measure({"input": other}, torch.zeros(3, 12, 14), "photo", False)
    assert measured["input"] == {"elsewhere_largest@crop0": 0}
    with pytest.raises(DataError, match=r"other\.png: is 14x12, photo is 20x20"):
        Quality(chosen, 0, CPU).measure({"input": torch.zeros(3, 20, 20)}, torch.zeros(3, 20, 20), "photo", False)


def test_an_error_names_photograph_and_metric() -> None:
    gt = torch.rand(3, 40, 40)
    with pytest.raises(DataError, match=r"photo: odd: cannot be measured \(RuntimeError: no kernel\)"):
        Quality({"odd": Odd(fails=True)}, 0, CPU).measure({"input": gt}, gt, "photo", False)
    with pytest.raises(DataError, match=r"photo: input is \(3, 40, 39\)"):
        Quality({"odd": Odd()}, 0, CPU).measure({"input": gt[..., 1:]}, gt, "photo", False)
