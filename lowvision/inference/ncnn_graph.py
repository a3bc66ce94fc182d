"""Write a network in ncnn's format: trace it by torch.export, then translate its operators one by one."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.export import Dim, ExportedProgram
from torch.utils import _pytree as pytree

from lowvision.errors import WeightsError, message_of
from lowvision.inference.ncnn_context import Blob, Context, Unsupported
from lowvision.inference.ncnn_file import INPUT, NcnnFile
from lowvision.inference.ncnn_operators import OPERATORS
from lowvision.inference.silent_export import silence

LAYOUT = 1
"""Version of the exported files; incremented when the export of a network changes."""
VIEWS = ("slice", "split", "split_with_sizes", "chunk", "select", "view", "alias", "getitem")
"""Operators whose result shares memory with their input."""
WAY_OUT = "use runtime torch, openvino or onnxruntime for it"


def maker() -> list[str | int]:
    """Return the versions that determine the files besides the network."""
    return [LAYOUT, torch.__version__]


def convert(network: nn.Module, name: str, channels: int, size: int, step: int) -> tuple[str, bytes]:
    """Return a network in eval() on the CPU as the content of a .param and a .bin file; input `lq`, output `output`.

    size, step: a valid side of the input, and the divisor of its sides. Height and width of the input are dynamic.
    Raises WeightsError, naming the network, if it cannot be traced with dynamic sides or ncnn lacks an operator.
    """
    generator = torch.Generator().manual_seed(0)  # as in `onnx_graph`, and so are the unequal sides
    example = torch.rand(1, channels, size, size + step, generator=generator)
    try:
        with silence(), torch.no_grad():
            sides = ({2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
            program = torch.export.export(network, (example,), dynamic_shapes=sides, strict=False)
    except Exception as error:  # tracing a network of an unknown plugin can raise anything
        reason = message_of(error)[:300]
        raise WeightsError(f"{name} cannot be exported to ncnn: {reason}; {WAY_OUT}") from error
    try:
        return _Translation(program).run()
    except Unsupported as error:
        raise WeightsError(f"{name} cannot be exported to ncnn, which has no layer for {error}; {WAY_OUT}") from None


class _Translation:
    """Translates the nodes of a graph in order; a node that does not depend on the input is computed at once."""

    def __init__(self, program: ExportedProgram):
        self._program = program
        self._file = NcnnFile()
        self._values: dict[fx.Node, Any] = {}
        self._input: Blob | None = None

    def run(self) -> tuple[str, bytes]:
        for node in self._program.graph.nodes:
            if node.op == "placeholder":
                self._values[node] = self._placeholder(node)
            elif node.op == "call_function":
                self._values[node] = self._call(node)
            elif node.op == "output":
                (result,) = self._evaluated(node.args[0])
                if not isinstance(result, Blob):
                    raise Unsupported("a result that does not depend on the input")
                return self._file.finish(result.name)
        raise Unsupported("a graph without a result")

    def _placeholder(self, node: fx.Node) -> Any:
        signature, name = self._program.graph_signature, node.name
        tensors: Mapping[str, str] = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        if name in tensors:
            stored = {**self._program.constants, **self._program.state_dict}[tensors[name]]
            return stored.detach()
        self._input = Blob(INPUT, tuple(node.meta["val"].shape))
        return self._input

    def _call(self, node: fx.Node) -> Any:
        name = _name(node)
        arguments, options = self._evaluated(node.args), self._evaluated(dict(node.kwargs))
        if name == "getitem":
            return operator.getitem(*arguments)
        value = node.meta.get("val")
        if name.startswith("_assert") or not _holds_tensors(value):
            return value  # a check, or a size
        leaves = pytree.tree_leaves((arguments, options))
        if not any(isinstance(leaf, Blob) for leaf in leaves):
            return self._constant(node, arguments, options, leaves)
        if name not in OPERATORS:
            raise Unsupported(f"the operator {name}")
        assert self._input is not None  # otherwise there would be no blob
        shape = [part.shape for part in value] if isinstance(value, list | tuple) else node.meta["val"].shape
        result = self._written(name, Context(self._file, self._input, shape), arguments, options)
        if node.target._schema.is_mutable:  # type: ignore[union-attr]  # an operator of PyTorch
            self._replace(node, result)
        return result

    def _constant(self, node: fx.Node, arguments: Any, options: Any, leaves: list[Any]) -> Any:
        if any(isinstance(leaf, torch.SymInt) for leaf in leaves):
            raise Unsupported(f"the operator {_name(node)} with a size that depends on the input's")
        return node.target(*arguments, **options)  # type: ignore[operator]  # as above

    def _written(self, name: str, context: Context, arguments: Any, options: Any) -> Any:
        try:
            return OPERATORS[name](context, *arguments, **options)
        except TypeError as error:
            raise Unsupported(f"the operator {name} with these arguments ({error})") from None

    def _replace(self, node: fx.Node, result: Any) -> None:
        """Give the tensor that an operator changed in place its new value. Raises Unsupported if views share it."""
        changed = node.args[0]
        assert isinstance(changed, fx.Node)
        others = [user for user in changed.users if user is not node]
        if _name(changed) in VIEWS or any(_name(user) in VIEWS for user in others):
            raise Unsupported(f"the operator {_name(node)} on a part of a tensor, in place")
        self._values[changed] = result

    def _evaluated(self, arguments: Any) -> Any:
        return fx.node.map_arg(arguments, lambda node: self._values[node])


def _name(node: fx.Node) -> str:
    """Return the name of an operator; one that works in place has the name of the other."""
    packet = getattr(node.target, "_overloadpacket", None)
    name = str(packet.__name__ if packet else getattr(node.target, "__name__", node.target))
    return name if name.startswith("__") else name.rstrip("_")


def _holds_tensors(value: Any) -> bool:
    parts = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(part, torch.Tensor) for part in parts)
