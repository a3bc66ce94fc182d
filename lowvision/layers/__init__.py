"""Building blocks for the networks of plugins: initialisation, mean colour, upsampling, residual blocks, edges,
re-parameterisation.

    from lowvision.layers import init_kaiming_

Public API, like `lowvision`. It imports torch: import it in the module of the networks, not in that of the options.
"""

from __future__ import annotations

from lowvision.layers.blocks import HOURGLASS_SLOPE as HOURGLASS_SLOPE
from lowvision.layers.blocks import ChannelAttention as ChannelAttention
from lowvision.layers.blocks import ResidualBlock as ResidualBlock
from lowvision.layers.blocks import SplitConv as SplitConv
from lowvision.layers.blocks import hourglass as hourglass
from lowvision.layers.colour import MeanShift as MeanShift
from lowvision.layers.edges import EdgeTable as EdgeTable
from lowvision.layers.edges import blurred as blurred
from lowvision.layers.edges import gaussian as gaussian
from lowvision.layers.init import init_fused_ as init_fused_
from lowvision.layers.init import init_kaiming_ as init_kaiming_
from lowvision.layers.init import init_near_zero_ as init_near_zero_
from lowvision.layers.init import init_zero_mean_ as init_zero_mean_
from lowvision.layers.init import scale_residual_ as scale_residual_
from lowvision.layers.leading import Leading as Leading
from lowvision.layers.reparam import Fusible as Fusible
from lowvision.layers.reparam import ParallelConv as ParallelConv
from lowvision.layers.reparam import fuse as fuse
from lowvision.layers.resample import STEPS as STEPS
from lowvision.layers.resample import add_skip as add_skip
from lowvision.layers.resample import halved as halved
from lowvision.layers.resample import upsampler as upsampler
from lowvision.layers.statistics import mean_over_processes as mean_over_processes
