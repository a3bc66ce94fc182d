"""Names of the conventions by which the luma of grey files is measured in an evaluation for RGB."""

from __future__ import annotations

from typing import Literal

Protocol = Literal["basicsr", "paper"]
"""`basicsr`: the luma of the file made RGB, in 16..235, as BasicSR's code measures. `paper`: the grey values
themselves, in 0..255, as the MATLAB scripts of papers measure; their PSNR is lower by 20*log10(255/219) = 1.32 dB."""
EXPLANATIONS = {
    "basicsr": "protocol basicsr: grey files are made RGB",
    "paper": "protocol paper: the values of grey files, 1.32 dB lower than with basicsr",
}
"""Explanations for reports."""
