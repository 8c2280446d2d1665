"""Builds the programs of the cluster once per version of their sources, outside the checkout."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = os.path.join(HERE, "programs")
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "weft-k8s")
BUILDS_KEPT = 3

KUBERNETES = re.search(r"k8s\.io/kubernetes v(\S+)", open(f"{SOURCES}/go.mod", encoding="utf-8").read())[1]
KUBE_PARTS = ("coredns", "etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler",
              "kubectl", "kubelet")  # fmt: skip
VERSION_PACKAGE = "k8s.io/component-base/version"
KUBE_VERSION_FLAGS = " ".join(
    f"-X {VERSION_PACKAGE}.{name}={value}"
    for name, value in (
        ("gitVersion", f"v{KUBERNETES}"),
        ("gitMajor", KUBERNETES.split(".")[0]),
        ("gitMinor", KUBERNETES.split(".")[1]),
    )
)
PROGRAMS = {
    "kube": "./cmd/kube",
    "echo": "./cmd/echo",
    "runc-unlimited": "./cmd/runc-unlimited",
    "helm": "helm.sh/helm/v3/cmd/helm",
}

# The oldest Go that go.mod allows, and the one that is fetched where the machine's own is older.
GO_OLDEST = (1, 24)
TOOLCHAIN = "golang.org/toolchain@v0.0.1-go1.24.11.linux-amd64"


def _go_version(go):
    if not go:
        return (0,)
    text = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True, cwd="/").stdout
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])


def _environment():
    return {
        **os.environ,
        "GOMODCACHE": f"{CACHE}/gomod",
        "GOCACHE": f"{CACHE}/gocache",
        "GOFLAGS": "-modcacherw",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


def _fetched_go(bootstrap):
    """Go's own toolchain module, checked by the checksum database like any module."""
    folder = f"{CACHE}/gomod/{TOOLCHAIN}"
    if not os.path.exists(f"{folder}/weft-ready"):
        if not bootstrap:
            raise RuntimeError("no Go on this machine: apt-get install golang-go (any version)")
        print(f"building the cluster: fetching {TOOLCHAIN}", file=sys.stderr)
        subprocess.run([bootstrap, "mod", "download", TOOLCHAIN], cwd="/", env=_environment(), check=True)
        for part in ("bin", "pkg/tool"):  # a module's files have no execute bits
            for where, _, names in os.walk(f"{folder}/{part}"):
                os.chmod(where, 0o755)
                for name in names:
                    os.chmod(os.path.join(where, name), 0o755)
        with open(f"{folder}/weft-ready", "w", encoding="utf-8"):
            pass
    return f"{folder}/bin/go"


def _find_go():
    """A Go that can compile go.mod: the machine's own, or a fetched one."""
    own = shutil.which("go", path=f"{os.environ['PATH']}:/usr/local/go/bin")  # sudo's PATH lacks that
    return own if _go_version(own) >= GO_OLDEST else _fetched_go(own)


def _source_hash():
    digest = hashlib.sha256(repr((PROGRAMS, KUBE_VERSION_FLAGS)).encode())
    for where, folders, names in os.walk(SOURCES):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(where, name)
            digest.update(os.path.relpath(path, SOURCES).encode() + b"\0")
            with open(path, "rb") as source:
                digest.update(source.read())
    return digest.hexdigest()[:16]


def _compile(folder):
    go = _find_go()
    for program, package in PROGRAMS.items():
        print(f"building the cluster: {program}", file=sys.stderr, flush=True)
        flags = f"-s -w {KUBE_VERSION_FLAGS}" if program == "kube" else "-s -w"
        subprocess.run(
            ["nice", "-n", "10", go, "build", "-trimpath", "-buildvcs=false", "-ldflags", flags,
             "-o", f"{folder}/{program}", package],
            cwd=SOURCES, env=_environment(), check=True)  # fmt: skip
    for part in KUBE_PARTS:
        os.symlink("kube", f"{folder}/{part}")


def _remove_old_builds(keep):
    builds = [f"{CACHE}/{name}" for name in os.listdir(CACHE) if name.startswith("bin-")]
    for old in sorted(builds, key=os.path.getmtime)[:-BUILDS_KEPT]:
        if old != keep:
            shutil.rmtree(old, ignore_errors=True)


def build():
    """The folder with the programs; made when its sources have changed. One build at a time."""
    folder = f"{CACHE}/bin-{_source_hash()}"
    os.makedirs(CACHE, exist_ok=True)
    with open(f"{CACHE}/lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(folder):
            os.utime(folder)  # in use: not the oldest
            return folder
        fresh = f"{folder}.new"
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(fresh)
        os.makedirs(fresh)
        _compile(fresh)
        os.rename(fresh, folder)
        _remove_old_builds(folder)
    return folder


if __name__ == "__main__":
    print(build())
