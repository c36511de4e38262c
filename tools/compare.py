#!/usr/bin/env python3
"""Times occlude and its alternatives on this machine, alternately in one run.

    compare.py target/release/occlude --weights ../shared/weights/bvlc_googlenet.safetensors [--image IMAGE]
               [--threads 2] [--rounds 7] [--torch]

Every engine runs the same network on the same picture: one forward pass with 1 thread and with
--threads, and two occlusion sweeps. The other engines run a sweep in the usual way, as a loop over
batches of 16 masked pictures. In every round each engine runs each job once, so that a slow minute
of the machine affects all engines. The times include the masking of the pictures, but not loading
and compiling. The comparison fails if the class scores of two engines differ by more than 1e-4. It
prints medians as a Markdown table. Its last column is the share of the processors' time that a host
machine took during the job, by /proc/stat (- elsewhere): an engine whose threads wait for each other
loses more than that, so figures with more than a few percent say little.

--torch adds PyTorch, with the same loop and with Captum's Occlusion. Captum's windows begin in the
picture's corner, so there are fewer of them. Its seconds are scaled to the others' number of
windows, and its scores are not compared.

Install with: pip install -r requirements.txt (torch and captum only for --torch)
"""
import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino

from export_onnx import build, load
from network import INPUT_SIDE
from occlusion import BATCH, grid, masked_batches, network_input, open_picture

SWEEPS = {"mask 45, stride 22": (45, 22), "mask 15, stride 10": (15, 10)}
AGREEMENT = 1e-4
# The worker threads of an engine may spin for some time after its run.
PAUSE_SECONDS = 0.1
CHELSEA = Path(__file__).parent.parent / "tests/data/chelsea.png"


class OnnxRuntime:
    title = f"ONNX Runtime {version('onnxruntime')}"

    def __init__(self, model, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(self, batch):
        return self.session.run(None, {"data": batch})[0]


class OpenVino:
    title = f"OpenVINO {version('openvino')}"

    def __init__(self, model, threads):
        # Requests f32 explicitly. On processors with bf16 the default is bf16, whose scores differ
        # by more than AGREEMENT.
        config = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        core = openvino.Core()
        self.requests = {}
        for size in (1, BATCH):
            network = core.read_model(model)
            network.reshape([size, *network.input(0).partial_shape[1:]])
            self.requests[size] = core.compile_model(network, "CPU", config).create_infer_request()

    def run(self, batch):
        size = 1 if len(batch) == 1 else BATCH
        padded = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
        return self.requests[size].infer({0: padded})[0][: len(batch)]


class PyTorch:
    def __init__(self, weights, threads):
        import torch

        self.title = f"PyTorch {torch.__version__}"
        self.torch, self.threads = torch, threads
        self.weights = {name: torch.from_numpy(tensor) for name, tensor in weights.items()}

    def run(self, batch):
        from reference import probabilities

        self.torch.set_num_threads(self.threads)
        with self.torch.inference_mode():
            return probabilities(self.weights, self.torch.from_numpy(batch)).numpy()


class Loop:
    """An engine that classifies batches, and the jobs as loops over these batches. A job returns
    its seconds and the scores of `classes`, [class][position]."""

    def __init__(self, engine, data, classes):
        self.title, self.engine, self.data, self.classes = engine.title, engine, data, classes

    def forward(self):
        start = time.perf_counter()
        scores = self.engine.run(self.data[None])
        return time.perf_counter() - start, scores[:, self.classes].T

    def sweep(self, mask, stride):
        start = time.perf_counter()
        value = self.data.mean(axis=(1, 2), dtype=np.float64)
        batches = masked_batches(self.data, (mask, mask), (stride, stride), value)
        scores = np.concatenate([self.engine.run(batch) for batch in batches])
        return time.perf_counter() - start, scores[:, self.classes].T


class Captum:
    """Captum's Occlusion on PyTorch, which computes the map of one class per sweep."""

    def __init__(self, engine, data, classes):
        self.title = f"Captum {version('captum')}"
        self.engine, self.data, self.classes = engine, data, classes

    def forward(self):
        return None

    def sweep(self, mask, stride):
        from captum.attr import Occlusion
        from reference import probabilities

        torch = self.engine.torch
        torch.set_num_threads(self.engine.threads)
        start = time.perf_counter()
        with torch.inference_mode():
            value = self.data.mean(axis=(1, 2), keepdims=True, dtype=np.float64).astype(np.float32)
            Occlusion(lambda batch: probabilities(self.engine.weights, batch)).attribute(
                torch.from_numpy(self.data[None]),
                sliding_window_shapes=(3, mask, mask),
                strides=(3, stride, stride),
                baselines=torch.from_numpy(value[None]).expand(1, *self.data.shape),
                target=int(self.classes[0]),
                perturbations_per_eval=BATCH,
            )
        elapsed = time.perf_counter() - start
        windows = math.ceil((INPUT_SIDE - mask) / stride) + 1
        return elapsed * np.prod(grid((stride, stride))) / windows**2, None


class Occlude:
    """The command, timed by its own clock, which excludes loading, as for the other engines."""

    def __init__(self, binary, weights, image, threads, classes):
        self.title = "occlude"
        self.binary, self.image, self.threads = binary, image, threads
        self.environment = os.environ | {"OCCLUDE_WEIGHTS": str(weights)}
        self.classes = ",".join(map(str, classes))

    def command(self, *arguments):
        done = subprocess.run(
            [self.binary, *map(str, arguments)], env=self.environment, check=True, stdout=subprocess.PIPE
        )
        return json.loads(done.stdout)

    def forward(self):
        # Five passes after one warm-up pass, the same number as for the other engines. The command
        # reports the median pass. The scores come from `classify`, which runs the same pass.
        profile = self.command("profile", self.image, "--threads", self.threads, "--runs", 5, "--json")
        top = self.command("classify", self.image, "--top", 1000, "--json")
        probability = {c["index"]: c["probability"] for c in top["classes"]}
        return profile["elapsed_seconds"], np.array([[probability[c]] for c in map(int, self.classes.split(","))])

    def sweep(self, mask, stride):
        with tempfile.TemporaryDirectory() as directory:
            options = ("--mask-size", mask, "--stride", stride, "--classes", self.classes, "--threads", self.threads)
            result = self.command("explain", self.image, *options, "--out", directory, "--json")
        # The command returns the classes in the requested order.
        scores = np.array(result["scores"], np.float32)
        return result["elapsed_seconds"], scores.reshape(len(scores), -1)


def jobs(engines_by_threads):
    """The rows of the table: (description, threads, {title: job})."""
    for threads, engines in engines_by_threads.items():
        yield "forward pass", threads, {engine.title: engine.forward for engine in engines}
    threads, engines = max(engines_by_threads.items())
    for name, (mask, stride) in SWEEPS.items():
        positions = int(np.prod(grid((stride, stride))))
        tasks = {engine.title: lambda e=engine, m=mask, s=stride: e.sweep(m, s) for engine in engines}
        yield f"sweep, {name}: {positions} positions", threads, tasks


def processor_time():
    """The time in which the processors worked for this machine, and that which its host took, in ticks
    since the start. None where the system does not say."""
    try:
        ticks = list(map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]))
        user, nice, system, _, _, interrupts, soft_interrupts, stolen = ticks[:8]
    except (OSError, ValueError):
        return None
    return np.array([user + nice + system + interrupts + soft_interrupts, stolen])


