"""The image that `make image` lays out."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile

import pytest
from conftest import ROOT

MEGABYTES_MOST = 40
NAME = "example.test/weft:test"


def lay_out(path):
    subprocess.run([os.path.join(ROOT, "helm/image/build"), "--programs", os.path.join(ROOT, "build"), "--output",
                    str(path), "--name", NAME], check=True, capture_output=True)  # fmt: skip
    return path


class Image:
    """An OCI layout in a tar, read back."""

    def __init__(self, path):
        with tarfile.open(path) as archive:
            self.files = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
        self.index = json.loads(self.files["index.json"])
        self.manifest = json.loads(self.blob(self.index["manifests"][0]))
        self.config = json.loads(self.blob(self.manifest["config"]))
        self.layer = gzip.decompress(self.blob(self.manifest["layers"][0]))

    def blob(self, described):
        """A descriptor's bytes, which must be what it says."""
        kind, _, value = described["digest"].partition(":")
        body = self.files[f"blobs/{kind}/{value}"]
        assert len(body) == described["size"] and hashlib.sha256(body).hexdigest() == value
        return body


@pytest.fixture(scope="module")
def tar(tmp_path_factory):
    return lay_out(tmp_path_factory.mktemp("image") / "image.tar")


@pytest.fixture(scope="module")
def image(tar):
    return Image(tar)


@pytest.fixture(scope="module")
def root(image, tmp_path_factory):
    """The unpacked root file system."""
    folder = tmp_path_factory.mktemp("root")
    with tarfile.open(fileobj=io.BytesIO(image.layer)) as layer:
        layer.extractall(folder)
    return folder


def inside(root, *command):
    return subprocess.run(["chroot", str(root), *command], capture_output=True, text=True, check=False, timeout=60)


def test_two_builds_are_the_same_bytes(tar, tmp_path):
    assert lay_out(tmp_path / "again.tar").read_bytes() == tar.read_bytes()


def test_it_does_not_tell_where_it_was_built(image):
    """Another checkout of the same commit gives the same bytes."""
    assert ROOT.encode() not in image.layer


def test_it_is_small(tar):
    assert tar.stat().st_size < MEGABYTES_MOST * 1e6


def test_containerd_imports_it_under_its_name(image):
    [described] = image.index["manifests"]
    assert described["annotations"]["io.containerd.image.name"] == NAME
    assert described["platform"] == {"architecture": "amd64", "os": "linux"}
    assert image.config["config"]["Entrypoint"] == ["/usr/sbin/weftd"]


def test_it_says_which_version_and_commit_it_is(image):
    for said in (image.manifest["annotations"], image.config["config"]["Labels"]):
        assert said["org.opencontainers.image.title"] == "weft"
        assert said["org.opencontainers.image.version"] and len(said["org.opencontainers.image.revision"]) >= 40


def test_the_config_names_the_layer_as_it_is_unpacked(image):
    assert image.config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(image.layer).hexdigest()]


def test_nothing_else_is_in_it(image):
    """Files by folder: our programs, libraries, certificates, users."""
    with tarfile.open(fileobj=io.BytesIO(image.layer)) as layer:
        files = [member for member in layer if member.isfile()]
    assert all(member.uid == member.gid == 0 for member in files)
    folders = {}
    for member in files:
        folders.setdefault(os.path.dirname(member.name), set()).add(os.path.basename(member.name))
    libraries = folders.pop("usr/lib/x86_64-linux-gnu") | folders.pop("usr/lib64")
    assert all(".so." in name for name in libraries)
    assert folders == {"usr/sbin": {"weftd"}, "usr/bin": {"weft"}, "usr/lib/weft": {"weft-cni"}, "etc": {"passwd", "group", "nsswitch.conf"},
                       "etc/ssl/certs": {"ca-certificates.crt"}}  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot takes root")
def test_the_programs_run_in_it(root):
    done = inside(root, "weftd", "--version")
    assert done.returncode == 0 and done.stdout.startswith("weftd "), done.stderr
    checks = json.loads(inside(root, "weft", "check", "--json").stdout)["checks"]
    assert {"kernel", "io_uring"} <= {check["name"] for check in checks}


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot takes root")
def test_no_library_is_missing(root):
    loader = "/lib64/ld-linux-x86-64.so.2"
    for program in ("/usr/sbin/weftd", "/usr/bin/weft"):
        done = inside(root, loader, "--list", program)
        assert done.returncode == 0 and "not found" not in done.stdout, done.stdout + done.stderr
