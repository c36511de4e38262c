#!/usr/bin/env python3
"""Writes reference outputs, which PyTorch computes in float64 and which are stored as float32.

    reference.py trained WEIGHTS.safetensors IMAGE OUT.safetensors [--all-blobs]
    reference.py seeded SEED OUT.safetensors

`trained` writes everything about one photograph: the network's input, class scores, blobs, a
Grad-CAM and three occlusion sweeps. `seeded` writes the few kB of `tests/data/seeded.safetensors`,
for the network and the picture of `seeded.py`.

Install with: pip install -r requirements.txt
"""
import argparse
import json

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file

import seeded
from network import LRN, check_weights, layers
from occlusion import grid, masked_batches, network_input, open_picture

FEW_BLOBS = ("inception_5b/output", "pool5/7x7_s1", "loss3/classifier")


def to_torch(weights):
    check_weights(weights)
    return {name: torch.from_numpy(tensor).double() for name, tensor in weights.items()}


def forward(weights, data, start=None):
    """Every blob by name, as a batch in NCHW order. `start` is a dictionary of blobs; with it, the
    function computes only the missing blobs."""
    blobs = {"data": data} if start is None else dict(start)
    for layer in layers():
        if layer.name in blobs or any(name not in blobs for name in layer.inputs):
            continue
        x = torch.cat([blobs[name] for name in layer.inputs], dim=1)
        if layer.shape:
            weight, bias = weights[layer.name + ".weight"], weights[layer.name + ".bias"]
        if layer.op == "conv":
            x = F.conv2d(x, weight, bias, stride=layer.stride, padding=layer.padding).relu()
        elif layer.op == "pool":
            x = F.max_pool2d(x, 3, layer.stride, layer.padding, ceil_mode=layer.padding == 0)
        elif layer.op == "lrn":
            x = F.local_response_norm(x, **LRN)
        elif layer.op == "mean":
            x = x.mean(dim=(2, 3))
        elif layer.op == "classifier":
            x = F.linear(x, weight, bias)
        blobs[layer.name] = x
    return blobs


def probabilities(weights, data):
    return forward(weights, data)["loss3/classifier"].softmax(dim=1)


def sweep(weights, data, classes, mask, stride, value):
    """The scores of `classes`, [class][ny][nx], and the most probable class, [ny][nx]."""
    batches = masked_batches(data[0].numpy(), mask, stride, value)
    scores = torch.cat([probabilities(weights, torch.from_numpy(batch)) for batch in batches])
    return scores[:, classes].T.reshape(-1, *grid(stride)), scores.argmax(dim=1).reshape(grid(stride))


def grad_cam(weights, blobs, classes):
    """Grad-CAM per class, at the last inception block: the positive part of the sum of the
    channels, weighted by the mean gradient of the class's probability (Selvaraju et al., 2017)."""
    maps = []
    for index in classes:
        features = blobs["inception_5b/output"].detach().requires_grad_()
        logits = forward(weights, None, {"inception_5b/output": features})["loss3/classifier"]
        (gradient,) = torch.autograd.grad(logits.softmax(dim=1)[0, index], features)
        maps.append((gradient.mean(dim=(2, 3), keepdim=True) * features)[0].sum(dim=0).relu())
    return torch.stack(maps)


def single(tensor):
    return np.ascontiguousarray(tensor.detach().numpy().astype(np.float32))


