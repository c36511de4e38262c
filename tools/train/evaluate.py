#!/usr/bin/env python3
"""Prints the share of validation photographs that the built-in network classifies correctly, as the
tables of `weights/README.md`.

    evaluate.py OCCLUDE BUILTIN.safetensors [--data DIR] [--side 224]

OCCLUDE is the command: the script measures the program that people run, on photographs in files.
All classes have the same weight in the means, independent of the number of their photographs.
"""
import argparse
import json
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("occlude")
    parser.add_argument("weights")
    parser.add_argument("--data", type=Path, default="data")
    args = parser.parse_args()
    pix, meta = np.load(args.data / "pix.npy", mmap_mode="r"), np.load(args.data / "meta.npy")
    classes = [name.replace("_", " ") for name in (args.data / "classes.txt").read_text().split("\n")[:-1]]
    sources = (args.data / "sources.txt").read_text().split()
    rows = np.flatnonzero(meta[:, 3] == 1)

    def classify(row):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "photograph.png"
            side = meta[row, 2]  # the original side
            Image.fromarray(pix[row]).resize((side, side), Image.Resampling.BICUBIC).save(file)
            command = [args.occlude, "classify", file, "--json", "--top", "5", "--weights", args.weights]
            out = subprocess.run(command, check=True, capture_output=True).stdout
        return [entry["label"] for entry in json.loads(out)["classes"]]

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(classify, rows))
    known = sorted({label for answer in answers for label in answer} & set(classes), key=classes.index)
    labels = np.array([classes[meta[row, 0]] for row in rows])
    first = np.array([answer[0] for answer in answers])
    five = np.array([label in answer for label, answer in zip(labels, answers)])

    print("| class | photographs | right | in the first five | taken most often for |\n|---|---|---|---|---|")
    means = []
    for name in known:
        of = labels == name
        right, top5 = (first[of] == name).mean(), five[of].mean()
        means.append((right, top5))
        wrong = first[of & (first != name)]
        names, counts = np.unique(wrong, return_counts=True)
        often = f"{names[counts.argmax()]} ({counts.max()})" if len(names) else ""
        print(f"| {name} | {of.sum()} | {100 * right:.0f} % | {100 * top5:.0f} % | {often} |")
    right, top5 = 100 * np.mean(means, 0)
    print(f"| mean over classes | | {right:.1f} % | {top5:.1f} % | |\n")
    pair = np.isin(labels, ("cat", "dog"))
    told = [next((label for label in answer if label in ("cat", "dog")), "") for answer in answers]
    print(f"cat or dog, by which of the two comes first: {100 * (np.array(told)[pair] == labels[pair]).mean():.1f} %\n")
    print("| source | photographs | right |\n|---|---|---|")
    for s, source in enumerate(sources):
        of = (meta[rows, 1] == s) & np.isin(labels, known)
        if of.any():
            print(f"| {source} | {of.sum()} | {100 * (first[of] == labels[of]).mean():.1f} % |")


if __name__ == "__main__":
    main()
