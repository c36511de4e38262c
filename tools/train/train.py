#!/usr/bin/env python3
"""Trains the built-in network.

    train.py --out net.pt [--data DIR] [--init FILE]

Reads the files that `unpack.py` and `teacher.py` write. There are two losses: the cross entropy
with the label, and the divergence of a second head's answers from the published network's answers
to the same view of the photograph (distillation, Hinton et al. 2015). The second head is not kept.
The training uses stochastic gradient descent, a cosine schedule and averaged weights, and begins
with small pictures. All random choices are a function of the step, and the script writes a
checkpoint every few minutes: a run that was stopped continues from there.
"""
import argparse
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

from net import Net

BATCH = 64
RATE = 0.08
DECAY = 2e-4
TEMPERATURE = 2.0
# Each stage is a side of the square in pixels, and the number of photographs drawn at that side.
STAGES = [(112, 400_000), (160, 240_000), (224, 28_000)]


class Batches(Dataset):
    """The batches of the run by their step: pictures, labels and the teacher's logits."""

    def __init__(self, data, stages):
        self.pix = np.load(data / "pix.npy", mmap_mode="r")
        self.views = np.load(data / "views.npy")
        self.teacher = np.load(data / "teacher.npy", mmap_mode="r")
        meta = np.load(data / "meta.npy")
        self.labels = meta[:, 0]
        self.train = np.flatnonzero(meta[:, 3] == 0)
        labels = self.labels[self.train]
        # Classes are drawn in proportion to the square root of their number of photographs.
        weight = np.bincount(labels)[labels] ** -0.5
        self.weight = weight / weight.sum()
        # Cats and dogs, which are the hardest to tell apart, are drawn twice as often in all stages
        # except the first.
        weight[labels < 2] *= 2
        self.weight_of_large = weight / weight.sum()
        self.sides = np.repeat([side for side, _ in stages], [draws // BATCH for _, draws in stages])

    def __len__(self):
        return len(self.sides)

    def __getitem__(self, step):
        rng = np.random.default_rng((1, step))
        torch.manual_seed(step)
        weight = self.weight if self.sides[step] == self.sides[0] else self.weight_of_large
        rows = np.sort(rng.choice(self.train, BATCH, p=weight))
        views = rng.integers(0, self.views.shape[1], BATCH)
        # Every second drawn view without an answer of the teacher stays in the batch, without an
        # answer. The others are replaced by view 0.
        unanswered = ~self.teacher[rows, views, :8].any(1) & (rng.random(BATCH) < 0.5)
        views[unanswered] = 0
        logits = torch.from_numpy(self.teacher[rows, views].astype(np.float32))
        x = augment(torch.from_numpy(self.pix[rows]), self.views[rows, views], int(self.sides[step]))
        return x, torch.from_numpy(self.labels[rows]).long(), logits


def augment(pixels, view, side):
    """Converts u8 [n][h][w][3] to [n][3][side][side] in -1..1. The result is most of the view,
    mirrored and with changed colours. Some pictures become grey, and some are made small and large
    again, so that sharpness does not indicate the class. In some pictures the mean colour covers a
    square, so that masks are familiar to the network."""
    n = len(pixels)
    x = pixels.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
    cx, cy, w, h = torch.from_numpy(view).T
    area = torch.empty(n).uniform_(0.65, 1)
    ratio = torch.exp(torch.empty(n).uniform_(-0.15, 0.15))
    width, height = w * (area * ratio).sqrt().clamp(max=1), h * (area / ratio).sqrt().clamp(max=1)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 2] = cx + (torch.rand(n) * 2 - 1) * (w - width)
    theta[:, 1, 2] = cy + (torch.rand(n) * 2 - 1) * (h - height)
    theta[:, 0, 0] = width * torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    theta[:, 1, 1] = height
    grid = F.affine_grid(theta, (n, 3, side, side), align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    low = torch.rand(n) < 0.25
    if low.any():
        small = int(torch.randint(48, 80, ()) * side / 112)
        small = F.interpolate(x[low], size=(small, small), mode="bilinear", antialias=True)
        x[low] = F.interpolate(small, size=(side, side), mode="bilinear")
    mean, grey = x.mean((1, 2, 3), keepdim=True), x.mean(1, keepdim=True)
    saturation = torch.empty(n, 1, 1, 1).uniform_(0.6, 1.4)
    saturation[torch.rand(n) < 0.08] = 0
    contrast, brightness = torch.empty(n, 1, 1, 1).uniform_(0.6, 1.4), torch.empty(n, 1, 1, 1).uniform_(0.7, 1.3)
    # Each change takes one multiplication and one addition: grey + (x - grey) * saturation, then
    # the same about the mean.
    x = (x * (saturation * contrast * brightness)).add_(
        (grey * (1 - saturation) * contrast + mean * (1 - contrast)) * brightness
    )
    for i in torch.nonzero(torch.rand(n) < 0.2).flatten().tolist():
        size = int(side * float(torch.empty(()).uniform_(0.15, 0.4)))
        top, left = torch.randint(0, side - size + 1, (2,)).tolist()
        x[i, :, top : top + size, left : left + size] = x[i].mean((1, 2))[:, None, None]
    return x.clamp_(0, 255).div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)


def evaluate(state, width, data, side, limit=60):
    """The shares of correct answers on at most `limit` validation photographs per class: the mean
    over classes, cat or dog, each class, and each source."""
    pix, meta = np.load(data / "pix.npy", mmap_mode="r"), np.load(data / "meta.npy")
    names = (data / "classes.txt").read_text().split()
    val = np.flatnonzero(meta[:, 3] == 1)
    val = np.concatenate([val[meta[val, 0] == c][:limit] for c in range(len(names))])
    net = Net(len(names), width)
    net.load_state_dict({k: v for k, v in state.items() if not k.startswith("answers.")})
    net.eval().to(memory_format=torch.channels_last)
    logits = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for i in range(0, len(val), 64):
            x = torch.from_numpy(pix[val[i : i + 64]]).permute(0, 3, 1, 2).float()
            x = F.interpolate(x, size=(side, side), mode="bicubic", antialias=side < x.shape[2]).clamp(0, 255) / 127.5 - 1
            logits.append(net(x.contiguous(memory_format=torch.channels_last)).float())
    logits, labels = torch.cat(logits), torch.from_numpy(meta[val, 0]).long()
    hit = (logits.argmax(1) == labels).float()
    by_class = {name: hit[labels == c].mean().item() for c, name in enumerate(names)}
    sources = torch.from_numpy(meta[val, 1])
    by_source = {int(s): hit[sources == s].mean().item() for s in sources.unique()}
    pair = labels < 2
    return (
        sum(by_class.values()) / len(names),
        (logits[pair, :2].argmax(1) == labels[pair]).float().mean().item(),
        by_class,
        by_source,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="data", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--init", help="start with the tensors of this file")
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--stages", help="SIDE:DRAWS,SIDE:DRAWS,.. instead of the default stages")
    parser.add_argument("--rate", type=float, default=RATE, help="the highest; lower to continue from a trained network")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    stages = [tuple(map(int, s.split(":"))) for s in args.stages.split(",")] if args.stages else STAGES
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)

    batches = Batches(args.data, stages)
    names = (args.data / "classes.txt").read_text().split()
    net = Net(len(names), args.width, answers=1000).to(memory_format=torch.channels_last)
    if args.init:
        net.load_state_dict(torch.load(args.init), strict=False)
    decayed = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0}]
    optimiser = torch.optim.SGD(groups, args.rate, momentum=0.9, nesterov=True)
    average = {k: v.clone() for k, v in net.state_dict().items()}
    checkpoint = args.out.with_name(args.out.name + ".checkpoint")
    step = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        step = saved["step"]
        net.load_state_dict(saved["net"])
        optimiser.load_state_dict(saved["optimiser"])
        average = saved["average"]

    floats = [k for k, v in average.items() if v.dtype.is_floating_point]
    start, first, losses = time.time(), step, None
    saved_at = start
    net.train()
    loader = DataLoader(batches, batch_size=None, sampler=range(step, len(batches)), num_workers=1, prefetch_factor=4)
    for x, labels, logits in loader:
        rate = args.rate * min(1, (step - first + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * step / len(batches)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16):
            features = net.features(x)
        features = net.drop(features.float())
        by_label = F.cross_entropy(net.fc(features), labels, label_smoothing=0.05)
        answered = logits.any(1)
        by_teacher = F.kl_div(
            F.log_softmax(net.answers(features[answered]) / TEMPERATURE, 1),
            F.log_softmax(logits[answered] / TEMPERATURE, 1),
            reduction="sum",
            log_target=True,
        ) / len(x)
        loss = by_label + by_teacher * TEMPERATURE
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        with torch.no_grad():
            own = net.state_dict()
            keep = min(0.998, (step + 1) / (step + 10))
            torch._foreach_lerp_([average[k] for k in floats], [own[k] for k in floats], 1 - keep)
        step += 1
        both = np.array([by_label.item(), by_teacher.item()])
        losses = both if losses is None else 0.99 * losses + 0.01 * both
        if step % 100 == 0:
            print(
                f"step {step} of {len(batches)}, side {x.shape[2]}, rate {rate:.4f}, losses {losses[0]:.3f} {losses[1]:.3f}, "
                f"{(step - first) * BATCH / (time.time() - start):.1f} per second",
                flush=True,
            )
        if time.time() - saved_at > 240 or step == len(batches):
            saved_at = time.time()
            state = {"step": step, "net": net.state_dict(), "optimiser": optimiser.state_dict(), "average": average}
            torch.save(state, checkpoint.with_suffix(".partial"))
            os.replace(checkpoint.with_suffix(".partial"), checkpoint)
        if step % 1000 == 0:
            mean, pair, _, _ = evaluate(average, args.width, args.data, x.shape[2], 20)
            print(f"step {step}: {mean:.3f} of each class, cat or dog {pair:.3f}", flush=True)
    mean, pair, by_class, by_source = evaluate(average, args.width, args.data, 224)
    print(f"{mean:.3f} of each class, cat or dog {pair:.3f}", by_class, by_source)
    torch.save({k: v for k, v in average.items() if not k.startswith("answers.")}, args.out)


if __name__ == "__main__":
    main()
