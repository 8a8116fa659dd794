"""Small ONNX classifiers, made by hand, whose answers NumPy can work out."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bigmodel_lib.deployment import KEY, Signature

SMALL = Signature(shape=(2, 3), low=-2.0, high=3.0, classes=5)
WEIGHTS = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


def scores(inputs) -> np.ndarray:
    """What the small classifier must give for inputs (B, 2, 3)."""
    return np.asarray(inputs, np.float32).reshape(-1, 6) @ WEIGHTS


def write(
    path: Path,
    *,
    signature: Signature | None = SMALL,
    inputs=("batch", 2, 3),
    kind=TensorProto.FLOAT,
    operations=None,
    more_inputs=(),
    **saving,
) -> Path:
    """Write a linear classifier of inputs (B, 2, 3), or one that differs as asked.

    Args:
        signature: noted in the file; None for a file from elsewhere, which has none.
        inputs, kind: shape and type of the input named x.
        operations: nodes from x and w to y, instead of the linear map.
        more_inputs: further inputs of the graph.
        saving: of `onnx.save`.
    """
    shape = numpy_helper.from_array(np.array([-1, 6]), "shape")
    graph = helper.make_graph(
        operations
        or [
            helper.make_node("Reshape", ["x", "shape"], ["flat"]),
            helper.make_node("MatMul", ["flat", "w"], ["y"]),
        ],
        "small",
        [helper.make_tensor_value_info("x", kind, inputs), *more_inputs],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(WEIGHTS, "w"), shape],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if signature is not None:
        model.metadata_props.add(key=KEY, value=json.dumps(vars(signature)))
    onnx.save(model, path, **saving)
    return path
