"""Claims about lowvision-classifiers."""

from __future__ import annotations

import sys
from subprocess import check_output
from typing import Any

import onnxruntime
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from lowvision import Classifier, RecipeError, Task
from lowvision.inference import onnx_graph
from lowvision.routing.cost import multiply_adds, parameters
from lowvision_classifiers import ClassModule, EdgeTable, HighFrequency, Timm

TILE = (1, 3, 32, 32)


class AnyTask(Task):
    """A task without degradation."""

    def degrade(self, gt: Tensor, generator: torch.Generator) -> Tensor:
        return gt

    def baseline(self, lq: Tensor) -> Tensor:
        return lq


def test_the_class_module_equals_that_of_the_paper() -> None:
    network = ClassModule().build(AnyTask(), 3)
    assert parameters(network) == 60_035
    assert round(multiply_adds(network, TILE) / 1e6, 2) == 3.80


@pytest.mark.parametrize("classifier", [ClassModule(), Timm(), Timm(model="mobilenetv3_small_050")], ids=repr)
@pytest.mark.parametrize(("channels", "classes"), [(3, 2), (3, 3), (1, 5)])
@pytest.mark.parametrize("size", [(32, 32), (24, 40)], ids=str)
def test_a_tile_gets_one_logit_per_class(
    classifier: Classifier, channels: Any, classes: int, size: tuple[int, int]
) -> None:
    network = classifier.build(AnyTask(channels=channels), classes)
    assert network(torch.rand(2, channels, *size)).shape == (2, classes)


def test_gradients_reach_every_parameter_of_the_class_module() -> None:
    # Not so in timm's residual networks: their branches start at zero.
    torch.manual_seed(0)
    network = ClassModule().build(AnyTask(), 3)
    torch.nn.functional.cross_entropy(network(torch.rand(4, 3, 32, 32)), torch.tensor([0, 1, 2, 2])).backward()
    lost = [key for key, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]  # type: ignore[union-attr]  # None would be an error as well
    assert lost == []


@pytest.mark.parametrize("classifier", [ClassModule(), Timm()], ids=repr)
def test_channels_last_gives_the_same_output(classifier: Classifier) -> None:
    network = classifier.build(AnyTask(), 3).double().eval()
    tiles = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        plain = network(tiles)
        last = network.to(memory_format=torch.channels_last)(tiles.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, plain)


def test_the_untrained_class_module_is_nearly_uniform() -> None:
    # Every tile gets nearly the same logits: nothing pulls to one branch yet.
    torch.manual_seed(0)
    with torch.no_grad():
        logits = ClassModule().build(AnyTask(), 3)(torch.rand(16, 3, 32, 32))
    assert logits.std(dim=0).max() < 1e-3


def test_gain_scales_every_convolution_of_the_class_module() -> None:
    networks = []
    for gain in (0.1, 1.0):
        torch.manual_seed(0)
        networks.append(ClassModule(gain=gain).build(AnyTask(), 3).state_dict())
    quiet, loud = networks
    torch.testing.assert_close(10 * quiet["features.0.weight"], loud["features.0.weight"])
    assert torch.equal(quiet["last.weight"], loud["last.weight"])


def test_timm_receives_the_given_options() -> None:
    coarse = Timm(dropout=0.5, drop_path=0.1, output_stride=8).build(AnyTask(), 3)
    assert coarse.forward_features(torch.rand(2, 3, 32, 32)).shape[-2:] == (4, 4)  # type: ignore[operator]  # every timm model has it
    assert coarse.drop_rate == 0.5


def test_an_unknown_model_is_reported_with_similar_names() -> None:
    with pytest.raises(RecipeError, match=r"timm has no model named 'resnet10'; did you mean .*resnet10t"):
        Timm(model="resnet10").build(AnyTask(), 3)


