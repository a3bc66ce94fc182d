"""Claims about lowvision-esrt; the constants are printed in the paper, or follow from its description."""

from __future__ import annotations

import weakref
from functools import cache
from pathlib import Path
from typing import Any

import learning
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from inheritance import is_scaled_part
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lowvision import Backbone, Task, upsample
from lowvision.routing.cost import multiply_adds, parameters
from lowvision.testing import PlainTask, check_backbone, check_plugin, networks
from lowvision.testing.backbones import subject_of
from lowvision_esrt import ESRT
from lowvision_esrt.blocks import SplitConv, doubled, halved
from lowvision_esrt.transformer import HEADS, TAPS, SplitAttention, folded, split_heads, unfolded
from lowvision_reducers import Channels, Layers

README = Path(__file__).parents[2] / "plugins" / "lowvision-esrt" / "README.md"
SMALL = ESRT(channels=4, layers=2)
UNUSED = 12
"""Parameters of the authors' network that its forward pass never uses: one per residual feature block."""
TILE = 32
WIDTH = 288
"""Width of a token of the default network."""


@cache
def blueprint(backbone: Backbone, scale: int) -> nn.Module:
    """Build a network on the meta device: shapes without weights."""
    with torch.device("meta"):
        return backbone.build(PlainTask(scale=scale))


def seeded(backbone: Backbone, task: Task) -> nn.Module:
    torch.manual_seed(0)
    return backbone.build(task).eval()


def test_the_plugin_registers_the_backbone() -> None:
    assert check_plugin("lowvision_esrt") == {"backbones": ["esrt"]}


def test_the_backbone_passes_its_check() -> None:
    check_backbone(SMALL, exportable=False)


def test_every_runtime_computes_the_same_from_its_graph() -> None:
    # One layer and two segments have all operators; more of either only take longer to trace.
    networks.check_export(subject_of(SMALL.replace(layers=1, segments=2), PlainTask(scale=2))[0])


# The paper's numbers


@pytest.mark.parametrize(("scale", "printed", "theirs"), [(2, 677, 677_783), (3, 770, 770_263), (4, 751, 751_767)])
def test_the_network_has_the_parameter_count_of_the_paper(scale: int, printed: int, theirs: int) -> None:
    assert theirs // 1000 == printed
    assert parameters(blueprint(ESRT(), scale)) == theirs - UNUSED


def test_segments_add_no_parameters() -> None:
    assert len({parameters(blueprint(ESRT(segments=segments), 4)) for segments in (1, 2, 4)}) == 1


def test_defaults_are_the_network_of_the_paper() -> None:
    assert ESRT() == ESRT(channels=32, layers=3, segments=4, skip="none")


