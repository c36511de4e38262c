#!/usr/bin/env python3
"""Writes the network as an ONNX graph, for the engines that compare.py runs.

    export_onnx.py WEIGHTS.safetensors OUT.onnx
    export_onnx.py seeded:SEED OUT.onnx

The input is "data", n x 3 x 224 x 224 (BGR minus mean), and the output is "prob", n x 1000. The
batch size n is free.
"""
import sys

import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

import seeded
from network import CLASSES, INPUT_SIDE, LRN, check_weights, layers

# Opset 13 introduced a softmax along one axis. Before, it covered all following axes.
OPSET, IR_VERSION = 13, 8


def load(source):
    """The weights from a file, or from the generator for "seeded:SEED"."""
    prefix, _, seed = source.partition("seeded:")
    return seeded.weights(int(seed)) if seed and not prefix else load_file(source)


def nodes_of(layer):
    inputs, name = list(layer.inputs), layer.name
    square = {"kernel_shape": [3, 3], "strides": [layer.stride] * 2, "pads": [layer.padding] * 4}
    parameters = [name + ".weight", name + ".bias"]
    if layer.op == "conv":
        square["kernel_shape"] = layer.shape[2:]
        yield helper.make_node("Conv", inputs + parameters, [name + ":sum"], **square)
        yield helper.make_node("Relu", [name + ":sum"], [name])
    elif layer.op == "pool":
        yield helper.make_node("MaxPool", inputs, [name], ceil_mode=int(layer.padding == 0), **square)
    elif layer.op == "lrn":
        options = {"bias" if key == "k" else key: value for key, value in LRN.items()}
        yield helper.make_node("LRN", inputs, [name], **options)
    elif layer.op == "concat":
        yield helper.make_node("Concat", inputs, [name], axis=1)
    elif layer.op == "mean":
        yield helper.make_node("GlobalAveragePool", inputs, [name + ":plane"])
        yield helper.make_node("Flatten", [name + ":plane"], [name])
    elif layer.op == "classifier":
        yield helper.make_node("Gemm", inputs + parameters, [name], transB=1)
        yield helper.make_node("Softmax", [name], ["prob"], axis=1)


def build(weights):
    check_weights(weights)
    graph = helper.make_graph(
        [node for layer in layers() for node in nodes_of(layer)],
        "bvlc_googlenet",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["n", 3, INPUT_SIDE, INPUT_SIDE])],
        [helper.make_tensor_value_info("prob", TensorProto.FLOAT, ["n", CLASSES])],
        [numpy_helper.from_array(tensor, name) for name, tensor in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    onnx.save(build(load(sys.argv[1])), sys.argv[2])


if __name__ == "__main__":
    main()