def measure(rows, rounds):
    """The median seconds, [row][title], with None if an engine has no figure; the share of the time that
    the host took, [row], with None if the system does not say; and the largest difference of scores."""
    seconds = [{title: [] for title in tasks} for _, _, tasks in rows]
    ticks = [np.zeros(2) for _ in rows]
    disagreement = 0.0
    for turn in range(rounds + 1):
        for row, (description, _, tasks) in enumerate(rows):
            expected = None
            for title, task in tasks.items():
                time.sleep(PAUSE_SECONDS)
                before = processor_time()
                outcome = task()
                if before is not None and turn > 0:
                    ticks[row] += processor_time() - before
                if outcome is None:
                    continue
                elapsed, scores = outcome
                if scores is not None:
                    expected = scores if expected is None else expected
                    difference = float(np.abs(scores - expected).max())
                    if not difference <= AGREEMENT:
                        raise SystemExit(f"the scores of {title} differ by {difference:.2g}: {description}")
                    disagreement = max(disagreement, difference)
                if turn > 0:  # The first round warms caches and allocators.
                    seconds[row][title].append(elapsed)
    medians = [{t: statistics.median(v) if v else None for t, v in row.items()} for row in seconds]
    shares = [stolen / (worked + stolen) if worked > 0 else None for worked, stolen in ticks]
    return medians, shares, disagreement


def time_text(seconds):
    if seconds is None:
        return "-"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def print_table(rows, medians, taken):
    titles = list(rows[0][2])
    print("| job | threads | " + " | ".join(titles) + " | best other / occlude | taken by the host |")
    print("|---|---|" + "---|" * (len(titles) + 2))
    for (description, threads, _), row, share in zip(rows, medians, taken):
        own = row["occlude"]
        best = min(value for title, value in row.items() if title != "occlude" and value is not None)
        ratio = "-" if own is None else f"{best / own:.2f}"
        host = "-" if share is None else f"{share:.0%}"
        print(f"| {description} | {threads} | " + " | ".join(map(time_text, row.values())) + f" | {ratio} | {host} |")


def processor():
    """The processor's name according to the system."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", help="the occlude command")
    parser.add_argument("--weights", required=True, help="bvlc_googlenet.safetensors")
    parser.add_argument("--image", default=CHELSEA)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--torch", action="store_true", help="also time PyTorch")
    options = parser.parse_args()

    weights = load(options.weights)
    data = network_input(open_picture(options.image)).astype(np.float32)
    with tempfile.TemporaryDirectory() as directory:
        model = str(Path(directory) / "googlenet.onnx")
        onnx.save(build(weights), model)
        engines = {}
        for threads in sorted({1, options.threads}):
            others = [OnnxRuntime(model, threads), OpenVino(model, threads)]
            if options.torch:
                others.append(PyTorch(weights, threads))
            classes = others[0].run(data[None])[0].argsort()[::-1][:3]
            own = Occlude(options.binary, options.weights, options.image, threads, classes)
            loops = [Loop(engine, data, classes) for engine in others]
            captum = [Captum(others[-1], data, classes)] if options.torch else []
            engines[threads] = [*loops, *captum, own]
    rows = list(jobs(engines))
    medians, taken, disagreement = measure(rows, options.rounds)
    print(f"{processor()}, {os.cpu_count()} processors, {Path(options.image).name}, medians of {options.rounds} rounds;")
    print(f"class scores agree within {disagreement:.1g}.\n")
    print_table(rows, medians, taken)


if __name__ == "__main__":
    main()
