#!/usr/bin/env python3
"""Which part of a picture speaks for the most probable class? By the C interface, with nothing but NumPy.

    cargo rustc --release --lib --no-default-features --features rayon,capi --crate-type cdylib,staticlib
    python3 examples/python/explain.py target/release/libocclude.so weights/bvlc_googlenet.safetensors [PICTURE.ppm [STRIDE]]

The picture is a binary PPM (`convert cat.jpg cat.ppm`), or else rings and a saddle by formula.
"""
import os
import sys
from ctypes import CDLL, CFUNCTYPE, POINTER, byref, c_char_p, c_float, c_int, c_size_t, c_void_p

import numpy

SIDE = 224
PROGRESS = CFUNCTYPE(c_int, c_size_t, c_size_t, c_void_p)
FLOATS = numpy.ctypeslib.ndpointer(numpy.float32, flags="C")
PIXELS = numpy.ctypeslib.ndpointer(numpy.uint8, ndim=3)


def load(path):
    """The library, whose functions raise what went wrong."""
    library = CDLL(path)
    library.occlude_last_error.restype = c_char_p

    def checked(status, *_):
        if status:
            raise RuntimeError(library.occlude_last_error().decode())

    handle, out = c_void_p, POINTER(c_void_p)
    for name, arguments in {
        "network_load": [c_char_p, out],
        "image_from_rgb": [PIXELS, c_size_t, c_size_t, c_size_t, c_int, out],
        "options_new": [out],
        "options_stride": [handle, c_size_t, c_size_t],
        "explain": [handle, handle, handle, PROGRESS, c_void_p, handle, out],
        "maps_class": [handle, c_size_t, POINTER(c_size_t)],
        "maps_base_score": [handle, c_size_t, POINTER(c_float)],
        "maps_grid": [handle, POINTER(c_size_t)],
        "maps_mask_rect": [handle, c_size_t, c_size_t, POINTER(c_size_t)],
        "maps_map": [handle, c_size_t, FLOATS, c_size_t],
    }.items():
        function = getattr(library, f"occlude_{name}")
        function.argtypes, function.restype = arguments, checked
    library.occlude_label.argtypes, library.occlude_label.restype = [handle, c_size_t], c_char_p
    for name in ["network", "image", "options", "maps"]:
        free = getattr(library, f"occlude_{name}_free")
        free.argtypes, free.restype = [handle], None
    return library


def formula():
    y, x = numpy.mgrid[:SIDE, :SIDE]
    rgb = [(x**2 + y**2) // 64, ((x - 150) ** 2 + (y - 90) ** 2) // 37, (x ^ y) + (x // 32 + y // 32) % 2 * 24]
    return numpy.stack(rgb, axis=-1).astype(numpy.uint8)


def read_ppm(path):
    with open(path, "rb") as file:
        kind, width, height, levels, pixels = file.read().split(maxsplit=4) if False else _fields(file.read())
    return numpy.frombuffer(pixels, numpy.uint8).reshape(int(height), int(width), 3)


def show_progress(done, total, _):
    print(f"\r{done} of {total} positions", end="", file=sys.stderr)
    return 0
