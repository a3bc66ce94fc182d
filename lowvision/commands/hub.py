"""`lowvision.push_to_hub` and `lowvision.from_pretrained`: weights files in repositories of the Hugging Face Hub."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lowvision.commands.card import card
from lowvision.errors import UsageError, WeightsError, summary_of
from lowvision.inference import restorer
from lowvision.inference.engines import AUTO
from lowvision.inference.restorer import Restorer
from lowvision.models import pretrained
from lowvision.models import weights as weights_files
from lowvision.plugins import registry as plugins
from lowvision.plugins.contracts import Precision, Runtime

FILE = "model.safetensors"
"""Name of the weights file in a repository."""


def push_to_hub(
    weights: str | Path,
    repo: str,
    *,
    report: Mapping[str, Any] | None = None,
    private: bool = False,
    message: str = "Upload weights",
    token: str | None = None,
    endpoint: str | None = None,
) -> str:
    """Upload a weights file with its model card in one commit, and return the address of the commit.

    weights: a weights file, or the name of shipped weights. repo: `user/name`, which is created if it does not exist.
    report: the document of a report about these weights, e.g. `lowvision.run(...).document`; the card then states its
    figures with their protocol, and the repository holds it as `report.json`. private: visibility of a new repository.
    token: default, that of `hf auth login`. endpoint: default, https://huggingface.co.
    Raises WeightsError if the file is not lowvision's or if the upload fails.
    """
    hub = _library("push_to_hub")
    components = plugins.load()
    path = pretrained.find(Path(weights), components)
    if weights_files.is_foreign(path):
        raise WeightsError(f"{path}: is not in lowvision's format; write it by `lowvision convert` first")
    text = card(path, components, report, repo)
    files: dict[str, Path | bytes] = {FILE: path, "README.md": text.encode()}
    if report:
        files["report.json"] = json.dumps(report, indent=1).encode()
    with _as_weights_error(repo):
        api = hub.HfApi(endpoint=endpoint, token=token)
        created = api.create_repo(repo, private=private, exist_ok=True).repo_id
        operations = [hub.CommitOperationAdd(name, content) for name, content in files.items()]
        return str(api.create_commit(created, operations, commit_message=message).commit_url)


def from_pretrained(
    repo: str | Path,
    *,
    file: str = FILE,
    revision: str | None = None,
    device: str = "auto",
    runtime: str | Mapping[str, Any] | Runtime = AUTO,
    precision: Precision = "f32",
    token: str | None = None,
    endpoint: str | None = None,
) -> Restorer:
    """Load the weights file of a repository on the Hub, or of a local folder; no code of the repository is executed.

    A file is downloaded once, into the cache of huggingface_hub.
    repo: `user/name`, or a folder. file: name of the weights file in it. revision: a branch, tag or commit. device,
    runtime and precision are as in `lowvision.load`. token and endpoint are as in `push_to_hub`.
    Raises WeightsError if it cannot be downloaded, and what `lowvision.load` raises.
    """
    path = Path(repo) / file
    if not Path(repo).is_dir():
        hub = _library("from_pretrained")
        with _as_weights_error(str(repo)):
            path = Path(hub.hf_hub_download(str(repo), file, revision=revision, token=token, endpoint=endpoint))
    return restorer.load(path, device=device, runtime=runtime, precision=precision)


def _library(function: str) -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise UsageError(
            f"{function}: huggingface_hub is not installed; pip install 'lowvision-framework[hub]'"
        ) from None
    return huggingface_hub


@contextmanager
def _as_weights_error(repo: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of the library, of httpx, and of the network
        raise WeightsError(
            f"{repo}: {summary_of(error)[:300]}; check the name, the connection and `hf auth login`"
        ) from error
