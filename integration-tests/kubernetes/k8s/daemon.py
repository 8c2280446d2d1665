"""A long-running program of the cluster, its output in a file."""

import signal
import subprocess

TAIL_BYTES = 3000


class Daemon:
    def __init__(self, name, command, log_path, env):
        self.name = name
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

    def tail(self):
        with open(self.log_path, "rb") as log:
            return log.read()[-TAIL_BYTES:].decode(errors="replace")

    def check(self):
        """Raises with the log's end when it no longer runs."""
        status = self.popen.poll()
        assert status is None, f"{self.name} ended with {status}:\n{self.tail()}"

    def send(self, number):
        self.popen.send_signal(number)

    def kill(self):
        self.send(signal.SIGKILL)
        self.popen.wait()
