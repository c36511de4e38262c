"""The command `occlude`, as `python -m occlude` and by its own name."""

import signal
import sys
from typing import NoReturn

from ._occlude import main as run


def main() -> NoReturn:
    # The command has handlers of its own; Python's would raise KeyboardInterrupt after its end.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(run(["occlude", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
