"""A weights file stores the operating points of an adaptive network, and restoring by a budget applies them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn

from lowvision import Adaptive, multiply_adds
from lowvision.commands import inputs, restore
from lowvision.commands.restore_request import RestoreOptions
from lowvision.errors import UsageError
from lowvision.imaging import io
from lowvision.inference import package
from lowvision.inference.restorer import Restorer, load
from lowvision.models import operating_points, weights
from lowvision.models.architecture import Architecture, Tile
from lowvision.models.operating_points import OperatingPoint
from lowvision.plugins import registry
from lowvision.system.processes import ProcessGroup

KNOWN = registry.load()
SIZE = 12
SHARES = (0.2, 0.4, 0.6)


def pick(kind: str, name: str, **options: object) -> object:
    return KNOWN.find(kind, name).component(**options)


MADE = Architecture(
    task=pick("tasks", "sr", scale=2),
    branches=(pick("backbones", "arm", widths=(2, 4, 8), shrink=4, layers=1, bins=4),),
    tile=Tile(size=SIZE, overlap=2),
)


def tiles(count: int = 24) -> tuple[Tensor, Tensor]:
    """Return lq (count,3,SIZE,SIZE) of increasing contrast, and gt twice as large."""
    gt = torch.rand(count, 3, 2 * SIZE, 2 * SIZE, generator=torch.Generator().manual_seed(0))
    gt *= torch.linspace(0, 1, count)[:, None, None, None]
    return nn.functional.avg_pool2d(gt, 2), gt


def fresh() -> nn.Module:
    torch.manual_seed(0)
    return MADE.build_network().eval()


@pytest.fixture(scope="module")
def measured_points() -> tuple[OperatingPoint, ...]:
    return tuple(OperatingPoint.of(fresh(), share, *tiles()) for share in SHARES)


@pytest.fixture(scope="module")
def file(measured_points: tuple[OperatingPoint, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "network.safetensors"
    weights.save(path, fresh(), MADE, KNOWN, {}, settings=measured_points)
    return path


@pytest.fixture(scope="module")
def network(file: Path) -> Restorer:
    return load(file, device="cpu", runtime="torch")


def picture(height: int = 60, width: int = 47) -> np.ndarray:
    """Return an image whose contrast increases from left to right."""
    contrast = np.linspace(0, 0.35, width, dtype=np.float32)[:, None]
    return np.random.default_rng(0).random((height, width, 3), np.float32) * contrast


def test_an_operating_point_reports_the_measured_cost_and_keeps_the_network(
    measured_points: tuple[OperatingPoint, ...],
) -> None:
    network, (lq, gt) = fresh(), tiles()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    again = OperatingPoint.of(network, SHARES[1], lq, gt)
    assert again == measured_points[1]
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    again.apply(network)
    assert isinstance(network, Adaptive)
    spent = network.adapt(lq)[1].double().mean() / multiply_adds(network, (1, *lq.shape[1:]))
    assert spent == pytest.approx(again.share)
    assert SHARES[1] - 1 / len(lq) <= again.share <= SHARES[1]


def test_operating_points_survive_a_weights_file_exactly(
    file: Path, measured_points: tuple[OperatingPoint, ...]
) -> None:
    assert weights.read_header(file, KNOWN).settings == measured_points


@pytest.mark.parametrize(("share", "number"), [(0.1, 0), (0.2, 0), (0.45, 1), (0.4, 1), (5, 2)])
def test_a_budget_selects_the_most_expensive_point_within_it_or_else_the_cheapest(share: float, number: int) -> None:
    known = [OperatingPoint(share=s, loss=1 - s, state={}) for s in SHARES]
    assert operating_points.within(known, share) == number
    assert operating_points.within(known[::-1], share) == len(known) - 1 - number


def test_a_loss_limit_selects_the_cheapest_operating_point_within_it() -> None:
    known = [OperatingPoint(share=s, loss=1 - s, state={}) for s in SHARES]
    assert [operating_points.losing(known, loss) for loss in (2, 0.7, 0.4)] == [0, 1, 2]
    with pytest.raises(ValueError, match=r"the smallest loss of these weights is 0\.400 dB"):
        operating_points.losing(known, 0.3)


def test_a_budget_of_the_whole_image_changes_cost_and_result(network: Restorer) -> None:
    image = picture()
    plain, spent = network.restore(image), []
    for budget in (0.4, 0.7, 1.0):
        restored = network.restore(image, budget=budget)
        spent.append(restored.share_of_base)
        assert restored.image.shape == plain.image.shape
        assert np.abs(restored.image - plain.image).max() > 0
    assert spent == sorted(set(spent))
    assert max(spent) < plain.share_of_base
    assert network.restore(image, budget=9.0).cost == plain.cost  # the static graph, merged and by its runtime


def test_a_batch_with_a_loss_limit_uses_the_cheapest_point_within_it(
    network: Restorer, measured_points: tuple[OperatingPoint, ...]
) -> None:
    images = torch.from_numpy(picture()).permute(2, 0, 1).expand(2, -1, -1, -1)
    together = network.restore(images, max_loss=measured_points[1].loss)
    alone = network.restore(images[0], max_loss=measured_points[1].loss)
    assert together.cost == 2 * alone.cost
    torch.testing.assert_close(together.image[1], alone.image)
    with pytest.raises(UsageError, match=r"a loss of at most -99 dB cannot be kept: the smallest"):
        network.restore(images, max_loss=-99)


def test_a_budget_applies_to_files_and_is_logged(file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lowvision")
    io.write(tmp_path / "given.png", io.Image(io.to_uint8(torch.from_numpy(picture()).permute(2, 0, 1))))
    planned = inputs.plan([str(tmp_path / "given.png")], tmp_path / "out", None, False)

    def gmac(budget: float | None) -> float:
        options = RestoreOptions(budget=budget)
        document = restore.restore(
            planned, load(file, device="cpu", runtime="torch", registry=KNOWN), options, KNOWN, ProcessGroup(0, 1)
        )
        return document["total"]["gmac"]

    spent = [gmac(budget) for budget in (0.4, None)]
    assert spent[0] < spent[1]
    assert caplog.messages == ["adaptive network with a budget or a loss: PyTorch runs it in float32, tile by tile"]


def test_missing_operating_points_are_reported_with_a_remedy(tmp_path: Path) -> None:
    plain = load(tiny.write_weights(tmp_path / "plain.safetensors", MADE), device="cpu", runtime="torch")
    with pytest.raises(
        UsageError, match=r"an adaptive network but have no operating points; .*/calibrate/network\.safetensors"
    ):
        plain.restore(picture(), budget=0.6)
    single = load(
        tiny.write_weights(tmp_path / "one.safetensors", tiny.architecture().only(-1)), device="cpu", runtime="torch"
    )
    with pytest.raises(UsageError, match="a single network has no cheaper branch"):
        single.restore(picture(), budget=0.6)


def test_a_package_of_an_adaptive_network_rejects_a_budget(file: Path, tmp_path: Path) -> None:
    package.write(file, tmp_path / "package", KNOWN)
    exported = load(tmp_path / "package", device="cpu", runtime="onnxruntime")
    assert exported.restore(picture()).image.shape
    with pytest.raises(UsageError, match=r"exported package holds only the static graph .* the weights file"):
        exported.restore(picture(), budget=0.6)
