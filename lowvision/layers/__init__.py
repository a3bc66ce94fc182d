"""What networks of plugins have in common: initial weights that train, a mean colour, ways to enlarge, blocks, edges.

    from lowvision.layers import kaiming

Public, as the face is. It imports torch: a plugin imports it where its networks are, not where its options are.
"""

from __future__ import annotations

from lowvision.layers.attending import ChannelAttention as ChannelAttention
from lowvision.layers.colour import Mean as Mean
from lowvision.layers.edges import EdgeTable as EdgeTable
from lowvision.layers.edges import blurred as blurred
from lowvision.layers.edges import gaussian as gaussian
from lowvision.layers.enlarging import STEPS as STEPS
from lowvision.layers.enlarging import add_skip as add_skip
from lowvision.layers.enlarging import shuffling as shuffling
from lowvision.layers.halving import halved as halved
from lowvision.layers.initial import faint as faint
from lowvision.layers.initial import kaiming as kaiming
from lowvision.layers.initial import look_for_detail as look_for_detail
from lowvision.layers.initial import weaken as weaken
from lowvision.layers.joining import Joined as Joined
from lowvision.layers.leading import Leading as Leading
from lowvision.layers.narrowing import HOURGLASS_SLOPE as HOURGLASS_SLOPE
from lowvision.layers.narrowing import hourglass as hourglass
from lowvision.layers.residual import ResidualBlock as ResidualBlock
