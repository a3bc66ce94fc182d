"""A component of each kind as an author of plugins writes it; most have abilities that defaults leave out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from zipfile import ZipFile

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, relu

import lowvision
from lowvision import BackboneChoice, ImageLoss, Skip, upsample
from lowvision.layers import Fusible, init_near_zero_


class Twin(nn.Module, Fusible):
    """A 3x3 and a 1x1 convolution, which one 3x3 convolution replaces after training."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.wide = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.point = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        return self.wide(features) + self.point(features)

    def fused(self) -> nn.Conv2d:
        convolution = nn.Conv2d(self.wide.in_channels, self.wide.out_channels, 3, padding=1)
        convolution.load_state_dict(self.wide.state_dict())
        convolution.weight.data[..., 1:2, 1:2] += self.point.weight.data
        return convolution


class Network(nn.Module):
    def __init__(self, backbone: Edge, task: lowvision.Task):
        super().__init__()
        self.scale, self.skip = task.scale, backbone.skip
        layer = Twin if backbone.form == "training" else lambda a, b: nn.Conv2d(a, b, 3, padding=1)
        last = nn.Conv2d(backbone.channels, task.channels * task.scale**2, 3, padding=1)
        init_near_zero_(last)
        self.body = nn.Sequential(layer(task.channels, backbone.channels), nn.ReLU(), last, nn.PixelShuffle(task.scale))

    def forward(self, lq: Tensor) -> Tensor:
        image: Tensor = self.body(lq)
        return image if self.skip == "none" else image + upsample(lq, self.scale, self.skip)


class Edge(lowvision.Backbone):
    """Two convolutions, the first of which has a training form."""

    channels: int = 8
    """Feature channels."""
    form: Literal["training", "deployed"] = "training"
    """The form."""
    skip: Skip = "bicubic"
    """The interpolation."""

    def build(self, task: lowvision.Task) -> nn.Module:
        return Network(self, task)

    def reach(self, task: lowvision.Task) -> int:
        return 3

    def fuse(self) -> Edge:
        return self.replace(form="deployed")


class Factored(lowvision.WrappedBackbone):
    """A network whose inner convolution consists of two of lower rank."""

    of: BackboneChoice
    """The backbone."""
    rank: int
    """The rank."""

    def build(self, task: lowvision.Task) -> nn.Module:
        network = self.of.deployed().build(task)
        wide = network.body[0]
        parts = (nn.Conv2d(wide.in_channels, self.rank, 3, padding=1), nn.Conv2d(self.rank, wide.out_channels, 1))
        network.body[0] = nn.Sequential(*parts)
        return network


class LowRank(lowvision.Reducer):
    """A backbone of lower rank; level 0 is the backbone itself."""

    def reduce(self, backbone: lowvision.Backbone, level: int | float | str) -> lowvision.Backbone:
        if not isinstance(level, int) or level < 0:
            raise ValueError(f"the rank must be a whole number, not {level!r}")
        return Factored(of=backbone, rank=level) if level else backbone


class Halo(lowvision.Task):
    """Undo sharpening."""

    random: ClassVar[bool] = True
    scale: Literal[1] = 1
    """The scale."""

    def degrade(self, gt: Tensor, generator: torch.Generator) -> Tensor:
        strength = torch.rand((), generator=generator)
        return gt + strength * (gt - avg_pool2d(gt, 3, 1, 1, count_include_pad=False))


class Variance(lowvision.Classifier):
    """The PSNR of each branch as a line over the logarithm of the variance."""

    trained: ClassVar[bool] = False
    predicts: ClassVar[Literal["class", "psnr", "error"]] = "psnr"

    def build(self, task: lowvision.Task, classes: int) -> nn.Module:
        return Lines(classes)

    def fit(self, network: nn.Module, tiles: Tensor, psnr: Tensor) -> None:
        assert isinstance(network, Lines)
        logarithms = torch.stack([network.logarithm(tiles), torch.ones(len(tiles))], dim=1)
        network.lines.copy_(torch.linalg.lstsq(logarithms, psnr.float()).solution)


class Lines(nn.Module):
    lines: Tensor

    def __init__(self, classes: int):
        super().__init__()
        self.register_buffer("lines", torch.zeros(2, classes))

    def logarithm(self, lq: Tensor) -> Tensor:
        return (lq.flatten(1).var(dim=1) + 1e-6).log()

    def forward(self, lq: Tensor) -> Tensor:
        return self.logarithm(lq)[:, None] * self.lines[0] + self.lines[1]


