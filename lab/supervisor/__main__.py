"""The first process of the lab's PID namespace: `python -m lab.supervisor STATE MACHINE_NETWORK_FD ESTATE_PORT=FD...`.

It reaps orphans, and ends when its child, the supervisor, does; the kernel then ends everything else in the namespace.
It imports little, so that it takes little memory.
"""

from __future__ import annotations

import os
import signal
import sys


def init() -> int:
    """Forks the supervisor and waits for it; SIGTERM and SIGINT are passed on to it."""
    child = os.fork()
    if child == 0:
        from lab.supervisor.supervisor import main

        os._exit(main(sys.argv[1:]))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: os.kill(child, received))
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    sys.exit(init())
