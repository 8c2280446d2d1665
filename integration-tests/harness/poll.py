"""Waiting means asking again until a deadline; nothing here trusts a fixed pause."""

import time


class Timeout(AssertionError):
    """What was waited for did not happen in time."""


def wait_for(condition, what, seconds=10.0, every=0.01):
    """Returns the first true answer of condition(); raises Timeout that says what was missing."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Timeout(f"after {seconds} s still waiting for {what} (last answer: {answer!r})")
        time.sleep(every)
