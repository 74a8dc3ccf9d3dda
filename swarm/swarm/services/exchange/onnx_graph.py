"""An adapter as an ONNX graph: input x (n, d) float32, output `adapted` (n, d), for any number n of queries.

    z = x + (x A^T) B^T,    adapted = z |x| / |z|

Needs the extra `onnx`; to run it, any runtime of ONNX does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from swarm.errors import RuntimeSetupError
from swarm.sona.lora import LoraPair
from swarm.sona.merged import joined_pair

OPSET, IR_VERSION = 17, 8
"""Old enough for any runtime of the last years."""
_SMALLEST = float(np.finfo(np.float32).tiny)


def onnx_bytes(pairs: Sequence[LoraPair], dim: int, about: str) -> bytes:
    """The checked graph of all pairs together; the identity without any. `about` is kept in it as its description.

    Raises
    ------
    RuntimeSetupError
        If the package is not installed.
    """
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise RuntimeSetupError("the package onnx is not installed: pip install 'sona-swarm[onnx]'") from error
    shape: list[str | int | None] = ["n", dim]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("adapted", TensorProto.FLOAT, shape)
    nodes: list[Any] = [helper.make_node("Identity", ["x"], ["adapted"])]
    weights: list[Any] = []
    if pairs:
        pair = joined_pair(pairs, dim)
        arrays = {"down": pair.down.T, "up": pair.up, "smallest": np.array([_SMALLEST], dtype=np.float32)}
        weights = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()]
        nodes = [
            helper.make_node("MatMul", ["x", "down"], ["hidden"]),
            helper.make_node("MatMul", ["hidden", "up"], ["delta"]),
            helper.make_node("Add", ["x", "delta"], ["z"]),
            helper.make_node("ReduceL2", ["x"], ["wanted"], axes=[1], keepdims=1),
            helper.make_node("ReduceL2", ["z"], ["found"], axes=[1], keepdims=1),
            # A zero has no direction: it stays one, instead of becoming no number.
            helper.make_node("Max", ["found", "smallest"], ["length"]),
            helper.make_node("Div", ["wanted", "length"], ["factor"]),
            helper.make_node("Mul", ["z", "factor"], ["adapted"]),
        ]
    graph = helper.make_graph(nodes, "adapter", [x], [y], weights)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="sona-swarm"
    )
    model.doc_string = about
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
