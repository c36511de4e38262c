#!/usr/bin/env python3
"""Writes weights/manifest.json: the required contents of the weights file, with a SHA-256 for the
file and for each tensor.

    python3 tools/manifest.py ../shared/weights/bvlc_googlenet.safetensors weights/builtin.safetensors > weights/manifest.json

Needs only the standard library. The SHA-256 of a tensor covers its raw bytes (little-endian f32, C
order), so it does not depend on the layout of the tensors in a file.
"""

import hashlib
import json
import struct
import sys
from pathlib import Path

ORIGIN = {
    "network": "BVLC GoogLeNet",
    "file": "bvlc_googlenet.caffemodel",
    "url": "http://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel",
    "sha1": "405fc5acd08a3bb12de8ee5e23a96bec22f08204",
}

# The file that ORIGIN describes.
CAFFEMODEL = {
    "size": 53_533_754,
    "sha384": "c95413cd55c390f439ccc9842ec5953b31f85090d5f262e3093e38c78f378acdfb069fa28da2f49dbb8b9e5c8a816276",
}

# The ONNX model zoo's conversions of the file. Two of them are published under two numbers.
ONNX = {
    9: {"size": 28_020_232, "sha256": "bd979d99d10d9acf84c5a67252bcae4992bf4e1afdab046cb0ea370e6f01ee38"},
    12: {"size": 28_021_836, "sha256": "c99c507058eaf41de8723408fdda7db8325cb57f0a89f2ee07a716d6e963e14e"},
    7: {"size": 28_020_232, "sha256": "5725ccfd90845735ce5897faf7843c3f9b13acda3c4f3bff82cb21c9337c9de8"},
}
ONNX[6] = ONNX[9]
ONNX[3] = ONNX[7]


def zoo(number):
    name = f"googlenet-{number}"
    url = f"https://huggingface.co/onnxmodelzoo/{name}/resolve/main/{name}.onnx"
    return {"name": f"onnx-{number}", "url": url, **ONNX[number]}


# The download sources of `occlude weights fetch`, in this order. Plain http comes last.
SOURCES = [
    {
        "name": "openvino",
        "url": "https://storage.openvinotoolkit.org/repositories/open_model_zoo/public/2022.1/googlenet-v1/"
        "bvlc_googlenet.caffemodel",
        **CAFFEMODEL,
    },
    *(zoo(number) for number in ONNX),
    {"name": "berkeley", "url": ORIGIN["url"], **CAFFEMODEL},
    # Another network, which is downloaded only by its name. PyTorch publishes the first digits of
    # its SHA-256.
    {
        "name": "torchvision",
        "url": "https://download.pytorch.org/models/googlenet-1378be20.pth",
        "sha256": "1378be20",
        "file": "torchvision_googlenet.safetensors",
    },
]
LICENCE = "released for unrestricted use"
BUILTIN_LICENCE = "MIT OR Apache-2.0, as this program; weights/README.md has the terms of the photographs that it learned from"


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: manifest.py WEIGHTS.safetensors BUILTIN.safetensors > weights/manifest.json")
    path, builtin = map(Path, sys.argv[1:])
    data, builtin_data = path.read_bytes(), builtin.read_bytes()
    builtin_facts = {
        "file": builtin.name,
        "size": len(builtin_data),
        "sha256": hashlib.sha256(builtin_data).hexdigest(),
        "licence": BUILTIN_LICENCE,
    }
    (header_size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + header_size])
    metadata = header.pop("__metadata__", {})
    tensors = []
    for name, info in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        if info["dtype"] != "F32":
            sys.exit(f"{path}: {name} is {info['dtype']}, expected F32")
        start, end = (8 + header_size + offset for offset in info["data_offsets"])
        tensors.append((name, info["shape"], hashlib.sha256(data[start:end]).hexdigest()))

    # Formatted without `indent`, so that each source and each tensor takes one line.
    sources = ",\n".join(f"    {json.dumps(source)}" for source in SOURCES)
    rows = ",\n".join(
        f'    {{"name": {json.dumps(name)}, "shape": {json.dumps(shape)}, "sha256": "{digest}"}}'
        for name, shape, digest in tensors
    )
    print("{")
    print(f'  "file": {json.dumps(path.name)},')
    print(f'  "size": {len(data)},')
    print(f'  "sha256": "{hashlib.sha256(data).hexdigest()}",')
    print(f'  "origin": {json.dumps(ORIGIN)},')
    print(f'  "sources": [\n{sources}\n  ],')
    print(f'  "licence": {json.dumps(LICENCE)},')
    print('  "dtype": "F32",')
    # The metadata keep the file's order: the converter writes them back, and then the whole file
    # has the SHA-256 above.
    print(f'  "metadata": {json.dumps(metadata)},')
    print(f'  "builtin": {json.dumps(builtin_facts)},')
    print(f'  "tensors": [\n{rows}\n  ]')
    print("}")


if __name__ == "__main__":
    main()
