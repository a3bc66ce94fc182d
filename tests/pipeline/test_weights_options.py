"""Claims about the weights files that options of stages name."""

from __future__ import annotations

from lowvision.pipeline import weights_options
from lowvision.pipeline.core_stages import Base, Distil, Rank


def test_an_option_names_one_file_several_or_none() -> None:
    assert list(weights_options.files_of(Rank(weights="a.pth"))) == [("weights", "a.pth")]
    assert list(weights_options.files_of(Distil(start=("a.pth", "b.pth")))) == [("start", "a.pth"), ("start", "b.pth")]
    assert list(weights_options.files_of(Base())) == []
