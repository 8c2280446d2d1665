#!/usr/bin/python3
"""Asks ADDRESS PORT over one connection every 2 ms until stdin ends, then prints for each request
when it began (monotonic clock, ns) and who answered."""

import http.client
import select
import sys
import time

PACE_S = 0.002


def main():
    connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=10)
    lines = []
    while not select.select([sys.stdin], [], [], PACE_S)[0]:
        began_ns = time.monotonic_ns()
        connection.request("GET", "/")
        response = connection.getresponse()
        lines.append(f"{began_ns} {response.status} {response.read().decode().strip() or '-'}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
