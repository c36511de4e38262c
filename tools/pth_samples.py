#!/usr/bin/env python3
"""Writes the small files of tests/data/pth/ with PyTorch. They contain the numbers by formula that
`tests/common/pth.rs` expects.

    pth_samples.py FOLDER

Install with: pip install -r requirements.txt
"""
import sys
from pathlib import Path

import torch


def numbers(k, *shape):
    """Multiples of 1/8, which every type of number represents exactly. They differ for each `k`."""
    count = torch.Size(shape).numel()
    return (((7 * torch.arange(count) + k) % 19 - 9) / 8).reshape(shape)


def state_dict():
    """The state dict of a module, with the other kinds of entries that a state dict can have."""
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
    state = module.state_dict()
    for k, name in enumerate(state):
        state[name] = torch.tensor(k) if name.endswith("tracked") else numbers(k, *state[name].shape)
    state["f32"] = numbers(10, 2, 3)
    state["f16"] = numbers(11, 4).half()
    state["bf16"] = numbers(12, 5).bfloat16()
    state["f64"] = numbers(13, 3).double() / 3
    state["scalar"] = numbers(14)
    state["channels_last"] = numbers(15, 2, 4, 3, 3).contiguous(memory_format=torch.channels_last)
    state["shared.whole"] = numbers(16, 3, 4)
    state["shared.column"] = state["shared.whole"][:, 1]
    state["parameter"] = torch.nn.Parameter(numbers(17, 2))
    state["empty"] = torch.zeros(0, 3)
    for dtype in [torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]:
        state[f"whole.{dtype}"] = torch.ones(2, dtype=dtype)
    return state


def checkpoint():
    """A checkpoint as a training script writes it, with the state of its optimizer."""
    module = torch.nn.Linear(2, 1)
    module.load_state_dict({"weight": numbers(20, 1, 2), "bias": numbers(21, 1)})
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(2)).sum().backward()
    # Creates the optimizer's state without changing the weights.
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    return {
        "epoch": 3,
        "best_acc1": torch.tensor(0.5),
        "arch": "googlenet",
        "state_dict": module.state_dict(),
        "optimizer": optimizer.state_dict(),
    }


def main():
    folder = Path(sys.argv[1])
    torch.manual_seed(1)
    for form, is_zip in [("zip", True), ("legacy", False)]:
        def save(what, name, **options):
            torch.save(what, folder / f"{name}_{form}.pth", _use_new_zipfile_serialization=is_zip, **options)

        save(state_dict(), "state")
        save(checkpoint(), "checkpoint", pickle_protocol=4)
    torch.save(torch.nn.Linear(1, 1), folder / "model.pth")


if __name__ == "__main__":
    main()
