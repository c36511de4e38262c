#!/usr/bin/env python3
"""Finds the part of a picture that is the strongest evidence for the most probable class. It needs only the C interface and NumPy.

    tools/install.sh                     (as root, or with PREFIX=$HOME/.local)
    python3 examples/python/explain.py libocclude.so builtin cat.jpg [STRIDE]

"builtin" is the network inside the library; a path names another one. A library elsewhere is named by its path.
"""
import os
import sys
from ctypes import CDLL, CFUNCTYPE, POINTER, byref, c_char_p, c_float, c_int, c_size_t, c_void_p

import numpy

SIDE = 224
STRETCH = 0
PROGRESS = CFUNCTYPE(c_int, c_size_t, c_size_t, c_void_p)
FLOATS = numpy.ctypeslib.ndpointer(numpy.float32, flags="C")


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
        "image_open": [c_char_p, c_int, out],
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


@PROGRESS
def show_progress(done, total, _):
    print(f"\r{done} of {total} positions", end="", file=sys.stderr)
    return 0


def main(path, weights, picture, stride="22"):
    library = load(path)
    network, image, options, maps = c_void_p(), c_void_p(), c_void_p(), c_void_p()
    library.occlude_network_load(os.fsencode(weights), byref(network))
    library.occlude_image_open(os.fsencode(picture), STRETCH, byref(image))
    library.occlude_options_new(byref(options))
    library.occlude_options_stride(options, int(stride), int(stride))
    library.occlude_explain(network, image, options, show_progress, None, None, byref(maps))
    print(file=sys.stderr)

    class_index, probability, grid, rect = c_size_t(), c_float(), (c_size_t * 2)(), (c_size_t * 4)()
    library.occlude_maps_class(maps, 0, byref(class_index))
    library.occlude_maps_base_score(maps, 0, byref(probability))
    library.occlude_maps_grid(maps, grid)
    drops = numpy.empty(tuple(grid), numpy.float32)
    library.occlude_maps_map(maps, 0, drops, drops.size)
    row, column = divmod(int(drops.argmax()), grid[1])
    library.occlude_maps_mask_rect(maps, row, column, rect)

    # Nine digits distinguish all floats.
    print(f"class {class_index.value}: {library.occlude_label(network, class_index).decode()}")
    print(f"probability {probability.value:.9g}")
    print(f"grid {grid[0]} x {grid[1]}")
    print(
        f"strongest drop {drops[row, column]:.9g}, "
        f"with rows {rect[0]} to {rect[2]} and columns {rect[1]} to {rect[3]} of {SIDE} covered"
    )
    library.occlude_maps_free(maps)
    library.occlude_options_free(options)
    library.occlude_image_free(image)
    library.occlude_network_free(network)


if __name__ == "__main__":
    if not 4 <= len(sys.argv) <= 5:
        sys.exit(f"usage: {sys.argv[0]} LIBRARY WEIGHTS PICTURE [STRIDE]")
    try:
        main(*sys.argv[1:])
    except (OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")
