"""The restorer of a weights file restores arrays and tensors of any size, within a budget or a loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lowvision
from lowvision.errors import DataError, RunError, UsageError, WeightsError
from lowvision.imaging import io
from lowvision.imaging.resize import resize
from lowvision.inference.restorer import Restorer, load
from lowvision.models import weights
from lowvision.models.calibration import Curve, Speed
from lowvision.plugins import registry
from lowvision.routing import cost


@pytest.fixture(scope="module")
def network(weights_file: Path) -> Restorer:
    return load(weights_file, device="cpu", runtime="torch")


def picture(height: int = 40, width: int = 52, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    unit = np.random.default_rng(0).random((height, width, channels), dtype=np.float32)
    return unit if dtype is np.float32 else (unit * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_result_has_the_type_and_channels_of_its_input(network: Restorer, channels: int, dtype: type) -> None:
    image = network.restore(picture(channels=channels, dtype=dtype)).image
    assert (image.shape, image.dtype) == ((80, 104, channels), dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, 20, 30), (1, 20, 30), (2, 3, 20, 30), (2, 4, 20, 30)])
def test_tensors_are_restored_to_tensors(network: Restorer, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = torch.rand(shape).to(dtype)
    restored = network.restore(x)
    assert (restored.image.shape, restored.image.dtype) == ((*shape[:-2], 40, 60), dtype)
    assert restored.choice.shape == (*shape[:-3], 2, 3)


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_images_of_every_size_are_restored(network: Restorer, height: int, width: int) -> None:
    assert network.restore(picture(height, width)).image.shape == (2 * height, 2 * width, 3)


def test_an_array_and_a_tensor_give_the_same_result(network: Restorer) -> None:
    array = picture()
    as_tensor = network.restore(io.to_tensor(array)).image
    np.testing.assert_array_equal(network.restore(array).image, io.to_uint8(as_tensor))


def test_a_view_of_an_array_gives_the_result_of_its_copy(network: Restorer) -> None:
    view = picture()[::-1, :, ::-1]  # as from BGR to RGB
    assert np.array_equal(network.restore(view).image, network.restore(view.copy()).image)


def test_a_batch_gives_the_results_of_its_images(network: Restorer) -> None:
    x = torch.rand(2, 3, 24, 40)
    both, first, second = network.restore(x), network.restore(x[0]), network.restore(x[1])
    assert torch.equal(both.image, torch.stack([first.image, second.image]))
    assert both.cost == first.cost + second.cost
    assert both.base_cost == 2 * first.base_cost


def test_a_grey_image_is_restored_as_rgb_and_averaged(network: Restorer) -> None:
    x = torch.rand(1, 24, 24)
    as_colour = network.restore(x.expand(3, -1, -1)).image
    torch.testing.assert_close(network.restore(x).image, as_colour.mean(dim=0, keepdim=True))


def test_alpha_is_resampled_and_does_not_change_colours(network: Restorer) -> None:
    x = torch.rand(4, 24, 24)
    restored = network.restore(x).image
    torch.testing.assert_close(restored[3:], resize(x[3:], (48, 48)).clamp(0, 1))
    assert torch.equal(restored[:3], network.restore(x[:3]).image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_colour_below_transparent_pixels_does_not_leak(network: Restorer, dtype: type) -> None:
    y, x = np.mgrid[0:40, 0:40]
    inside = (x - 19.5) ** 2 + (y - 19.5) ** 2 < 150
    largest = 1 if dtype is np.float32 else np.iinfo(dtype).max
    disc = np.repeat(inside[..., None], 4, axis=2).astype(dtype) * dtype(largest)  # hidden black around white
    white = disc.copy()
    white[..., :3] = largest
    for image in (disc, torch.from_numpy(disc / largest).permute(2, 0, 1).float()):
        other = white if isinstance(image, np.ndarray) else torch.cat([torch.ones_like(image[:3]), image[3:]])
        assert (network.restore(image).image == network.restore(other).image).all()


def test_restores_alpha_restores_alpha_as_a_grey_image(network: Restorer) -> None:
    x = picture(24, 24, 4)
    restored = network.restore(x, restores_alpha=True)
    np.testing.assert_array_equal(restored.image[..., 3:], network.restore(x[..., 3:]).image)
    assert restored.cost > network.restore(x).cost


def test_a_result_contains_the_route_and_its_cost(network: Restorer) -> None:
    restored = network.restore(picture(40, 52))
    assert restored.choice.shape == (3, 4)
    assert sum(restored.tiles) == 12
    assert restored.tiles == tuple(np.bincount(restored.choice.ravel(), minlength=3))
    assert sum(restored.shares) == pytest.approx(1)
    base = network.architecture.only(-1).build_network()
    assert restored.base_cost == cost.multiply_adds(base, (1, 3, 40, 52))
    assert restored.share_of_base == restored.cost / restored.base_cost
    assert restored.seconds > 0


def test_progress_counts_all_tiles_of_a_batch(network: Restorer) -> None:
    calls: list[tuple[int, int]] = []
    network.restore(torch.rand(2, 3, 40, 52), progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1] == (24, 24)


def test_a_single_network_is_a_container_of_one_branch(tmp_path: Path) -> None:
    alone = tiny.architecture().only(-1)
    restored = load(tiny.write_weights(tmp_path / "base.safetensors", alone), device="cpu", runtime="torch").restore(
        picture()
    )
    assert restored.image.shape == (80, 104, 3)
    assert restored.shares == (1.0,)
    assert not restored.choice.any()


def test_grey_weights_refuse_colour_and_restore_grey_with_and_without_alpha(tmp_path: Path) -> None:
    grey = load(
        tiny.write_weights(tmp_path / "grey.safetensors", tiny.architecture(channels=1)), device="cpu", runtime="torch"
    )
    assert grey.restore(picture(channels=1)).image.shape == (80, 104, 1)
    with pytest.raises(DataError, match="restore grey images"):
        grey.restore(picture(channels=3))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_refused(network: Restorer, value: float) -> None:
    image = picture(dtype=np.float32)
    image[3, 4, 1] = value
    with pytest.raises(DataError, match="NaN or infinite"):
        network.restore(image)


def test_arrays_that_are_not_images_are_refused(network: Restorer) -> None:
    with pytest.raises(TypeError, match="float64"):
        network.restore(np.zeros((8, 8, 3)))
    with pytest.raises(TypeError, match=r"torch\.uint8"):
        network.restore(torch.zeros(3, 8, 8, dtype=torch.uint8))
    for shape in [(8, 8), (8, 8, 2), (0, 8, 3)]:
        with pytest.raises(ValueError, match=r"\(H,W,C\)|not the shape of an image"):
            network.restore(np.zeros(shape, dtype=np.uint8))
    with pytest.raises(ValueError, match="not the shape of an image"):
        network.restore(torch.zeros(8, 8, 3))


@pytest.mark.parametrize("share", [0.4, 0.7, 1.0, 1.2])
def test_a_budget_is_a_fraction_of_the_base_cost_on_the_whole_image(network: Restorer, share: float) -> None:
    image = picture(200, 160)
    cheapest, most_expensive = (network.restore(image, budget=extreme).share_of_base for extreme in (1e-9, 9.0))
    spent = network.restore(image, budget=share).share_of_base
    assert spent <= max(share, cheapest)
    assert spent >= min(share - 0.02, most_expensive)


def test_an_impossible_budget_is_refused(network: Restorer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"budget must be a positive fraction of the base cost, e\.g\. 0\.6; got 0"):
        network.restore(picture(), budget=0)
    alone = tiny.write_weights(tmp_path / "base.safetensors", tiny.architecture().only(-1))
    with pytest.raises(UsageError, match="has no cheaper branch"):
        load(alone, device="cpu", runtime="torch").restore(picture(), budget=0.5)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_every_runtime_gives_the_same_result(network: Restorer, weights_file: Path, runtime: str) -> None:
    image = picture(90, 120, dtype=np.float32)
    other = load(weights_file, device="cpu", runtime=runtime).restore(image)
    expected = network.restore(image)
    np.testing.assert_array_equal(other.choice, expected.choice)
    np.testing.assert_allclose(other.image, expected.image, atol=1e-4)


@pytest.mark.parametrize("name", ["device", "budget"])
def test_options_after_the_first_argument_are_keyword_only(network: Restorer, weights_file: Path, name: str) -> None:
    calls = {"device": lambda: load(weights_file, "cpu"), "budget": lambda: network.restore(picture(), 0.5)}  # type: ignore[misc]  # the claim
    with pytest.raises(TypeError, match="positional argument"):
        calls[name]()


def test_loading_and_restoring_print_nothing_and_log_the_runtime(
    weights_file: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "lowvision")
    load(weights_file, device="cpu").restore(picture())
    assert caplog.messages[-1].startswith("runtime: ")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_route_map_shows_the_input_and_a_legend(network: Restorer, channels: int) -> None:
    image = picture(channels=channels)
    drawn = network.route_map(image, network.restore(image))
    assert drawn.dtype == np.uint8
    assert drawn.shape[0] > 40
    assert drawn.shape[1] >= 52
    assert drawn.shape[2] == 3


def test_the_public_api_loads_and_restores(weights_file: Path) -> None:
    assert lowvision.load(str(weights_file), device="cpu").restore(picture()).image.shape == (80, 104, 3)


def test_shipped_weights_are_loaded_by_name_and_the_default_without_one() -> None:
    named, default = (
        lowvision.load("sr-disp-x4", device="cpu", runtime="torch"),
        lowvision.load(None, device="cpu", runtime="torch"),
    )
    assert named.architecture == default.architecture
    assert named.architecture.task.scale == 4
    with pytest.raises(WeightsError, match="did you mean 'sr-carn-x4'"):
        lowvision.load("sr-carn-x5")


def test_loading_errors_name_the_cause(weights_file: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        load(tmp_path / "none.safetensors")
    with pytest.raises(RunError, match="no device 'gpu'"):
        load(weights_file, device="gpu")


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Restorer:
    """Write weights whose curve loses 1 dB on the cheapest branch, 0.1 dB at k 0, and 0 dB on the base."""
    architecture, path = tiny.architecture(), tmp_path_factory.mktemp("calibrated") / "container.safetensors"
    torch.manual_seed(0)
    known = registry.load()
    curve = Curve(metric="psnr_rgb@crop2", k=(1e3, 0, -1e3), shares=(0.4, 0.7, 1.1), psnr=(30, 30.9, 31), base=31)
    curve = curve.replace(worst=(5.0, 1.0, 0.0))
    weights.save(path, architecture.build_container(), architecture, known, curve.measured())
    return load(path, device="cpu", runtime="torch", registry=known)


def test_max_loss_selects_the_cheapest_point_of_the_curve_within_it(calibrated: Restorer) -> None:
    image = picture()
    assert calibrated.restore(image, max_loss=2).tiles[0] == calibrated.restore(image).tiling.count
    assert calibrated.restore(image, max_loss=0).tiles[-1] == calibrated.restore(image).tiling.count
    routed = calibrated.restore(image, max_loss=0.5)
    np.testing.assert_array_equal(routed.choice.flatten(), calibrated._engine.decide(io.to_tensor(image)).choice)


@pytest.mark.parametrize(("speed", "loss"), [("fast", 0.3), ("balanced", 0.05), ("best", 0)])
def test_a_speed_equals_its_loss_limit(calibrated: Restorer, speed: Speed, loss: float) -> None:
    by_name, by_loss = calibrated.restore(picture(), speed=speed), calibrated.restore(picture(), max_loss=loss)
    np.testing.assert_array_equal(by_name.choice, by_loss.choice)
    np.testing.assert_array_equal(by_name.image, by_loss.image)


def test_weights_with_a_curve_default_to_speed_balanced(calibrated: Restorer) -> None:
    balanced = calibrated.restore(picture(), speed="balanced")
    np.testing.assert_array_equal(calibrated.restore(picture()).choice, balanced.choice)


def test_an_impossible_loss_is_refused_with_a_remedy(calibrated: Restorer, network: Restorer) -> None:
    with pytest.raises(UsageError, match=r"have no curve .*give a budget instead, or take .*calibrate/container"):
        network.restore(picture(), max_loss=0.05)
    with pytest.raises(UsageError, match="give one of them"):
        calibrated.restore(picture(), budget=0.5, max_loss=0.05)
    with pytest.raises(UsageError, match="give one of them"):
        calibrated.restore(picture(), budget=0.5, speed="fast")
    with pytest.raises(UsageError, match="have no curve"):
        network.restore(picture(), speed="fast")
    with pytest.raises(UsageError, match="one of fast, balanced, best; got quick"):
        calibrated.restore(picture(), speed="quick")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"at most -1 dB cannot be kept: the smallest loss .* 0\.000 dB"):
        calibrated.restore(picture(), max_loss=-1)


def test_worst_selects_a_point_within_the_loss_of_the_worst_tiles(calibrated: Restorer) -> None:
    image = picture()
    cheapest = calibrated.restore(image, max_loss=2)
    np.testing.assert_array_equal(calibrated.restore(image, max_loss=2, worst=5).choice, cheapest.choice)
    np.testing.assert_array_equal(
        calibrated.restore(image, max_loss=2, worst=2).choice, calibrated.restore(image, max_loss=0.5).choice
    )
    assert calibrated.restore(image, max_loss=2, worst=0).tiles[-1] == cheapest.tiling.count


def test_worst_applies_in_addition_to_the_default_speed(calibrated: Restorer) -> None:
    image = picture()
    np.testing.assert_array_equal(
        calibrated.restore(image, worst=9).choice, calibrated.restore(image, speed="balanced").choice
    )


def test_an_impossible_loss_of_worst_tiles_is_refused(calibrated: Restorer, network: Restorer) -> None:
    with pytest.raises(UsageError, match=r"at most 2 dB \(-1 dB on the worst tiles\) cannot be kept"):
        calibrated.restore(picture(), max_loss=2, worst=-1)
    with pytest.raises(UsageError, match="budget and worst exclude each other"):
        calibrated.restore(picture(), budget=0.5, worst=1)
    with pytest.raises(UsageError, match="have no curve"):
        network.restore(picture(), worst=1)
