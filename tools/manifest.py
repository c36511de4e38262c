#!/usr/bin/env python3
"""Writes weights/manifest.json: what the weights file must hold, with a SHA-256 for it and for each tensor.

    python3 tools/manifest.py ../shared/weights/bvlc_googlenet.safetensors weights/builtin.safetensors > weights/manifest.json

Needs only the standard library. A tensor's SHA-256 is that of its raw bytes (little-endian f32, C order), so it
does not depend on how the tensors are packed into a file.
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

    # By hand rather than with `indent`, so that a tensor is a line.
    rows = ",\n".join(
        f'    {{"name": {json.dumps(name)}, "shape": {json.dumps(shape)}, "sha256": "{digest}"}}'
        for name, shape, digest in tensors
    )
    print("{")
    print(f'  "file": {json.dumps(path.name)},')
    print(f'  "size": {len(data)},')
    print(f'  "sha256": "{hashlib.sha256(data).hexdigest()}",')
    print(f'  "origin": {json.dumps(ORIGIN)},')
    print(f'  "licence": {json.dumps(LICENCE)},')
    print('  "dtype": "F32",')
    # In the file's order: the converter writes it back, and then the whole file has the SHA-256 above.
    print(f'  "metadata": {json.dumps(metadata)},')
    print(f'  "builtin": {json.dumps(builtin_facts)},')
    print(f'  "tensors": [\n{rows}\n  ]')
    print("}")


if __name__ == "__main__":
    main()