@pytest.mark.parametrize("segments", [2, 4, 8])
def test_segments_save_exactly_the_omitted_products(segments: int) -> None:
    cost = {s: multiply_adds(blueprint(ESRT(segments=s), 4), (1, 3, TILE, TILE)) for s in (1, segments)}
    pixels, inner = TILE * TILE, WIDTH // 2
    assert cost[1] - cost[segments] == 2 * pixels * (pixels - pixels // segments) * inner


# Attention


def plain_attention(attention: SplitAttention, tokens: Tensor) -> Tensor:
    """Compute a layer of one segment by PyTorch's attention."""
    narrow = attention.reduce(tokens)
    query, key, value = (split_heads(part(narrow)) for part in (attention.query, attention.key, attention.value))
    attended = functional.scaled_dot_product_attention(query, key, value)  # (B, HEADS, N, d)
    return attention.expand(attended.permute(0, 2, 3, 1).flatten(2))


@settings(deadline=None, max_examples=20)
@given(batch=st.integers(1, 2), count=st.integers(1, 40), width=st.integers(2 * HEADS, 80))
def test_one_segment_equals_plain_attention(batch: int, count: int, width: int) -> None:
    torch.manual_seed(0)
    attention = SplitAttention(width, segments=1).double()
    tokens = torch.randn(batch, count, width, dtype=torch.float64)
    torch.testing.assert_close(attention(tokens), plain_attention(attention, tokens))


@settings(deadline=None, max_examples=20)
@given(count=st.integers(1, 40), segments=st.integers(1, 7))
def test_a_segment_attends_only_to_itself(count: int, segments: int) -> None:
    torch.manual_seed(0)
    attention = SplitAttention(32, segments).double()
    whole = SplitAttention(32, 1).double()
    whole.load_state_dict(attention.state_dict())
    tokens = torch.randn(1, count, 32, dtype=torch.float64)
    lengths = [count * (n + 1) // segments - count * n // segments for n in range(segments)]
    assert sum(lengths) == count
    assert max(lengths) - min(lengths) <= 1
    parts = [whole(part) for part in tokens.split(lengths, dim=1) if part.shape[1]]
    torch.testing.assert_close(attention(tokens), torch.cat(parts, dim=1))


class LiveMemory(TorchDispatchMode):
    """Record the peak bytes of live results over all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self._now = 0
        self._seen = set[int]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outputs = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(outputs):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        self.most = max(self.most, self._now)
        return outputs

    def _add(self, storage: Any) -> None:
        if storage._cdata not in self._seen:
            self._seen.add(storage._cdata)
            self._now += storage.nbytes()
            weakref.finalize(storage, self._drop, storage._cdata, storage.nbytes())

    def _drop(self, place: int, size: int) -> None:
        self._seen.discard(place)
        self._now -= size


def peak_live_bytes(segments: int, training: bool) -> int:
    """Return the peak bytes of live results in the attention of one layer to a tile."""
    with torch.device("meta"):
        attention = SplitAttention(WIDTH, segments)
        tokens = torch.empty(1, TILE * TILE, WIDTH)
    with torch.set_grad_enabled(training), LiveMemory() as alive:
        output = attention(tokens)
        if training:
            output.sum().backward()
    return alive.most


def test_the_memory_counter_is_exact() -> None:
    with torch.device("meta"), torch.no_grad():
        numbers = torch.empty(1000)
        with LiveMemory() as alive:
            twice = numbers * 2  # 4000 bytes stay alive
            for _ in range(3):
                (twice + 1) * 3  # 8000 more, three times over
    assert alive.most == 12_000


def test_one_segment_needs_the_memory_of_two_attention_matrices() -> None:
    matrix = 4 * HEADS * (TILE * TILE) ** 2
    assert 2 * matrix <= peak_live_bytes(1, training=False) <= 2.2 * matrix


@pytest.mark.parametrize("training", [False, True])
def test_four_segments_need_at_most_a_third_of_the_memory(training: bool) -> None:
    assert peak_live_bytes(4, training) <= peak_live_bytes(1, training) / 3


def readme_rows() -> list[list[str]]:
    """Return the rows of the README's table of segments."""
    table = README.read_text().split("| segments |")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


@pytest.mark.parametrize("row", readme_rows(), ids=lambda row: row[0])
def test_the_readme_figures_equal_the_counted_ones(row: list[str]) -> None:
    segments, *told_memory = (float(cell) for cell in row[:3])
    memory = [peak_live_bytes(int(segments), training) / 2**20 for training in (False, True)]
    assert told_memory == pytest.approx(memory, rel=0.1)  # another PyTorch may keep a little more, or less
    cost = multiply_adds(blueprint(ESRT(segments=int(segments)), 4), (1, 3, TILE, TILE))
    assert row[3] == f"{cost / 1e6:,.1f} M"


# Blocks and tokens


@settings(deadline=None, max_examples=20)
@given(height=st.integers(1, 9), width=st.integers(1, 9))
def test_tokens_are_neighbourhoods_that_fold_back_to_their_sum(height: int, width: int) -> None:
    features = torch.rand(2, 3, height, width)
    tokens = unfolded(features)  # (2, h*w, 9, 3)
    columns = functional.unfold(features, 3, padding=1)  # (2, 3*9, h*w)
    torch.testing.assert_close(tokens, columns.unflatten(1, (3, TAPS)).permute(0, 3, 2, 1))
    torch.testing.assert_close(folded(tokens, height, width), functional.fold(columns, (height, width), 3, padding=1))


@settings(deadline=None, max_examples=20)
@given(height=st.integers(1, 9), width=st.integers(1, 9))
def test_any_size_is_halved_by_averaging_and_doubled_back(height: int, width: int) -> None:
    features = torch.rand(1, 2, height, width)
    half = halved(features)
    expected = functional.avg_pool2d(features, 2, ceil_mode=True, count_include_pad=False)
    torch.testing.assert_close(half, expected)
    assert doubled(half, features).shape == features.shape
    torch.testing.assert_close(doubled(torch.ones_like(half), features), torch.ones_like(features))


def test_a_joined_convolution_equals_convolution_of_the_concatenation() -> None:
    joined = SplitConv([2, 3], 5, kernel=3).double()
    parts = [torch.rand(1, width, 6, 6, dtype=torch.float64) for width in (2, 3)]
    first, second = joined.convolutions()
    whole = functional.conv2d(
        torch.cat(parts, dim=1), torch.cat([first.weight, second.weight], dim=1), first.bias, padding=1
    )
    torch.testing.assert_close(joined(parts), whole)


# Initialisation, and reducers


def test_an_initial_network_with_skip_is_near_the_interpolation() -> None:
    lq = upsample(torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(1)), 4, "bilinear")
    with torch.no_grad():
        difference = seeded(ESRT(skip="bicubic"), PlainTask(scale=2))(lq) - upsample(lq, 2, "bicubic")
    assert 0 < difference.abs().mean() < 0.02


def test_features_neither_vanish_nor_explode_through_the_layers() -> None:
    network, seen = seeded(ESRT(), PlainTask(scale=2)), list[Tensor]()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network(upsample(torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(1)), 4, "bilinear"))
    # One pixel, because channel attention depends only on the mean.
    strengths = [features.std().item() for features in seen if features.shape[-1] > 1]
    assert min(strengths) > 1e-3
    assert max(strengths) < 30


