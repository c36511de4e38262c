"""The options of a call as words of the command line, which the command's own definition reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional

import numpy as np

# The sign between the parts of a value. Options that are not here are given once for each value.
_JOINED = {"mask_size": "x", "stride": "x", "grid": "x", "mask_value": ",", "region": ",", "show": ",", "arrays": ","}
# The sign between the parts of each value of an option that may be given several times.
_JOINED_EACH = {"robust_size": "x", "robust_fill": ","}
# Options whose list may be empty.
_OPTIONAL = {"activation", "arrays"}
# Options with the values on and off, and options without a value.
_SWITCHES = {"mask_clipping", "mark", "transform_input"}
_FLAGS = {"exhaustive", "faithfulness", "inverse", "robust", "upsampled"}


def _text(value: Any, sign: Optional[str] = None) -> str:
    if sign is not None and not isinstance(value, str) and isinstance(value, Iterable):
        return sign.join(map(_text, value))
    # Numbers of NumPy become those of Python.
    return str(value.item() if hasattr(value, "item") else value)


def words(**options: Any) -> list[str]:
    """`mask_size=(30, 12)` becomes `--mask-size=30x12`. An option that is None is left out."""
    found = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, (bool, np.bool_)):
            if name in _SWITCHES:
                found.append(f"{option}={'on' if value else 'off'}")
            elif name not in _FLAGS:
                raise TypeError(f"{name}={value} is not possible: expected a value, not a truth value")
            elif value:
                found.append(option)
        elif value is not None:
            parts = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
            texts = [_text(part, _JOINED_EACH.get(name)) for part in parts]
            if not texts and name in _OPTIONAL:
                continue
            texts = [_JOINED[name].join(texts)] if name in _JOINED else texts or [""]
            found += [f"{option}={text}" for text in texts]
    return found
