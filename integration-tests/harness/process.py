"""A process that a test started: its output, its end."""

import contextlib
import os
import signal
import subprocess

from .peers import peer
from .poll import wait_for

BARE_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def launch_line(argv, cgroup=None, netns=None, hosts=None, user=None):
    """The command that puts argv in its place (peers/launch.c)."""
    line = [peer("launch"), "--parent", str(os.getpid())]
    for option, value in (("--cgroup", cgroup), ("--netns", netns), ("--hosts", hosts), ("--user", user)):
        if value:
            line += [option, value]
    return [*line, "--", *map(str, argv)]


class Process:
    """Runs in the background, output in a file."""

    def __init__(self, argv, log_path, env=None, cwd=None, stdin=subprocess.DEVNULL, **place):
        self.log_path = log_path
        self.argv = argv
        with open(log_path, "ab") as log:
            self.popen = subprocess.Popen(
                launch_line(argv, **place),
                stdin=stdin,
                stdout=log,
                stderr=log,
                cwd=cwd,
                env={**BARE_ENVIRONMENT, **(env or {})},
            )
        self.pid = self.popen.pid

    def log(self):
        if not os.path.exists(self.log_path):  # the run is over
            return ""
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def is_running(self):
        return self.popen.poll() is None

    def wait(self, seconds=30):
        """Exit status; raises with the log when it does not end."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"{self.argv[0]} still runs after {seconds} s:\n{self.log()[-2000:]}") from late

    def send(self, number):
        with contextlib.suppress(ProcessLookupError):
            self.popen.send_signal(number)

    def stop(self, number=signal.SIGTERM, seconds=5):
        """Asks, then insists. Exit status."""
        if self.is_running():
            self.send(number)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        return self.popen.wait()

    def wait_log(self, text, seconds=20):
        """Until the text is in the output."""

        def seen():
            if text in self.log():
                return True
            assert self.is_running(), f"{self.argv[0]} ended: {self.log()[-2000:]}"
            return False

        wait_for(seen, f"{text!r} in the output of {self.argv[0]}", seconds)