def test_a_few_training_steps_beat_the_interpolation() -> None:
    network = seeded(ESRT(channels=8, layers=1, skip="bicubic"), PlainTask(scale=2))
    losses = learning.losses(network, scale=2)
    assert losses[-1] < 0.97 * losses[0]


@pytest.mark.parametrize(("reducer", "level"), [(Channels(), 12), (Layers(), 1)])
def test_a_smaller_network_inherits_from_a_larger_one(reducer: Any, level: int) -> None:
    base = ESRT(channels=16, layers=2)
    larger, smaller = seeded(base, PlainTask(scale=2)), reducer.reduce(base, level).build(PlainTask(scale=2))
    assert reducer.inherit(larger, smaller)
    larger_parameters = dict(larger.named_parameters())
    for key, parameter in smaller.named_parameters():
        assert is_scaled_part(parameter, larger_parameters[key]), key


def test_fewer_channels_keep_the_place_of_each_pixel_in_a_token() -> None:
    base = ESRT(channels=16, layers=1)
    larger, smaller = seeded(base, PlainTask()), Channels().reduce(base, 12).build(PlainTask())
    with torch.no_grad():
        for taps in (larger.encoder.norm_mlp.weight, larger.encoder.norm_mlp.bias):  # type: ignore[union-attr]  # that network's
            taps.copy_(torch.arange(TAPS)[:, None].expand(TAPS, 16))
        weight = larger.encoder.attention.expand.weight.unflatten(0, (16, TAPS))  # type: ignore[union-attr]  # as above
        weight.copy_(torch.arange(TAPS)[None, :, None].expand_as(weight))
    assert Channels().inherit(larger, smaller)
    assert torch.equal(smaller.encoder.norm_mlp.weight, torch.arange(TAPS)[:, None].expand(TAPS, 12).float())  # type: ignore[union-attr, arg-type]  # as above
    weight = smaller.encoder.attention.expand.weight.unflatten(0, (12, TAPS))  # type: ignore[union-attr]  # as above
    of_taps = torch.arange(TAPS)[None, :, None].expand_as(weight).float()
    torch.testing.assert_close(weight, of_taps * weight.max() / of_taps.max())
