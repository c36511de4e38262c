#!/usr/bin/env python3
"""Reference outputs of torchvision's own `googlenet`, in float64, on weights and batch statistics by formula.

    torchvision_reference.py OUT.safetensors [STATE_DICT.safetensors]

The first file is `tests/data/torchvision.safetensors`; `tests/torchvision.rs` makes the same state dict. The second is that
state dict itself, for the command.

Install with: pip install -r requirements.txt
"""
import json
import sys

import numpy as np
import torch
import torchvision
from safetensors.numpy import save_file

import seeded
from network import MEAN_BGR
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
    """Float32 by the tensor's name: a filter loses half its mean, as in `seeded.py`."""
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


def main():
    out, *state_dict = sys.argv[1:]
    model = torchvision.models.googlenet(
        weights=None, num_classes=CLASSES, aux_logits=False, transform_input=True, init_weights=False
    ).eval()
    names = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    tensors = {name: tensor(name, tuple(model.state_dict()[name].shape)) for name in names}
    if state_dict:
        save_file(tensors, state_dict[0], {"transform_input": "true"})
    model.double()
    model.load_state_dict({name: torch.from_numpy(values).double() for name, values in tensors.items()}, strict=False)

    # Blobs of `src/network.rs`: modules but those whose output is a part of an inception block's.
    branches = (".branch1", ".branch2.1", ".branch3.1", ".branch4.1")
    kinds = ("BasicConv2d", "MaxPool2d", "Inception", "AdaptiveAvgPool2d", "Linear")
    blobs = {}
    for name, module in model.named_modules():
        if type(module).__name__ in kinds and not name.endswith(branches):
            module.register_forward_hook(lambda _, __, output, name=name: blobs.__setitem__(name, output))

    def torchvisions_input(data):
        """From blue, green, red minus MEAN_BGR to what torchvision's preprocessing makes."""
        rgb = (data + torch.from_numpy(MEAN_BGR).reshape(3, 1, 1)).flip(1) / 255
        mean, std = torch.tensor([0.485, 0.456, 0.406]).double(), torch.tensor([0.229, 0.224, 0.225]).double()
        return (rgb - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1)

    data = torch.from_numpy(network_input(seeded.picture()))[None]
    with torch.no_grad():
        logits = model(torchvisions_input(data))[0]
        plain = {name: blob.clone() for name, blob in blobs.items()}
        prob = logits.softmax(dim=0)
        classes = prob.topk(CLASSES).indices
        swept = classes[:2]
        batches = masked_batches(data[0].numpy(), (60, 60), (56, 56), np.zeros(3))
        scores = torch.cat([model(torchvisions_input(torch.from_numpy(b))).softmax(dim=1) for b in batches])
    maps = []
    for index in swept:
        features = plain[PLANE].clone().requires_grad_()
        probability = model.fc(features.mean(dim=(2, 3))).softmax(dim=1)[0, index]
        (gradient,) = torch.autograd.grad(probability, features)
        maps.append((gradient.mean(dim=(2, 3), keepdim=True) * features)[0].sum(dim=0).relu())

    names = list(plain)
    flats = [plain[name].numpy() for name in names]
    flats = [(np.moveaxis(x, 1, -1) if x.ndim == 4 else x).reshape(-1) for x in flats]
    indices = [samples(flat, number) for number, flat in enumerate(flats)]
    save_file(
        {
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
        },
        out,
        {
            "source": f"float64, torchvision {torchvision.__version__}, by tools/torchvision_reference.py",
            "blobs": json.dumps(names),
            "sample_index": "into the blob as [side][side][channels]",
            "sweep": "mask 60, stride 56, clipped, mask value the training mean; the first two classes",
        },
    )
    print(f"{len(names)} blobs; logits from {logits.min():.2f} to {logits.max():.2f}; best {prob.max():.3f};")
    print("largest of each blob:", [round(float(np.abs(flat).max()), 1) for flat in flats])
    print("share of zeros:", [round(float((flat == 0).mean()), 2) for flat in flats])


if __name__ == "__main__":
    main()
