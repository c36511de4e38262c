"""GoogLeNet with torchvision's topology and module names, and a fraction of its width."""
import sys
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from network import INCEPTION as BLOCKS  # noqa: E402


def scaled(channels, width):
    """A layer's number of channels at this width: the nearest multiple of 8, with halves rounded
    up, and at least 8."""
    return max(8, int(channels * width / 8 + 0.5) * 8)


class Conv(nn.Module):
    def __init__(self, inputs, outputs, size, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    def __init__(self, inputs, channels):
        super().__init__()
        one, reduce3, three, reduce5, five, pool = channels
        self.branch1 = Conv(inputs, one, 1)
        self.branch2 = nn.Sequential(Conv(inputs, reduce3, 1), Conv(reduce3, three, 3, 1, 1))
        self.branch3 = nn.Sequential(Conv(inputs, reduce5, 1), Conv(reduce5, five, 3, 1, 1))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), Conv(inputs, pool, 1))
        self.outputs = one + three + five + pool

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class Net(nn.Module):
    """The network. `fc` computes the classes, and `answers` the teacher's 1000 classes, in training
    only."""

    def __init__(self, classes, width, dropout=0.1, answers=0):
        super().__init__()
        self.conv1 = Conv(3, scaled(64, width), 7, 2, 3)
        self.conv2 = Conv(scaled(64, width), scaled(64, width), 1)
        self.conv3 = Conv(scaled(64, width), scaled(192, width), 3, 1, 1)
        outputs = scaled(192, width)
        for name, channels in BLOCKS.items():
            block = Inception(outputs, [scaled(c, width) for c in channels])
            setattr(self, "inception" + name, block)
            outputs = block.outputs
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(outputs, classes)
        if answers:
            self.answers = nn.Linear(outputs, answers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x):
        """Computes the pooled features of [n][3][side][side], red first, in -1..1."""
        x = F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.conv3(self.conv2(x)), 3, 2, ceil_mode=True)
        for name in BLOCKS:
            if name == "4a":
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            if name == "5a":
                x = F.max_pool2d(x, 2, 2, ceil_mode=True)
            x = getattr(self, "inception" + name)(x)
        return x.mean((2, 3))

    def forward(self, x):
        return self.fc(self.drop(self.features(x)))