def trained(weights_path, image_path, out, all_blobs):
    weights = to_torch(load_file(weights_path))
    rgb = open_picture(image_path)
    data = torch.from_numpy(network_input(rgb))[None]
    with torch.no_grad():
        blobs = forward(weights, data)
        prob = blobs["loss3/classifier"].softmax(dim=1)
        top3 = prob[0].topk(3).indices
        result = {"image_rgb": rgb, "input": single(data), "prob": single(prob[0]), "top3": top3.numpy()}
        names = [name for name in blobs if name != "data"] if all_blobs else FEW_BLOBS
        result |= {f"blob:{name}": single(blobs[name]) for name in names}
        if all_blobs:
            result["blob:prob"] = single(prob)
        mean, zero = data.mean(dim=(0, 2, 3)).numpy(), np.zeros(3)
        for tag, mask, stride, value in (
            ("m45_s22_auto", (45, 45), (22, 22), mean),
            ("m15_s10_auto", (15, 15), (10, 10), mean),
            ("m30x12_s25x31_zero", (30, 12), (25, 31), zero),
        ):
            scores, argmax = sweep(weights, data, top3, mask, stride, value)
            result[f"sweep:{tag}:prob_top3"] = single(scores)
            result[f"sweep:{tag}:drop_top3"] = single(prob[0, top3].reshape(3, 1, 1) - scores)
            result[f"sweep:{tag}:argmax"] = argmax.numpy()
    result["gradcam"] = single(grad_cam(weights, blobs, top3))
    save_file(result, out, {"source": f"float64, PyTorch {torch.__version__}", "image": image_path.split("/")[-1]})


def samples(flat, name_seed):
    """Eight places of a blob in a random order: the first six places that are not zero, and the
    first two that are zero. If a blob has too few zeros, more places that are not zero replace
    them."""
    order = seeded.splitmix64(name_seed, 4096) % np.uint64(flat.size)
    order = order[np.sort(np.unique(order, return_index=True)[1])].astype(np.int64)
    nonzero, zero = order[flat[order] != 0], order[flat[order] == 0][:2]
    return np.concatenate([nonzero[: 8 - zero.size], zero])


def seeded_reference(seed, out):
    weights = to_torch(seeded.weights(seed))
    data = torch.from_numpy(network_input(seeded.picture()))[None]
    with torch.no_grad():
        blobs = forward(weights, data)
        prob = blobs["loss3/classifier"].softmax(dim=1)[0]
        classes = prob.topk(64).indices
        swept = classes[:2]
        scores, argmax = sweep(weights, data, swept, (60, 60), (56, 56), np.zeros(3))
    gradcam = grad_cam(weights, blobs, swept)

    # The blobs that `src/network/table.rs` has too. There, the branches of an inception block are
    # part of its output.
    branch = ("/1x1", "/3x3", "/5x5", "/pool_proj")
    names = [name for name in blobs if not (name.startswith("inception") and name.endswith(branch))]
    flats = [blobs[name].numpy() for name in names]
    flats = [(np.moveaxis(x, 1, -1) if x.ndim == 4 else x).reshape(-1) for x in flats]
    indices = [samples(flat, number) for number, flat in enumerate(flats)]
    result = {
        "classes": classes.numpy().astype(np.uint32),
        "logits": single(blobs["loss3/classifier"][0, classes]),
        "prob": single(prob[classes]),
        "blob_mean": np.array([flat.mean() for flat in flats], np.float32),
        "blob_max_abs": np.array([np.abs(flat).max() for flat in flats], np.float32),
        "sample_index": np.array(indices, np.uint32),
        "sample": np.array([flat[index] for flat, index in zip(flats, indices)], np.float32),
        "sweep_drop": single(prob[swept].reshape(2, 1, 1) - scores),
        "sweep_argmax": argmax.numpy().astype(np.uint32),
        "gradcam": single(gradcam),
    }
    save_file(
        result,
        out,
        {
            "source": f"float64, PyTorch {torch.__version__}, by tools/reference.py",
            "seed": str(seed),
            "blobs": json.dumps(names),
            "sample_index": "into the blob as [side][side][channels]",
            "sweep": "mask 60, stride 56, clipped, mask value the training mean; the first two classes",
        },
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("trained", help="outputs for one photograph, with the trained weights")
    command.add_argument("weights")
    command.add_argument("image")
    command.add_argument("out")
    command.add_argument("--all-blobs", action="store_true", help="write every blob, not only the last ones (28 MB)")
    command.set_defaults(run=lambda a: trained(a.weights, a.image, a.out, a.all_blobs))
    command = commands.add_parser("seeded", help="a few kB of outputs, with the seeded weights")
    command.add_argument("seed", type=int)
    command.add_argument("out")
    command.set_defaults(run=lambda a: seeded_reference(a.seed, a.out))
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
