"""BVLC GoogLeNet as a list of layers, in the order of its deploy.prototxt.

The order must equal that of `src/network/table.rs`, because the seeded weights number the weighted
layers in this order.
"""
from typing import NamedTuple

import numpy as np

INPUT_SIDE = 224
CLASSES = 1000
MEAN_BGR = np.array([104.0, 117.0, 123.0])
LRN = {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1.0}  # alpha is divided by the size

# The channels of an inception block's branches: 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj.
INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class Layer(NamedTuple):
    """A layer. `op` is conv, pool, lrn, concat, mean or classifier. `shape` is the shape of the
    weight (OIHW, or [out, in])."""

    name: str
    op: str
    inputs: tuple
    shape: tuple = ()
    stride: int = 1
    padding: int = 0


def layers():
    """All layers. The output of each layer is the blob of the same name. The first layer reads the
    blob "data"."""
    table = []
    channels = {"data": 3}

    def add(name, op, inputs, out=None, size=None, stride=1, padding=0):
        inputs = (inputs,) if isinstance(inputs, str) else inputs
        incoming = sum(channels[blob] for blob in inputs)
        channels[name] = out or incoming
        shape = {"conv": (out, incoming, size, size), "classifier": (out, incoming)}.get(op, ())
        table.append(Layer(name, op, inputs, shape, stride, padding))
        return name

    def inception(block, x):
        one, reduce3, three, reduce5, five, proj = INCEPTION[block]
        part = f"inception_{block}/".__add__
        r3 = add(part("3x3_reduce"), "conv", x, reduce3, 1)
        r5 = add(part("5x5_reduce"), "conv", x, reduce5, 1)
        pooled = add(part("pool"), "pool", x, padding=1)
        branches = (
            add(part("1x1"), "conv", x, one, 1),
            add(part("3x3"), "conv", r3, three, 3, padding=1),
            add(part("5x5"), "conv", r5, five, 5, padding=2),
            add(part("pool_proj"), "conv", pooled, proj, 1),
        )
        return add(part("output"), "concat", branches)

    x = add("conv1/7x7_s2", "conv", "data", 64, 7, stride=2, padding=3)
    x = add("pool1/3x3_s2", "pool", x, stride=2)
    x = add("pool1/norm1", "lrn", x)
    x = add("conv2/3x3_reduce", "conv", x, 64, 1)
    x = add("conv2/3x3", "conv", x, 192, 3, padding=1)
    x = add("conv2/norm2", "lrn", x)
    x = add("pool2/3x3_s2", "pool", x, stride=2)
    for block in INCEPTION:
        if block in ("4a", "5a"):
            x = add({"4a": "pool3/3x3_s2", "5a": "pool4/3x3_s2"}[block], "pool", x, stride=2)
        x = inception(block, x)
    x = add("pool5/7x7_s1", "mean", x)
    add("loss3/classifier", "classifier", x, CLASSES)
    return table


def check_weights(weights):
    """Fails unless `weights` (name -> array) contains exactly this network's tensors."""
    expected = {}
    for layer in layers():
        if layer.shape:
            expected[layer.name + ".weight"] = layer.shape
            expected[layer.name + ".bias"] = layer.shape[:1]
    found = {name: tensor.shape for name, tensor in weights.items()}
    if found != expected:
        wrong = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        raise SystemExit(f"not this network's weights: {', '.join(wrong)}")
