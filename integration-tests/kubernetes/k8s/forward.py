"""kubectl port-forward, as long as a test needs it."""

import contextlib
import http.client
import json
import re
import socket

from harness.poll import wait_for

from .daemon import Daemon

FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


@contextlib.contextmanager
def forwarded(cluster, namespace, target, port, log_path):
    """The port at the administrator's own 127.0.0.1 that leads to that port of target, pod/NAME or service/NAME."""
    line = [f"{cluster.programs}/kubectl", "-n", namespace, "port-forward", target, f":{port}"]
    forward = Daemon("port-forward", cluster.control.command(line), log_path, cluster.environment())
    try:
        wait_for(lambda: forward.check() or FORWARDING.search(forward.tail()), "the forwarded port")
        yield int(FORWARDING.search(forward.tail())[1])
    finally:
        forward.kill()


def get(cluster, port, path="/", times=1):
    """What the other side heard of each request of one connection to the forwarded port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.sock = cluster.from_here(lambda: socket.create_connection(("127.0.0.1", port), 10))
    heard = []
    for _ in range(times):
        connection.request("GET", path)
        heard.append(json.loads(connection.getresponse().read()))
    connection.close()
    return heard
