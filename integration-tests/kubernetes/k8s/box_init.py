"""Process 1 of a box: makes the machine look like a fresh node, then reaps. Arguments: HOSTNAME DISK CGROUPS, where
DISK is the folder that keeps what a node has on its disk, CGROUPS is hybrid or v2. The words in CONTROLLERS are the
cgroup v1 hierarchies. Writes a line when the box is ready."""

import os
import signal
import socket
import subprocess
import sys

# Read-only below, private above: what the node writes there stays on its own disk.
OVERLAYS = ("/etc", "/opt", "/var")
# Places that hold other overlays and therefore cannot lie on one.
OWN_FOLDERS = ("/var/lib/containerd", "/var/lib/kubelet", "/var/log/pods")
CNI_PLUGINS = "/usr/lib/cni"
SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/default/accept_dad": "0",
}


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def mount_disk(disk):
    for place in OVERLAYS:
        upper, work = f"{disk}/upper{place}", f"{disk}/work{place}"
        os.makedirs(upper, exist_ok=True)
        os.makedirs(work, exist_ok=True)
        mount("-t", "overlay", "-o", f"lowerdir={place},upperdir={upper},workdir={work}", "overlay", place)
    for place in OWN_FOLDERS:
        own = f"{disk}/own{place}"
        os.makedirs(own, exist_ok=True)
        os.makedirs(place, exist_ok=True)
        mount("--bind", own, place)


def mount_cgroups(kind, controllers):
    if kind == "v2":
        mount("-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
        return
    mount("-t", "tmpfs", "-o", "mode=755", "cgroup", "/sys/fs/cgroup")
    for name in [*controllers, "systemd", "unified"]:
        os.mkdir(f"/sys/fs/cgroup/{name}")
    for name in controllers:
        mount("-t", "cgroup", "-o", name, "cgroup", f"/sys/fs/cgroup/{name}")
    mount("-t", "cgroup", "-o", "none,name=systemd", "cgroup", "/sys/fs/cgroup/systemd")
    mount("-t", "cgroup2", "cgroup2", "/sys/fs/cgroup/unified")


def mount_kernel_views(cgroups, controllers):
    """/proc, /sys, cgroups, bpffs and /run of this box alone."""
    mount("-t", "proc", "proc", "/proc")
    subprocess.run(["umount", "-R", "-l", "/sys"], check=True)
    mount("-t", "sysfs", "sysfs", "/sys")
    mount_cgroups(cgroups, controllers)
    mount("-t", "bpf", "bpf", "/sys/fs/bpf")
    mount("-t", "tmpfs", "-o", "mode=755", "run", "/run")
    os.makedirs("/run/netns")


def copy_cni_plugins():
    """Copies, for pods of the node may add to them."""
    os.makedirs("/opt/cni/bin", exist_ok=True)
    os.makedirs("/etc/cni/net.d", exist_ok=True)
    for name in ("host-local", "loopback", "portmap", "ptp"):
        if not os.path.exists(f"/opt/cni/bin/{name}"):
            subprocess.run(["cp", f"{CNI_PLUGINS}/{name}", "/opt/cni/bin/"], check=True)


def reap_forever():
    """SIGCHLD is blocked, so that none is lost between two rounds."""
    while True:
        signal.sigwait({signal.SIGCHLD})
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            pass


def main():
    hostname, disk, cgroups = sys.argv[1:]
    controllers = os.environ["CONTROLLERS"].split()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    socket.sethostname(hostname)
    mount("--make-rprivate", "/")
    mount_disk(disk)
    mount_kernel_views(cgroups, controllers)
    for name, value in SYSCTLS.items():
        with open(f"/proc/sys/{name}", "w", encoding="utf-8") as sysctl:
            sysctl.write(value)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    copy_cni_plugins()
    mount("--make-rshared", "/")
    print("ready", flush=True)
    reap_forever()


if __name__ == "__main__":
    main()
