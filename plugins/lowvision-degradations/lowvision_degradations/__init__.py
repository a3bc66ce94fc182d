"""Degradations that chain, by name or out of the box as in Real-ESRGAN, and tasks that are degradations of cameras."""

from __future__ import annotations

from collections.abc import Mapping

from lowvision import Task, hookimpl
from lowvision_degradations.albumentations_link import Albumentations
from lowvision_degradations.cameras import CameraNoise, LowLight
from lowvision_degradations.chain import Chain, OneOf, RealESRGAN
from lowvision_degradations.links import Noise, Resize
from lowvision_degradations.video import VideoCompression
from lowvision_degradations.weather import Inpainting, Rain


@hookimpl
def lowvision_tasks() -> Mapping[str, type[Task]]:
    return {
        "albumentations": Albumentations,
        "chain": Chain,
        "one_of": OneOf,
        "real_esrgan": RealESRGAN,
        "resize": Resize,
        "noise": Noise,
        "low_light": LowLight,
        "camera_noise": CameraNoise,
        "rain": Rain,
        "inpaint": Inpainting,
        "video": VideoCompression,
    }
