"""Rows that an accelerator converts have the values that the CPU writes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lowvision.inference.image_arrays import DTYPES, empty_result, write_from_device, write_rows

ROWS = arrays(np.float32, (3, 4, 5), elements=st.floats(-2, 2, width=32))


@pytest.mark.parametrize("dtype", DTYPES)
@given(rows=ROWS)
def test_every_value_is_converted_alike_on_the_device_and_on_the_cpu(dtype: type, rows: np.ndarray) -> None:
    image = np.zeros((6, 5, 4), dtype)
    on_device, on_cpu = empty_result(image, 1), empty_result(image, 1)
    on_device[:] = on_cpu[:] = 7
    write_from_device(on_device, slice(0, 3), 1, torch.from_numpy(rows))
    write_rows(on_cpu, 0, slice(0, 3), 1, torch.from_numpy(rows))
    assert np.array_equal(on_device, on_cpu)
    assert (on_device[0] == 7).all()
    assert (on_device[..., 3] == 7).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_step_between_two_levels_rounds_alike(dtype: type) -> None:
    levels = np.linspace(0, 1, 4 * 65535 + 1, dtype=np.float32)[None, None]
    image = np.zeros((1, levels.size, 1), dtype)
    on_device, on_cpu = empty_result(image, 1), empty_result(image, 1)
    write_from_device(on_device, slice(0, 1), 0, torch.from_numpy(levels))
    write_rows(on_cpu, 0, slice(0, 1), 0, torch.from_numpy(levels))
    assert np.array_equal(on_device, on_cpu)
