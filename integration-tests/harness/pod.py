"""A pod: network namespace, cgroup v2 folder, addresses on a shared bridge, /etc/hosts of its own."""

import ctypes
import os
import socket
import subprocess
import threading

from . import leftovers
from .poll import wait_for
from .process import BARE_ENVIRONMENT, Process, launch_line

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def in_netns(path, function):
    """Runs function() in a thread inside that namespace; a socket it makes stays there."""
    answer = {}

    def inside():
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if LIBC.setns(fd, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns", path)
            finally:
                os.close(fd)
            answer["value"] = function()
        except BaseException as error:  # handed to the caller below
            answer["error"] = error

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if "error" in answer:
        raise answer["error"]
    return answer["value"]


class Pod:
    def __init__(self, name, unique, number, directory):
        self.name = name
        self.unique = unique
        self.netns = f"{leftovers.NETNS_ROOT}/{unique}"
        self.cgroup = f"{leftovers.cgroup_root()}/{unique}"
        self.address = f"10.77.0.{number}"
        self.address6 = f"fd77::{number:x}"
        self.directory = directory
        self.hosts = os.path.join(directory, "hosts")
        self.processes = []
        self.logs = 0
        self.next_port = 20000

    def open(self, bridge):
        """Namespace, link and addresses by two calls of ip(8)."""
        os.makedirs(self.directory, exist_ok=True)
        os.chmod(self.directory, 0o755)
        self.set_hosts({})
        os.mkdir(self.cgroup)
        port = f"v{self.address.rsplit('.', 1)[1]}"
        _ip(None, [f"netns add {self.unique}"])
        in_netns(self.netns, _prepare_namespace)
        _ip(bridge, [
            f"link add {port} type veth peer name eth0 netns {self.unique}",
            f"link set {port} master bridge up",
        ])  # fmt: skip
        _ip(self.unique, [
            "link set lo up",
            f"addr add {self.address}/24 dev eth0",
            f"addr add {self.address6}/64 dev eth0 nodad",
            "link set eth0 up",
            # The bridge's namespace forwards nothing: an address that nobody has is routable and silent.
            "route add default via 10.77.0.1",
            "route add default via inet6 fd77::1",
        ])  # fmt: skip

    def close(self):
        for process in reversed(self.processes):
            process.stop(seconds=3)
        leftovers.remove_cgroup(self.cgroup)
        leftovers.remove_netns(self.netns)

    def set_hosts(self, names):
        """names: {name: [addresses]}. Rewritten in place, so that running programs see it too."""
        lines = ["127.0.0.1 localhost", "::1 localhost"]
        lines += [f"{address} {name}" for name, addresses in names.items() for address in addresses]
        with open(self.hosts, "w", encoding="utf-8") as hosts:
            hosts.write("\n".join(lines) + "\n")

    def place(self, user=None):
        return {"cgroup": self.cgroup, "netns": self.netns, "hosts": self.hosts, "user": user}

    def run(self, argv, seconds=30, check=True, env=None, user=None, text=True, **options):
        """Runs to the end inside the pod; CompletedProcess with stdout and stderr."""
        options.setdefault("cwd", self.directory)
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(
            launch_line(argv, **self.place(user)),
            capture_output=True,
            timeout=seconds,
            text=text,
            check=False,
            env={**BARE_ENVIRONMENT, "HOME": self.directory, **(env or {})},
            **options,
        )
        if check and done.returncode:
            raise AssertionError(
                f"in pod {self.name}: {argv} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def spawn(self, argv, env=None, user=None, cwd=None, stdin=subprocess.DEVNULL):
        """Starts in the background inside the pod; it ends with the pod at the latest."""
        self.logs += 1
        log = os.path.join(self.directory, f"{os.path.basename(str(argv[0]))}-{self.logs}.log")
        process = Process(
            argv,
            log,
            env={"HOME": self.directory, **(env or {})},
            cwd=cwd or self.directory,
            stdin=stdin,
            **self.place(user),
        )
        self.processes.append(process)
        return process

    def free_port(self):
        """A port of this namespace that was never given out; nobody else lives here."""
        self.next_port += 1
        return self.next_port

    def new_socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        """A socket of this pod for use in the test's own process."""
        return in_netns(self.netns, lambda: socket.socket(family, kind, protocol))

    def listen(self, port=0, family=socket.AF_INET, backlog=128, address=None, before_bind=None):
        """A listening socket of this pod on all its addresses."""
        server = self.new_socket(family)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if before_bind:
            before_bind(server)
        server.bind((address or ("::" if family == socket.AF_INET6 else "0.0.0.0"), port))
        server.listen(backlog)
        server.settimeout(10)
        return server

    def accepts(self, port, address="127.0.0.1"):
        """Does something listen there?"""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.new_socket(family) as probe:
            probe.settimeout(1)
            return probe.connect_ex((address, port)) == 0

    def wait_port(self, port, process=None, seconds=20):
        def there():
            if process is not None:
                assert process.is_running(), f"{process.argv[0]} ended:\n{process.log()[-2000:]}"
            return self.accepts(port)

        wait_for(there, f"port {port} in pod {self.name}", seconds)


def _prepare_namespace():
    """Sysctls before there is a link: no duplicate address detection (no wait), Fast Open both ways."""
    for name, value in (
        ("net/ipv6/conf/all/accept_dad", "0"),
        ("net/ipv6/conf/default/accept_dad", "0"),
        ("net/ipv6/conf/default/accept_ra", "0"),
        ("net/ipv4/tcp_fastopen", "3"),
        ("net/ipv4/ip_unprivileged_port_start", "0"),
        ("net/ipv4/ping_group_range", "0 2147483647"),
    ):
        with open(f"/proc/sys/{name}", "w", encoding="ascii") as knob:
            knob.write(value)


def _ip(namespace, commands):
    """A batch of ip(8) commands in one process."""
    where = ["-n", namespace] if namespace else []
    subprocess.run(["ip", *where, "-batch", "-"], input="\n".join(commands) + "\n", text=True, check=True)
