#!/usr/bin/env python3
"""Writes the network that `train.py` has trained as the built-in network:
`weights/builtin.safetensors`.

    export.py NET.pt [NET.pt ..] --out OUT.safetensors [--data DIR] [--leave-out CLASS,..]

Given several networks, of which the later ones continued the training of the first, the script
takes the mean of their weights.

Batch normalisation and the preparation of pictures become a part of the convolutions, in float64.
Then all numbers are rounded to float16, once. The tensors have the names of the table of layers in
`src/network/table.rs`, and the metadata contains the names of the classes. --leave-out omits a
class that was not learned well enough: its row of the classifier is dropped, and nothing else
changes.
"""
import argparse
import json
import struct
from pathlib import Path

import numpy as np
import torch

EPS = 0.001  # the epsilon of every batch normalisation
LEVELS = 127.5


def folded(state):
    """The tensors by the table's names, as float64."""
    tensors = {}
    for name in [key.removesuffix(".conv.weight") for key in state if key.endswith(".conv.weight")]:
        weight, scale, shift, mean, variance = (
            state[f"{name}.{part}"].double().numpy()
            for part in ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
        )
        factor = scale / np.sqrt(variance + EPS)
        weight = weight * factor[:, None, None, None]
        if name == "conv1":
            weight = weight[:, ::-1] / LEVELS  # the input is blue first, with levels minus 127.5
        tensors[name + ".weight"] = weight
        tensors[name + ".bias"] = shift - mean * factor
    return tensors


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nets", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", default="data", type=Path)
    parser.add_argument("--leave-out", default="")
    args = parser.parse_args()
    states = [torch.load(net) for net in args.nets]
    state = {name: sum(state[name] / len(states) for state in states) for name in states[0]}
    names = (args.data / "classes.txt").read_text().split("\n")[:-1]
    kept = [c for c, name in enumerate(names) if name not in args.leave_out.split(",")]
    tensors = folded(state)
    tensors["fc.weight"] = state["fc.weight"][kept].double().numpy()
    tensors["fc.bias"] = state["fc.bias"][kept].double().numpy()

    metadata = {
        "network": "built-in network",
        "labels": "\n".join(names[c].replace("_", " ") for c in kept),
        "transform_input": "true",
        "input": "BGR, 0-255, minus 127.5",
        "source": "trained by tools/train; weights/README.md has data, licences and accuracy",
    }
    header, data = {"__metadata__": metadata}, b""
    for name in sorted(tensors):
        half = tensors[name].astype(np.float16)
        if not np.isfinite(half).all():
            raise SystemExit(f"{name} does not fit into float16")
        start = len(data)
        data += half.astype("<f2").tobytes()
        header[name] = {"dtype": "F16", "shape": list(half.shape), "data_offsets": [start, len(data)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    args.out.write_bytes(struct.pack("<Q", len(text)) + text + data)
    print(f"{args.out}: {args.out.stat().st_size} bytes, {len(kept)} classes, {len(data) // 2} parameters")


if __name__ == "__main__":
    main()
