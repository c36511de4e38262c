#!/usr/bin/env python3
"""Converts the published bvlc_googlenet.caffemodel into the safetensors file that `occlude` reads.

    python3 tools/convert_caffemodel.py bvlc_googlenet.caffemodel weights/bvlc_googlenet.safetensors

Needs only the standard library: a .caffemodel is a protocol buffer, and the few fields that matter here are
read from the wire format. Every tensor is checked against the SHA-256 in weights/manifest.json before anything is
written; the auxiliary classifiers (loss1, loss2), which serve only training, are left out.
"""

import hashlib
import json
import os
import struct
import sys
from math import prod
from pathlib import Path

MANIFEST = Path(__file__).resolve().parent.parent / "weights" / "manifest.json"

# Field numbers of caffe.proto. A network holds its layers in `layer` or, in files as old as this one, in `layers`.
NET_LAYERS_V1, NET_LAYER = 2, 100
LAYER_FIELDS = {NET_LAYERS_V1: (4, 6), NET_LAYER: (1, 7)}  # the numbers of (name, blobs)
BLOB_DATA = 5


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """The (number, wire type, value) of each field of a message; value is an int or a memoryview."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = varint(data, at)
        else:
            if wire == 2:
                size, at = varint(data, at)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise ValueError(f"wire type {wire} at byte {at}")
            if at + size > len(data):
                raise ValueError(f"a field of {size} bytes runs past the end")
            value, at = data[at : at + size], at + size
        yield number, wire, value


def layers(net):
    """The (name, [raw little-endian f32 bytes of each blob]) of each layer with weights."""
    for number, wire, layer in fields(net):
        if number not in LAYER_FIELDS or wire != 2:
            continue
        name_field, blobs_field = LAYER_FIELDS[number]
        name, blobs = "", []
        for number, wire, value in fields(layer):
            if wire != 2:
                continue
            if number == name_field:
                name = bytes(value).decode()
            elif number == blobs_field:
                # Packed (one field) or not (one field a value): the bytes are the same.
                blobs.append(b"".join(bytes(v) for n, _, v in fields(value) if n == BLOB_DATA))
        if blobs:
            yield name, blobs


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: convert_caffemodel.py bvlc_googlenet.caffemodel OUT.safetensors")
    source, target = map(Path, sys.argv[1:])
    manifest = json.loads(MANIFEST.read_text())
    data = source.read_bytes()
    sha1 = hashlib.sha1(data).hexdigest()
    if sha1 != manifest["origin"]["sha1"]:
        print(f"{source}: SHA-1 {sha1}, the published file's is {manifest['origin']['sha1']}", file=sys.stderr)

    found = {}
    try:
        for name, blobs in layers(memoryview(data)):
            found.update((f"{name}.{part}", blob) for part, blob in zip(("weight", "bias"), blobs))
    except (IndexError, ValueError) as error:
        sys.exit(f"{source}: not a whole .caffemodel: {error}")

    header, offset = {"__metadata__": manifest["metadata"]}, 0
    for tensor in manifest["tensors"]:
        name, size = tensor["name"], 4 * prod(tensor["shape"])
        if name not in found:
            sys.exit(f"{source}: has no {name}: not the BVLC GoogLeNet")
        if len(found[name]) != size:
            sys.exit(f"{source}: {name} has {len(found[name])} bytes, expected {size} (shape {tensor['shape']})")
        if hashlib.sha256(found[name]).hexdigest() != tensor["sha256"]:
            sys.exit(f"{source}: {name} does not have the SHA-256 of {MANIFEST.name}")
        header[name] = {"dtype": "F32", "shape": tensor["shape"], "data_offsets": [offset, offset + size]}
        offset += size

    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    partial = target.with_name(target.name + ".partial")
    with open(partial, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in manifest["tensors"]:
            file.write(found[tensor["name"]])
    os.replace(partial, target)
    same = hashlib.sha256(target.read_bytes()).hexdigest() == manifest["sha256"]
    print(f"{target}: {len(manifest['tensors'])} tensors, all as in {MANIFEST.name}; "
          f"the file's own SHA-256 {'is' if same else 'is not'} the manifest's")


if __name__ == "__main__":
    main()
