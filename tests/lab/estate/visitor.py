"""A visitor outside AWS who asks again and again: `python visitor.py ADDRESS PATH COOKIE`.

A line for each good answer: when it came (CLOCK_MONOTONIC, seconds). Standard library only: it runs in another network.
"""

from __future__ import annotations

import http.client
import sys
import time

PAUSE_S = 0.05
TIMEOUT_S = 0.5


def ask(address: str, path: str, cookie: str) -> bool:
    """One request on a connection of its own; whether it was answered with 200."""
    visit = http.client.HTTPConnection(address, 80, timeout=TIMEOUT_S)
    try:
        visit.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        answer = visit.getresponse()
        answer.read()
        return answer.status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        visit.close()


if __name__ == "__main__":
    while True:
        if ask(*sys.argv[1:4]):
            print(time.monotonic(), flush=True)
        time.sleep(PAUSE_S)