@dataclass(frozen=True)
class Zip(lowvision.Reader):
    path: str

    def read(self, key: str) -> bytes:
        with ZipFile(self.path) as archive:
            return archive.read(key)


class Archive(lowvision.Dataset):
    """The images of a zip archive."""

    path: str
    """The archive."""

    def photos(self) -> tuple[lowvision.Photo, ...]:
        with ZipFile(self.path) as archive:
            names = sorted(archive.namelist())
        return tuple(lowvision.Photo(name, lowvision.Stored(Zip(self.path), name)) for name in names)


class Huber(lowvision.Loss):
    """Squared error up to `delta`, linear above it."""

    delta: float = 0.05
    """The limit."""

    def build(self, task: lowvision.Task) -> nn.Module:
        return nn.HuberLoss(delta=self.delta)


class Patches(lowvision.Loss):
    """A discriminator of patches with the hinge loss."""

    weight: float = 0.01
    """The factor."""

    def build(self, task: lowvision.Task) -> nn.Module:
        return Discriminator(task.channels)

    def fit_options(self) -> Mapping[str, Any]:
        return {"lr": 1e-4}


class Discriminator(nn.Module, lowvision.Critic):
    def __init__(self, colours: int):
        super().__init__()
        self.score = nn.Conv2d(colours, 1, 4, 2, 1)

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        return -self.score(restored).mean()

    def objective(self, restored: Tensor, gt: Tensor) -> Tensor:
        return relu(1 - self.score(gt)).mean() + relu(1 + self.score(restored)).mean()


class Sharpness(lowvision.Metric):
    """Standard deviation of the Laplacian."""

    full_reference: ClassVar[bool] = False
    smallest: ClassVar[int] = 3

    def protocol(self) -> str:
        return "standard deviation of the Laplacian"

    def measure(self, restored: Tensor, gt: Tensor | None) -> float:
        kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).to(restored).expand(len(restored), 1, 3, 3)
        return float(conv2d(restored[None], kernel, groups=len(restored)).std(correction=0))


class Target(lowvision.ObserverOptions):
    """End a stage when the PSNR reaches a value."""

    at_least: float
    """The value."""

    def build(self) -> lowvision.Observer:
        return Stopping(self.at_least)


class Stopping(lowvision.Observer):
    def __init__(self, value: float):
        self.value = value

    def on_metrics(self, stage: str, step: int, values: Mapping[str, Any]) -> None:
        if values.get("valid_psnr", 0.0) >= self.value:
            raise lowvision.StopStage(f"PSNR reached {self.value}")


class Refine(lowvision.TrainingStage):
    """Train the base further, with an additional loss on edges."""

    place: ClassVar[float] = 15
    trains: ClassVar[lowvision.Trainable | None] = "base"

    def run(self, context: lowvision.StageContext) -> None:
        context.train(context.base(), self, objective=EdgeObjective)
        lq, gt = context.validation_tiles()
        context.file("tiles.txt").write_text(f"{tuple(lq.shape)} {tuple(gt.shape)}")

    def issues(self, recipe: Any) -> Iterator[tuple[str, str]]:
        if recipe.stages.base is None:
            yield "", "needs stages.base"


class Rounded(lowvision.Stage):
    """Round the weights of the base to few bits."""

    place: ClassVar[float] = 16
    trains: ClassVar[lowvision.Trainable | None] = "base"

    bits: int = 6
    """The number of bits."""

    def run(self, context: lowvision.StageContext) -> None:
        network = context.base()
        with torch.no_grad():
            for weight in network.parameters():
                step = weight.abs().max().clamp(min=1e-6) / 2 ** (self.bits - 1)
                weight.copy_((weight / step).round() * step)
        context.info(f"{self.bits} bits")
        context.save(context.file("last.safetensors"), network, context.architecture.only(-1), {})


class EdgeObjective(nn.Module):
    def __init__(self, network: nn.Module, image_loss: ImageLoss):
        super().__init__()
        self.network, self.image_loss = network, image_loss

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        restored = self.network(lq)
        return {"image": self.image_loss(restored, gt), "edges": (restored - gt).diff(dim=-1).abs().mean()}


COMPONENTS: dict[str, dict[str, type]] = {
    "tasks": {"halo": Halo},
    "backbones": {"edge": Edge, "factored": Factored},
    "reducers": {"low_rank": LowRank},
    "classifiers": {"variance": Variance},
    "datasets": {"archive": Archive},
    "losses": {"huber": Huber, "patches": Patches},
    "metrics": {"sharpness": Sharpness},
    "observers": {"target": Target},
    "stages": {"refine": Refine, "rounded": Rounded},
}
