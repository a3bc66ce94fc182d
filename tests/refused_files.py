"""The error of a weights file that is refused, for tests of its readers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lowvision.errors import WeightsError
from lowvision.models import tensor_files


def refused(path: Path, message: str) -> None:
    """Assert that reading raises a one-line error that names a file and a remedy."""
    with pytest.raises(WeightsError) as raised:
        tensor_files.tensors(path)
    text = str(raised.value)
    assert re.search(message, text), text
    assert "\n" not in text
    assert text.startswith(str(path.parent))
    assert "; " in text
