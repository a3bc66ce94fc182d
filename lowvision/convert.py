"""What `lowvision convert` does: writes another program's weights file anew, as lowvision's own."""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import ValidationError

from lowvision import foreign, weights, yaml_source
from lowvision.choice import choose
from lowvision.contracts import Format
from lowvision.errors import UsageError, WeightsError
from lowvision.registry import Registry


def convert(path: Path, output: Path, known: Registry, wanted: Format | None = None) -> str:
    """Write to `output` what that file holds, by the format `wanted` or the one that recognises it; a line of it.

    The file appears whole, by renaming. Raises UsageError where it would replace its own source, WeightsError where
    that is lowvision's own already, or cannot be taken over.
    """
    if output.exists() and output.samefile(path):
        raise UsageError(f"{output}: would replace the file that is converted; give another -o")
    if not weights.is_foreign(path):
        raise WeightsError(f"{path}: is lowvision's own already; use it as it is")
    found = foreign.read(path, known, wanted)
    made = found.architecture
    network = made.build_container() if made.classifier else made.build_network()
    with torch.no_grad():
        network.load_state_dict(found.state, strict=False)  # it fits; a tensor of two names has one of them here
    provenance = weights.foreign_header(path, found, known).provenance
    weights.save(output, network, made, known, {}, provenance)
    numbers = sum(parameter.numel() for parameter in network.parameters())
    return f"{output}: {weights.brief(made, known)}, {numbers:,} parameters, from {provenance.origin}"


def format_named(word: str, known: Registry) -> Format:
    """The format that a word of the command says: a name, or a name with its options, as `classsr: {scale: 2}`.

    Raises UsageError where it is neither, or unknown.
    """
    try:
        said = yaml_source.parse(word, "--format").value
        return choose("formats", said, known)  # type: ignore[return-value]  # that menu holds formats
    except ValidationError as error:
        reasons = (f"{'.'.join(map(str, details['loc']))}: {details['msg']}" for details in error.errors())
        raise UsageError(f"--format: {'; '.join(reasons)}") from None
    except ValueError as error:
        raise UsageError(f"--format: {error}") from None
