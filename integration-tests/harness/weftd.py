"""A weftd of one's own: private config, pins and socket; checked when it ends."""

import contextlib
import copy
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import yaml

from . import leftovers
from .metrics import Metrics
from .peers import REPOSITORY
from .poll import wait_for
from .process import BARE_ENVIRONMENT, Process

SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|LeakSanitizer")


def build_folder():
    """Where weftd and weft are: WEFT_BUILD, or build/ of the repository."""
    return os.path.abspath(os.environ.get("WEFT_BUILD") or os.path.join(REPOSITORY, "build"))


def is_sanitized():
    """Built with a sanitizer: slower, and its memory says nothing."""
    return os.path.basename(build_folder()) in ("asan", "tsan")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("weftd", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Weftd:
    drain_seconds = 5

    def __init__(self, unique, directory, config):
        """unique: weft-it-PID-…; config: services, pods and whatever else weft.yaml may hold."""
        self.unique = unique
        self.directory = directory
        self.pin_dir = f"{leftovers.PIN_ROOT}/{unique}"
        self.cgroup = f"{leftovers.cgroup_root()}/{unique}"
        self.socket = f"{directory}/weftd.sock"
        self.config_path = f"{directory}/weft.yaml"
        self.process = None
        self.starts = 0
        os.makedirs(directory, exist_ok=True)
        self.write_config(config)

    # ---- its life ----

    def write_config(self, config):
        """Adds what keeps this weftd apart from others; replaces the file in one step. When: see write_text."""
        config = copy.deepcopy(config)
        config.setdefault("admin", {}).setdefault("address", "")
        config["admin"]["socket"] = self.socket
        config.setdefault("bpf", {})["pin_dir"] = self.pin_dir
        config.setdefault("workers", 2)
        config.setdefault("timeouts", {}).setdefault("drain", f"{self.drain_seconds}s")
        self.config = config
        return self.write_text(yaml.safe_dump(config, sort_keys=False))

    def write_text(self, text):
        """Returns the moment before the file was there, by time.monotonic."""
        with open(self.config_path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        before = time.monotonic()
        os.rename(self.config_path + ".new", self.config_path)
        return before

    def start(self, ready=True, seconds=20, prefix=()):
        program = os.path.join(build_folder(), "weftd")
        assert os.path.exists(program), f"{program} is missing: run make first"
        os.makedirs(self.cgroup, exist_ok=True)
        self.starts += 1
        self.process = Process(
            [*prefix, program, "--config", self.config_path],
            f"{self.directory}/weftd-{self.starts}.log",
            env={"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1"},
            cgroup=self.cgroup,
        )
        if ready:
            self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=20):
        def is_ready():
            assert self.process.is_running(), f"weftd ended:\n{self.log()[-4000:]}"
            try:
                return self.admin("/ready", seconds=1)[0] == 200
            except OSError:
                return False

        wait_for(is_ready, "weftd to be ready", seconds)

    def log(self):
        return self.process.log() if self.process else ""

    def kill(self):
        """SIGKILL; the pins stay."""
        self.process.send(signal.SIGKILL)
        self.process.popen.wait()

    def terminate(self):
        """SIGTERM; returns the exit status, or fails when it overruns its drain limit."""
        self.process.send(signal.SIGTERM)
        return self.process.wait(self.drain_seconds + 5)

    def close(self):
        """Ends it and checks that it ended well and can be removed without a trace."""
        status = None
        try:
            if self.process and self.process.is_running():
                status = self.terminate()
        finally:
            if self.process and self.process.is_running():
                self.kill()
            log = "".join(self._logs())
            links = self.links()
            removed = self.cli("cleanup", "--pin-dir", self.pin_dir, check=False, socket=False)
            left = os.path.exists(self.pin_dir)
            shutil.rmtree(self.pin_dir, ignore_errors=True)
            leftovers.remove_cgroup(self.cgroup)
        assert not SANITIZER.search(log), f"a sanitizer spoke:\n{log[-8000:]}"
        assert status in (None, 0), f"weftd ended with {status}:\n{log[-4000:]}"
        assert removed.returncode == 0, f"weft cleanup: {removed.stdout}{removed.stderr}"
        assert not left, f"weft cleanup left {self.pin_dir}"
        alive = [link for link in links if link_lives(link)]
        assert not alive, f"links outlive weft cleanup: {alive}"

    def _logs(self):
        for number in range(1, self.starts + 1):
            with open(f"{self.directory}/weftd-{number}.log", encoding="utf-8", errors="replace") as log:
                yield log.read()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *failure):
        self.close()

    # ---- asking it ----

    def admin(self, path, method="GET", seconds=5):
        """(status, body) of the admin API over the Unix socket."""
        connection = UnixConnection(self.socket, seconds)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except http.client.HTTPException as error:
            raise OSError(f"admin {path}: {error!r}") from error
        finally:
            connection.close()

    def json(self, path):
        status, body = self.admin(path)
        assert status == 200, f"{path}: {status} {body}"
        return json.loads(body)

    def metrics(self):
        status, body = self.admin("/metrics")
        assert status == 200, f"/metrics: {status} {body}"
        return Metrics(body)

    def cli(self, *arguments, check=True, socket=True, seconds=20):
        """The weft command against this weftd."""
        line = [os.path.join(build_folder(), "weft"), *arguments]
        if socket:
            line += ["--socket", self.socket]
        done = subprocess.run(
            line, capture_output=True, text=True, timeout=seconds, check=False, env={**BARE_ENVIRONMENT, "HOME": "/"}
        )
        assert not check or done.returncode == 0, f"{line}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def reload(self, config, until=None):
        """New config by SIGHUP; waits until its services are the ones in use."""
        self.write_config(config)
        self.process.send(signal.SIGHUP)
        names = sorted(service["name"] for service in config.get("services", []))
        wait_for(until or (lambda: self.service_names() == names), f"services {names} after SIGHUP", 10)

    def use(self, config):
        """New config by the file alone; in use by whoever asks when it returns."""
        known = self.json("/config.json")["generation"]
        self.write_config(config)
        wait_for(lambda: self.json("/config.json")["generation"] > known, "the config to be in use", 10)

    def service_names(self):
        services = self.json("/services.json")
        if isinstance(services, dict):
            services = services["services"]
        return sorted(service["name"] for service in services)

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

    @contextlib.contextmanager
    def flat_memory(self, kib):
        """What happens inside must not make weftd grow by more, to the end."""
        before = self.rss_kib()
        yield
        if not is_sanitized():
            assert self.rss_kib() - before < kib

    def pins(self):
        """Paths of everything pinned."""
        return [os.path.join(folder, name) for folder, _, names in os.walk(self.pin_dir) for name in names]

    def links(self):
        """Ids of the pinned BPF links."""
        found = []
        for path in self.pins():
            shown = bpftool("link", "show", "pinned", path)
            if shown.returncode == 0:
                found.append(json.loads(shown.stdout)["id"])
        return found


def bpftool(*arguments):
    program = shutil.which("bpftool", path=BARE_ENVIRONMENT["PATH"])
    return subprocess.run([program, "-j", *arguments], capture_output=True, text=True, check=False)


def link_lives(link_id):
    return bpftool("link", "show", "id", str(link_id)).returncode == 0
