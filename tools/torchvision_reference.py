#!/usr/bin/env python3
"""Writes float64 reference outputs of networks with torchvision's topology.

    torchvision_reference.py formula OUT.safetensors [STATE_DICT.safetensors]
    torchvision_reference.py builtin BUILTIN.safetensors PHOTOGRAPH OUT.safetensors

`formula` runs torchvision's own `googlenet` on weights and batch statistics by formula, and writes
`tests/data/torchvision.safetensors`. `tests/engine/variants.rs` makes the same state dict; the
second file contains it for the command. `builtin` runs the built-in network on the middle 224x224
pixels of a photograph, and writes `tests/data/builtin.safetensors`.

Install with: pip install -r requirements.txt
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image
from safetensors.numpy import load_file, save_file

import seeded
from network import INPUT_SIDE, MEAN_BGR
from occlusion import grid, masked_batches, network_input
from reference import samples, single

CLASSES = 37
PLANE = "inception5b"


def name_seed(name):
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def tensor(name, shape):
    """A float32 tensor that depends on its name. Half of the mean of each filter is subtracted, as
    in `seeded.py`."""
    numbers = seeded.integers(name_seed(name), int(np.prod(shape)))
    if len(shape) > 1:
        fan_in = int(np.prod(shape[1:]))
        gain = 4.0 if name == "fc.weight" else 1.1
        filters = numbers.reshape(-1, fan_in)
        filters -= filters.sum(axis=1, keepdims=True) // (2 * fan_in)
        bound = np.float32(gain * np.sqrt(6.0 / fan_in))
        return (filters.astype(np.float32) * (bound * np.float32(2.0**-23))).reshape(shape)
    unit = numbers.astype(np.float32) * np.float32(2.0**-23)
    if name.endswith("bn.weight"):
        return np.float32(1.0) + unit * np.float32(0.5)
    if name.endswith("running_var"):
        return np.float32(1.25) + unit * np.float32(0.75)
    return unit * np.float32(0.5)


def of_formula(state_dict):
    """torchvision's model, its function from network input to blobs by name, and its
    description."""
    model = torchvision.models.googlenet(
        weights=None, num_classes=CLASSES, aux_logits=False, transform_input=True, init_weights=False
    ).eval()
    names = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    tensors = {name: tensor(name, tuple(model.state_dict()[name].shape)) for name in names}
    if state_dict:
        save_file(tensors, state_dict[0], {"transform_input": "true"})
    model.double()
    model.load_state_dict({name: torch.from_numpy(values).double() for name, values in tensors.items()}, strict=False)

    # The blobs of `src/network/table.rs`: all modules except those whose output is part of an
    # inception block's output.
    branches = (".branch1", ".branch2.1", ".branch3.1", ".branch4.1")
    kinds = ("BasicConv2d", "MaxPool2d", "Inception", "AdaptiveAvgPool2d", "Linear")
    blobs = {}
    for name, module in model.named_modules():
        if type(module).__name__ in kinds and not name.endswith(branches):
            module.register_forward_hook(lambda _, __, output, name=name: blobs.__setitem__(name, output))

    def run(data):
        # Converts blue, green, red minus MEAN_BGR to the result of torchvision's preprocessing.
        rgb = (data + torch.from_numpy(MEAN_BGR).reshape(3, 1, 1)).flip(1) / 255
        mean, std = torch.tensor([0.485, 0.456, 0.406]).double(), torch.tensor([0.229, 0.224, 0.225]).double()
        model((rgb - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1))
        return dict(blobs)

    return model, run, f"torchvision {torchvision.__version__}"


def of_builtin(path):
    """The built-in network's function from network input to blobs by name. It uses plain
    convolutions, whose weights include batch normalisation."""
    weights = {name: torch.from_numpy(values.astype(np.float64)) for name, values in load_file(path).items()}
    blocks = sorted({name.split(".")[0] for name in weights if name.startswith("inception")})

    def run(data):
        blobs = {}

        def keep(name, x):
            blobs[name] = x
            return x

        def conv(name, x, stride=1):
            weight = weights[name + ".weight"]
            return F.conv2d(x, weight, weights[name + ".bias"], stride, weight.shape[2] // 2).relu()

        def pool(name, x, size):
            return keep(name, F.max_pool2d(x, size, 2, ceil_mode=True))

        x = data + torch.from_numpy(MEAN_BGR).reshape(3, 1, 1) - 127.5
        x = pool("maxpool1", keep("conv1", conv("conv1", x, 2)), 3)
        x = keep("conv3", conv("conv3", keep("conv2", conv("conv2", x))))
        x = pool("maxpool2", x, 3)
        for block in blocks:
            if block == "inception4a":
                x = pool("maxpool3", x, 3)
            if block == "inception5a":
                x = pool("maxpool4", x, 2)
            part = (block + ".").__add__
            reduce3 = keep(part("branch2.0"), conv(part("branch2.0"), x))
            reduce5 = keep(part("branch3.0"), conv(part("branch3.0"), x))
            pooled = keep(part("branch4.0"), F.max_pool2d(x, 3, 1, 1))
            branches = [
                conv(part("branch1"), x),
                conv(part("branch2.1"), reduce3),
                conv(part("branch3.1"), reduce5),
                conv(part("branch4.1"), pooled),
            ]
            x = keep(block, torch.cat(branches, 1))
        x = keep("avgpool", x.mean((2, 3)))
        keep("fc", F.linear(x, weights["fc.weight"], weights["fc.bias"]))
        return blobs

    return run


def write(out, run, classifier, rgb, source, more=None):
    """Writes the outputs for one picture. `classifier` converts pooled features to logits."""
    data = torch.from_numpy(network_input(rgb))[None]
    with torch.no_grad():
        plain = {name: blob.clone() for name, blob in run(data).items()}
        logits = plain["fc"][0]
        prob = logits.softmax(dim=0)
        classes = prob.topk(len(prob)).indices
        swept = classes[:2]
        batches = masked_batches(data[0].numpy(), (60, 60), (56, 56), np.zeros(3))
        scores = torch.cat([run(torch.from_numpy(b))["fc"].softmax(dim=1) for b in batches])
    maps = []
    for index in swept:
        features = plain[PLANE].clone().requires_grad_()
        probability = classifier(features.mean(dim=(2, 3))).softmax(dim=1)[0, index]
        (gradient,) = torch.autograd.grad(probability, features)
        maps.append((gradient.mean(dim=(2, 3), keepdim=True) * features)[0].sum(dim=0).relu())

    names = list(plain)
    flats = [plain[name].numpy() for name in names]
    flats = [(np.moveaxis(x, 1, -1) if x.ndim == 4 else x).reshape(-1) for x in flats]
    indices = [samples(flat, number) for number, flat in enumerate(flats)]
    tensors = {
        "classes": classes.numpy().astype(np.uint32),
        "logits": single(logits[classes]),
        "prob": single(prob[classes]),
        "blob_mean": np.array([flat.mean() for flat in flats], np.float32),
        "blob_max_abs": np.array([np.abs(flat).max() for flat in flats], np.float32),
        "sample_index": np.array(indices, np.uint32),
        "sample": np.array([flat[index] for flat, index in zip(flats, indices)], np.float32),
        "sweep_drop": single((prob - scores)[:, swept].T.reshape(2, *grid((56, 56)))),
        "sweep_argmax": scores.argmax(dim=1).numpy().astype(np.uint32).reshape(grid((56, 56))),
        "gradcam": single(torch.stack(maps)),
    }
    if more is not None:
        tensors |= more(data, classes)
    metadata = {
        "source": f"float64, {source}, by tools/torchvision_reference.py",
        "blobs": json.dumps(names),
        "sample_index": "into the blob as [side][side][channels]",
        "sweep": "mask 60, stride 56, clipped, mask value the training mean; the first two classes",
    }
    save_file(tensors, out, metadata)
    print(f"{len(names)} blobs; logits from {logits.min():.2f} to {logits.max():.2f}; best {prob.max():.3f};")
    print("largest of each blob:", [round(float(np.abs(flat).max()), 1) for flat in flats])
    print("share of zeros:", [round(float((flat == 0).mean()), 2) for flat in flats])


def main():
    kind, *arguments = sys.argv[1:]
    if kind == "formula":
        out, *state_dict = arguments
        model, run, source = of_formula(state_dict)

        def without_transform_input(data, classes):
            """The same weights in a network that prepares pictures only in torchvision's usual
            way."""
            model.transform_input = False
            with torch.no_grad():
                return {"logits_without_transform_input": single(run(data)["fc"][0][classes])}

        write(out, run, model.fc, seeded.picture(), source, without_transform_input)
    else:
        weights, photograph, out = arguments
        with Image.open(photograph) as image:
            rgb = np.asarray(image.convert("RGB"))
        top, left = ((size - INPUT_SIDE) // 2 for size in rgb.shape[:2])
        rgb = rgb[top : top + INPUT_SIDE, left : left + INPUT_SIDE]
        tensors = load_file(weights)
        fc = [torch.from_numpy(tensors[f"fc.{part}"].astype(np.float64)) for part in ("weight", "bias")]
        write(out, of_builtin(weights), lambda features: F.linear(features, *fc), rgb, f"PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
