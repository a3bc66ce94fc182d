"""Claims about the recipes that come with the project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lowvision.pipeline.core_stages import Base, Branches, ClassifierStage, Joint, Rank
from lowvision.plugins import registry
from lowvision.plugins.contracts import Backbone
from lowvision.plugins.folder_dataset import Folder
from lowvision.recipe import reading
from lowvision.recipe.models import Recipe
from lowvision.training.options import Fit

FOLDER = Path(__file__).parents[2] / "recipes"
ALL = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.yml"))
BASES = ("sr_fsrcnn", "sr_carn", "sr_srresnet", "sr_rcan", "denoise_dncnn")
SYSTEMS = ("sr_esrt", "sr_acnet", "sr_smsr", "sr_sparse", "sr_arm", "sr_pixel", "sr_search", "sr_exits")
MINUTES = ("sr_disp", *BASES, *SYSTEMS, "sr_finetune")
TABLE_4 = ("sr_srresnet_table4_a", "sr_srresnet_table4_b")


def read(name: str) -> Recipe:
    return reading.read(FOLDER / name, registry.load())


def nested_backbones(backbone: Backbone) -> Iterator[Backbone]:
    """Yield a backbone, its inner backbone, and so on."""
    yield backbone
    for _, value in backbone:
        if isinstance(value, Backbone):
            yield from nested_backbones(value)


def option_values(recipe: Recipe, *names: str) -> list[tuple[int, ...]]:
    return [tuple(getattr(branch.backbone, name) for name in names) for branch in recipe.branches]


def as_in_the_paper(stage: Fit) -> Fit:
    """Return the stage without validation and checkpoint intervals, which the paper does not specify."""
    return stage.replace(valid_every=500, checkpoint_every=500)


def test_every_task_and_paper_has_its_recipe() -> None:
    assert {f"{name}.yml" for name in MINUTES} <= set(ALL)
    assert {f"paper/{name}.yml" for name in (*BASES, *TABLE_4)} <= set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_a_shipped_recipe_is_valid(name: str) -> None:
    assert read(name).stages.evaluate is not None


@pytest.mark.parametrize("name", ALL)
def test_a_shipped_recipe_links_the_schema_for_editors(name: str) -> None:
    first = (FOLDER / name).read_text().partition("\n")[0]
    match = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert match
    assert (FOLDER / name).parent.joinpath(match[1]).resolve() == (FOLDER / "schema.json").resolve()


@pytest.mark.parametrize("name", MINUTES)
def test_a_default_recipe_uses_photographs_of_installed_packages(name: str) -> None:
    known = registry.load()
    data = read(f"{name}.yml").data
    sets = {key: known.name_of(value) for key in ("train", "valid", "test") if (value := getattr(data, key))}
    assert sets == {"train": "samples_train", "valid": "samples_valid", "test": "samples_test"}


@pytest.mark.parametrize("name", [name for name in MINUTES if name.startswith("sr_")])
def test_a_default_super_resolution_starts_from_bicubic(name: str) -> None:
    innermost = [[*nested_backbones(branch.backbone)][-1] for branch in read(f"{name}.yml").branches]
    assert {getattr(backbone, "skip") for backbone in innermost} == {"bicubic"}  # noqa: B009  # not an option of every Backbone


@pytest.mark.parametrize("name", BASES)
def test_a_paper_recipe_has_the_schedule_of_the_paper(name: str) -> None:
    stages = read(f"paper/{name}.yml").stages
    lr = 1e-3 if name == "sr_fsrcnn" else 2e-4
    batch = 60 if name == "sr_rcan" else 96
    assert stages.base is not None
    assert stages.branches is not None
    assert stages.classifier is not None
    assert stages.joint is not None
    assert as_in_the_paper(stages.base) == Base(steps=1_000_000, batch=16, lr=lr)
    assert stages.rank == Rank(stride=16)
    assert as_in_the_paper(stages.branches) == Branches(from_base=False, steps=500_000, batch=16, lr=lr)
    assert as_in_the_paper(stages.classifier) == ClassifierStage(steps=200_000, batch=batch, lr=2e-4)
    assert as_in_the_paper(stages.joint) == Joint(steps=200_000, batch=batch, lr=2e-4)


def test_a_stage_has_the_settings_of_the_paper_unless_overridden() -> None:
    stage = ClassifierStage()
    assert (stage.schedule, stage.min_lr, stage.optimizer, stage.betas) == ("cosine", 1e-7, "adam", (0.9, 0.99))
    assert (stage.weight_decay, stage.clip, stage.ema, stage.warmup) == (0, None, None, 0)
    assert (stage.image_weight, stage.class_weight, stage.average_weight) == (1000, 0.5, 3)


@pytest.mark.parametrize("name", BASES)
def test_a_paper_recipe_has_the_data_and_tiles_of_the_paper(name: str) -> None:
    recipe = read(f"paper/{name}.yml")
    assert (recipe.tile.size, recipe.tile.overlap) == (32, 4)
    assert isinstance(recipe.data.train, Folder)
    assert recipe.data.train.path.endswith("DIV2K_train_HR")
    assert recipe.data.train.scales == (1, 0.9, 0.8, 0.7, 0.6)
    assert recipe.data.augment == ("D4",)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("sr_fsrcnn", [16, 36, 56]),
        ("sr_carn", [36, 52, 64]),
        ("sr_srresnet", [36, 52, 64]),
        ("sr_rcan", [36, 50, 64]),
        ("denoise_dncnn", [38, 52, 64]),
    ],
)
def test_a_paper_recipe_has_the_channels_of_the_paper(name: str, channels: list[int]) -> None:
    assert option_values(read(f"paper/{name}.yml"), "channels") == [(width,) for width in channels]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sr_fsrcnn", {"shrink": 12, "layers": 4, "skip": "none"}),
        ("sr_carn", {"layers": 3, "groups": 4, "skip": "none"}),
        ("sr_srresnet", {"layers": 16, "skip": "bilinear"}),  # the paper's MSRResNet adds the enlarged input
        ("sr_rcan", {"layers": 10, "blocks": 20, "reduction": 16, "skip": "none"}),
        ("denoise_dncnn", {"layers": 17, "batch_norm": True}),
    ],
)
def test_a_paper_recipe_has_the_network_of_the_paper(name: str, options: dict[str, object]) -> None:
    for branch in read(f"paper/{name}.yml").branches:
        assert {option: getattr(branch.backbone, option) for option in options} == options


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sr_srresnet_table4_a", [(38, 12), (54, 14), (64, 16)]),
        ("sr_srresnet_table4_b", [(42, 8), (56, 12), (64, 16)]),
    ],
)
def test_table_4_reduces_channels_and_layers_together(name: str, settings: list[tuple[int, int]]) -> None:
    recipe = read(f"paper/{name}.yml")
    assert option_values(recipe, "channels", "layers") == settings
    assert recipe.stages == read("paper/sr_srresnet.yml").stages
