"""Execution by ncnn: one network for any shape; images one after the other, because ncnn has no batches."""

from __future__ import annotations

from pathlib import Path

import ncnn
import numpy as np
import torch
from torch import Tensor

from lowvision import RunError, WeightsError
from lowvision_runtimes import cores


class Prepared:
    """A prepared network: (B,C,h,w) float32 on the CPU -> output on the CPU."""

    def __init__(self, path: Path, callers: int, vulkan: bool):
        if vulkan and not ncnn.get_gpu_count():
            raise RunError(
                "runtime ncnn finds no GPU with a Vulkan driver; install one, or leave out the option vulkan"
            )
        self._net = ncnn.Net()
        options = self._net.opt
        options.use_vulkan_compute = vulkan
        options.num_threads = cores.threads_per_call(callers)
        # On Vulkan and ARM these are set by default.
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        if self._net.load_param(str(path)) or self._net.load_model(str(path.with_suffix(".bin"))):
            raise WeightsError(f"{path}: ncnn cannot read it; export the weights again")

    def __call__(self, x: Tensor) -> Tensor:
        return torch.stack([self._restore(image) for image in x.detach().numpy()])

    def _restore(self, image: np.ndarray) -> Tensor:
        extractor = self._net.create_extractor()
        pixels = np.ascontiguousarray(image)  # a Mat does not keep the array whose memory it uses
        # A copy, because ncnn counts the references to its own memory only.
        extractor.input("lq", ncnn.Mat(pixels).clone())
        status, output = extractor.extract("output")
        if status:
            raise RunError(
                f"ncnn fails with status {status} on {'x'.join(map(str, image.shape))} values; use runtime torch"
            )
        return torch.from_numpy(np.array(output))
