"""What the tests share. They run against the installed package: `pytest python/tests`."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import occlude

ROOT = Path(__file__).parents[2]
PHOTOGRAPH = ROOT / "tests/data/chelsea.png"
# A sweep of 20 positions.
SMALL = {"mask_size": (80, 60), "stride": (56, 50)}


@pytest.fixture(scope="session")
def net():
    return occlude.GoogLeNet("builtin")


@pytest.fixture(scope="session")
def rgb():
    """The pixels of the photograph."""
    return occlude.GoogLeNet("builtin").explain(PHOTOGRAPH, stride=224, progress=False).photograph


@pytest.fixture(scope="session")
def small(net):
    """A small sweep for two classes."""
    return net.explain(PHOTOGRAPH, classes="top2", **SMALL, progress=False)


def command(*words, **options):
    """Runs the command of the installed package with the built-in network."""
    line = [sys.executable, "-m", "occlude", *map(str, words), "--weights", "builtin"]
    return subprocess.run(line, capture_output=True, text=True, **options)


def printed(*words):
    """The JSON that the command prints."""
    done = command(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def arrays(folder, *words):
    """The arrays that the command writes."""
    done = command("explain", PHOTOGRAPH, *words, "--arrays", "npz", "--out", folder)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "maps.npz") as found:
        return dict(found)
