#!/usr/bin/env python3
"""Compares occlude's --aggregate windows with Captum's Occlusion, and --segments with its FeatureAblation.

    check_captum.py target/release/occlude --weights ../shared/weights/bvlc_googlenet.safetensors
                    [--image tests/data/chelsea.png]

Captum gives each pixel the mean of the drops under all windows that cover it. Its windows begin in
the picture's corner. If the stride does not divide the picture's side minus the window's side,
Captum adds a last window at the border. Therefore the settings here are those in which both have
the same windows. PyTorch runs the network in float64. The picture is passed as a PNG of the
network's size, so that decoding and resizing have no effect. The check fails if any attribution of
the two most probable classes differs by more than 1e-5. The segments are superpixels of scikit-image,
written to a PNG as numbers.

Install with: pip install -r requirements.txt
"""
import argparse
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from captum.attr import FeatureAblation, Occlusion
from PIL import Image
from safetensors.numpy import load_file
from skimage.segmentation import slic

from network import INPUT_SIDE, MEAN_BGR
from occlusion import network_input, open_picture
from reference import probabilities, to_torch

TOLERANCE = 1e-5

# Each setting is a window and a stride (height first) and a colour (red first; None is the mean of
# the picture).
SETTINGS = (
    ((32, 32), (32, 32), None),
    ((56, 56), (28, 28), (255.0, 0.0, 127.5)),
    ((64, 40), (32, 23), tuple(MEAN_BGR[::-1].tolist())),
)


def occlude(options, picture, masks, colour):
    """The classes and the attributions of occlude, [class][224][224]."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(options.occlude, "explain", picture, "--weights", options.weights, "--classes", "top2", *masks),
            *("--mask-value", "auto" if colour is None else ",".join(map(str, colour))),
            *("--aggregate", "windows", "--arrays", "npz", "--out", folder),
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with np.load(Path(folder, "maps.npz")) as arrays:
            return arrays["classes"], arrays["attributions"]


def captum(weights, data, classes, method, colour, **masks):
    """The same attributions by a method of Captum, [class][224][224]."""
    fill = data.mean(axis=(1, 2)) if colour is None else np.array(colour[::-1]) - MEAN_BGR
    inputs = torch.from_numpy(data[None])
    baseline = torch.from_numpy(fill).reshape(1, 3, 1, 1).expand_as(inputs)
    method = method(lambda batch: probabilities(weights, batch))
    with torch.inference_mode():
        found = [
            method.attribute(
                inputs, baselines=baseline, target=int(index), perturbations_per_eval=16, **masks
            )
            for index in classes
        ]
    # A mask covers all channels, so they have the same value.
    return torch.cat(found)[:, 0].numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("occlude", type=Path, help="the binary")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--image", type=Path, default=Path(__file__).parent / "../tests/data/chelsea.png")
    options = parser.parse_args()

    rgb = open_picture(options.image)
    data, weights = network_input(rgb), to_torch(load_file(options.weights))
    worst = 0.0

    def compare(masks, colour, classes, ours, theirs):
        nonlocal worst
        off = np.abs(ours - theirs).max()
        worst = max(worst, off)
        print(
            f"{masks}, {'mean' if colour is None else colour}, classes {classes.tolist()}: "
            f"attributions from {theirs.min():+.4f} to {theirs.max():+.4f}, largest difference {off:.1e}"
        )

    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder, "picture.png")
        Image.fromarray(rgb).save(picture)
        for window, stride, colour in SETTINGS:
            assert all((INPUT_SIDE - w) % s == 0 for w, s in zip(window, stride)), "Captum adds windows"
            sizes = ["--mask-size", "{}x{}".format(*window), "--stride", "{}x{}".format(*stride)]
            classes, ours = occlude(options, picture, [*sizes, "--mask-clipping", "off"], colour)
            windows = {"sliding_window_shapes": (3, *window), "strides": (3, *stride)}
            theirs = captum(weights, data, classes, Occlusion, colour, **windows)
            compare(f"window {window}, stride {stride}", colour, classes, ours, theirs)
        for count, colour in ((20, None), (80, (255.0, 0.0, 127.5))):
            numbers = slic(rgb, count, start_label=0)
            file = Path(folder, "segments.png")
            Image.fromarray(numbers.astype(np.uint8)).save(file)
            classes, ours = occlude(options, picture, ["--segments", file], colour)
            masks = {"feature_mask": torch.from_numpy(numbers)[None, None]}
            theirs = captum(weights, data, classes, FeatureAblation, colour, **masks)
            compare(f"{numbers.max() + 1} segments", colour, classes, ours, theirs)
    if worst > TOLERANCE:
        raise SystemExit(f"differs from the attributions of Captum {version('captum')} by more than {TOLERANCE}")
    print(f"agrees with the attributions of Captum {version('captum')}")


if __name__ == "__main__":
    main()
