"""The progress of a sweep."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable, Optional, Union

#: None: a bar in terminals and notebooks if tqdm is installed; True: a bar everywhere; False: none;
#: or a function that is called with the number of positions that are done, and of all.
Progress = Union[None, bool, Callable[[int, int], Any]]


@contextmanager
def listener(progress: Progress) -> Iterator[Optional[Callable[[int, int], Any]]]:
    """Yields the function that is told the progress."""
    if progress is False:
        yield None
        return
    if callable(progress):
        yield progress
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        if progress:
            raise
        yield None
        return
    # tqdm takes notebooks for files, which get no bar by default.
    wanted = bool(progress) or "ipykernel" in sys.modules or None
    with tqdm(unit=" positions", disable=None if wanted is None else False, delay=0.3, leave=False) as bar:

        def show(done: int, total: int) -> None:
            if total != bar.total or done < bar.n:
                bar.reset(total)
            bar.update(done - bar.n)

        yield show