@pytest.mark.parametrize(
    "model",
    ["lcnet_050", "mobilenetv3_small_050", "regnetx_002", "convnext_atto", "efficientvit_b0", "vit_tiny_patch16_224"],
)
def test_models_of_every_family_are_built_without_weights_and_take_a_tile(model: str) -> None:
    with torch.device("meta"):
        network = Timm(model=model).build(AnyTask(), 3)
        assert network(torch.rand(2, 3, 32, 32)).shape == (2, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "mixer_s32_224"}, "timm's mixer_s32_224 accepts a single image size; choose"),
        ({"model": "vgg11", "drop_path": 0.1}, "timm's vgg11 has no residual branches to drop; leave drop_path out"),
    ],
)
def test_unsupported_model_options_are_reported(options: dict[str, Any], message: str) -> None:
    with torch.device("meta"), pytest.raises(RecipeError, match=message):
        Timm(**options).build(AnyTask(), 3)


@pytest.mark.parametrize("options", [{"dropout": 1.0}, {"output_stride": 4}, {"pretrained": True}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Timm(**options)


def test_listing_the_plugin_imports_neither_torch_nor_timm() -> None:
    program = (
        "import sys, lowvision_classifiers as c; c.lowvision_classifiers(); c.Timm(model='anything');"
        "print({'torch', 'timm'} & set(sys.modules))"
    )
    assert check_output([sys.executable, "-c", program], text=True).strip() == "set()"


FREE = [HighFrequency(), HighFrequency(split="means"), EdgeTable(), EdgeTable(bins=3), EdgeTable(blur=1.5)]


def tiles_of_rising_detail(count: int = 60) -> torch.Tensor:
    """Return noise (N,3,32,32) of increasing strength."""
    torch.manual_seed(0)
    return (0.5 + torch.linspace(0.001, 0.2, count)[:, None, None, None] * torch.randn(count, 3, 32, 32)).clamp(0, 1)


def psnr_of_branches(tiles: torch.Tensor, classes: int = 3) -> torch.Tensor:
    """Return (N,classes) PSNR: noisier tiles are harder and gain more by capacity."""
    loudness = tiles.std(dim=(1, 2, 3))[:, None]
    return 45 - 80 * loudness + torch.arange(classes) * 10 * loudness


@pytest.mark.parametrize("classifier", FREE, ids=repr)
@pytest.mark.parametrize(("channels", "classes"), [(3, 1), (3, 3), (1, 5)])
def test_training_free_classifiers_are_fitted_for_any_number_of_classes(classifier, channels, classes) -> None:
    network = classifier.build(AnyTask(channels=channels), classes).eval()
    tiles = tiles_of_rising_detail()[:, :channels]
    classifier.fit(network, tiles, psnr_of_branches(tiles, classes))
    answers = network(tiles)
    assert answers.shape == (len(tiles), classes)
    assert answers.isfinite().all()
    assert not list(network.parameters())
    assert not classifier.trained


@pytest.mark.parametrize("classifier", FREE, ids=repr)
def test_a_fit_is_saved_in_the_state_dict_and_has_negligible_cost(classifier) -> None:
    tiles = tiles_of_rising_detail()
    fitted, again = (classifier.build(AnyTask(), 3).eval() for _ in range(2))
    classifier.fit(fitted, tiles, psnr_of_branches(tiles))
    assert not torch.equal(fitted(tiles), again(tiles))
    again.load_state_dict(fitted.state_dict())
    assert torch.equal(fitted(tiles), again(tiles))
    assert multiply_adds(fitted, TILE) < 30_000  # the Class-Module: 3.8 million


class Both(torch.nn.Module):
    """Two classifiers in one module, because exporting each takes seconds."""

    def __init__(self, *networks: torch.nn.Module):
        super().__init__()
        self.networks = torch.nn.ModuleList(networks)

    def forward(self, lq: Tensor) -> Tensor:
        return torch.cat([network(lq) for network in self.networks], dim=1)


def test_training_free_classifiers_are_exported_with_equal_outputs(tmp_path) -> None:
    tiles = tiles_of_rising_detail()
    networks = []
    for classifier in (HighFrequency(), EdgeTable(), EdgeTable(blur=1.5)):
        networks.append(classifier.build(AnyTask(), 3))
        classifier.fit(networks[-1], tiles, psnr_of_branches(tiles))
    both = Both(*networks).eval()
    onnx_graph.write(both, tmp_path / "both.onnx", 3, 32, 1)
    session = onnxruntime.InferenceSession(tmp_path / "both.onnx")
    for batch in (tiles, tiles[:7, :, :24].repeat(1, 1, 1, 2)):
        (answers,) = session.run(None, {session.get_inputs()[0].name: batch.numpy()})
        torch.testing.assert_close(torch.from_numpy(answers), both(batch), rtol=1e-4, atol=1e-4)


def test_high_frequency_splits_tiles_equally_and_ranks_detail_as_hard() -> None:
    tiles, classifier = tiles_of_rising_detail(), HighFrequency()
    network = classifier.build(AnyTask(), 3)
    classifier.fit(network, tiles, psnr_of_branches(tiles))
    classes = network(tiles).argmax(dim=1)
    assert classes.bincount().tolist() == [20, 20, 20]
    assert classes.diff().min() >= 0


def test_high_frequency_with_split_means_splits_around_means() -> None:
    torch.manual_seed(0)
    quiet, loud = (0.5 + level * torch.randn(count, 3, 16, 16) for level, count in ((0.002, 50), (0.1, 10)))
    tiles, classifier = torch.cat([quiet, loud]), HighFrequency(split="means")
    network = classifier.build(AnyTask(), 2)
    classifier.fit(network, tiles, psnr_of_branches(tiles, 2))
    assert network(tiles).argmax(dim=1).bincount().tolist() == [50, 10]


def test_high_frequency_uses_the_given_thresholds() -> None:
    tiles, classifier = tiles_of_rising_detail(), HighFrequency(thresholds=(0.01, 0.04))
    network = classifier.build(AnyTask(), 3)
    classifier.fit(network, tiles, psnr_of_branches(tiles))
    detail = network.detail(tiles)  # type: ignore[operator]  # its network has it
    assert torch.equal(network(tiles).argmax(dim=1), (detail > 0.01).long() + (detail > 0.04).long())
    with pytest.raises(ValueError, match="2 thresholds; 4 branches need 3"):
        classifier.build(AnyTask(), 4)


def test_the_edge_table_predicts_mean_errors_that_never_rise_with_capacity() -> None:
    tiles, classifier = tiles_of_rising_detail(60), EdgeTable(bins=6)
    psnr = psnr_of_branches(tiles)
    psnr[:, 1] -= 100  # an arbitrary outlier
    network = classifier.build(AnyTask(), 3)
    classifier.fit(network, tiles, psnr)
    predicted = network(tiles)
    errors = 10 ** (-psnr[:10] / 10)
    torch.testing.assert_close(predicted[:10], -errors.mean(dim=0).cummin(dim=0).values.expand(10, 3))
    assert predicted[:, 1].equal(predicted[:, 0])


def test_the_blur_of_the_edge_table_reveals_an_edge_below_the_noise() -> None:
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 32).expand(40, 3, 32, 32)
    step = (ramp > 0.5).float()
    noise = 0.2 * torch.randn(40, 3, 32, 32)

    def apart(blur: float) -> float:
        """Return the distance of a step from a ramp, in standard deviations of the noise."""
        network = EdgeTable(blur=blur).build(AnyTask(), 3)
        with_step, without = (network.edges(tiles + noise) for tiles in (step, ramp))  # type: ignore[operator]  # it has
        return float((with_step.mean() - without.mean()) / without.std())

    assert apart(1.5) > 3 * apart(0)


def test_empty_bins_of_the_edge_table_take_the_nearest_value() -> None:
    tiles, classifier = torch.rand(1, 3, 32, 32).expand(8, -1, -1, -1), EdgeTable(bins=5)
    network = classifier.build(AnyTask(), 2)
    classifier.fit(network, tiles, torch.tensor([[30.0, 31.0]]).expand(8, 2))
    errors = -torch.tensor([[1e-3, 10**-3.1]])
    torch.testing.assert_close(network(torch.zeros(1, 3, 32, 32)), errors)
    torch.testing.assert_close(network.table, errors.expand(5, 2))  # type: ignore[call-overload]  # a buffer


@pytest.mark.parametrize("thresholds", [(0.2, 0.1), (0.1, 0.1), (0.0, 0.5), (0.5, 1.0)])
def test_thresholds_that_do_not_increase_between_0_and_1_are_refused(thresholds: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match="must ascend and lie between 0 and 1"):
        HighFrequency(thresholds=thresholds)
