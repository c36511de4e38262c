#!/usr/bin/env python3
"""Writes the published network's answers to views of each training photograph. `train.py` trains
with these answers.

    teacher.py BVLC_GOOGLENET.safetensors [--data DIR] [--views 2]

View 0 is the whole photograph, and the other views are random parts of it. Writes `views.npy`
([photographs][views][4]: centre x, centre y, width, height, in the coordinates of
`torch.nn.functional.affine_grid`, where the photograph is -1..1) and `teacher.npy`
([photographs][views][1000] logits, float16). The script processes one view of all photographs after
the other. A run that was stopped continues with the next view. A view takes about 10 minutes on one
core with AVX-512 and bf16.
"""
import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import network  # noqa: E402


def teacher(weights, x):
    """The logits of BVLC GoogLeNet for `x`, which is [n][3][224][224], blue first, minus the
    mean."""
    blobs = {"data": x}
    for layer in network.layers():
        inputs = [blobs[name] for name in layer.inputs]
        weight, bias = weights.get(layer.name + ".weight"), weights.get(layer.name + ".bias")
        match layer.op:
            case "conv":
                y = F.relu_(F.conv2d(inputs[0], weight, bias, layer.stride, layer.padding))
            case "pool":
                y = F.max_pool2d(inputs[0], 3, layer.stride, layer.padding, ceil_mode=True)
            case "lrn":
                # Computes the sum over neighbouring channels as a 1x1 convolution, which is much
                # faster here than five slices.
                n = inputs[0].shape[1]
                band = (torch.arange(n)[:, None] - torch.arange(n)).abs().le(2).view(n, n, 1, 1)
                root = F.conv2d(inputs[0].square(), band.to(x.dtype) * (network.LRN["alpha"] / 5)).add_(1).rsqrt_()
                y = root.sqrt().mul_(root).mul_(inputs[0])
            case "concat":
                y = torch.cat(inputs, 1)
            case "mean":
                y = inputs[0].mean((2, 3))
            case "classifier":
                y = F.linear(inputs[0], weight, bias)
        blobs[layer.name] = y
    return y.float()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("weights")
    parser.add_argument("--data", default="data", type=Path)
    parser.add_argument("--views", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args()
    torch.set_num_threads(1)
    weights = {
        name: tensor.bfloat16().contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor.bfloat16()
        for name, tensor in load_file(args.weights).items()
    }
    mean = torch.tensor(network.MEAN_BGR, dtype=torch.float32).view(3, 1, 1)
    pix = np.load(args.data / "pix.npy", mmap_mode="r")
    count = len(pix)

    rng = np.random.default_rng(7)
    area = rng.uniform(0.25, 0.8, (count, args.views))
    ratio = np.exp(rng.uniform(-0.29, 0.29, (count, args.views)))
    size = np.minimum(np.stack([np.sqrt(area * ratio), np.sqrt(area / ratio)], -1), 1)
    size[:, 0] = 1
    centre = rng.uniform(-1, 1, (count, args.views, 2)) * (1 - size)
    views = np.concatenate([centre, size], -1).astype(np.float32)
    np.save(args.data / "views.npy", views)

    path = args.data / "teacher.npy"
    if path.exists():
        logits = np.load(path, mmap_mode="r+")
    else:
        logits = np.lib.format.open_memmap(path, "w+", np.float16, (count, args.views, network.CLASSES))
    start = time.time()
    done = 0
    for view in range(args.views):
        for first in range(0, count, args.batch):
            rows = slice(first, first + args.batch)
            if logits[rows, view].any():
                continue
            rgb = torch.from_numpy(pix[rows]).permute(0, 3, 1, 2).float()
            theta = torch.zeros(len(rgb), 2, 3)
            cx, cy, w, h = torch.from_numpy(views[rows, view]).T
            theta[:, 0, 0], theta[:, 0, 2], theta[:, 1, 1], theta[:, 1, 2] = w, cx, h, cy
            grid = F.affine_grid(theta, (len(rgb), 3, 224, 224), align_corners=False)
            x = F.grid_sample(rgb, grid, padding_mode="reflection", align_corners=False)
            x = (x.flip(1) - mean).bfloat16().contiguous(memory_format=torch.channels_last)
            with torch.inference_mode():
                logits[rows, view] = teacher(weights, x).numpy()
            done += len(rgb)
            if first // args.batch % 50 == 0:
                print(f"view {view}: {first} of {count}, {done / (time.time() - start):.1f} per second", flush=True)
    logits.flush()


if __name__ == "__main__":
    main()
