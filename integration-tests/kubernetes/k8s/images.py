"""Container images without a registry: an OCI layout in a tar file, imported by name."""

import gzip
import hashlib
import io
import json
import os
import tarfile

ECHO, PAUSE = "weft.test/echo:1", "weft.test/pause:1"
APPLETS = ("cat", "env", "grep", "hostname", "id", "ip", "ls", "mkdir", "mount", "nc", "ps", "rm", "sh", "sleep",
           "stat", "tail", "test", "touch", "true", "wget")  # fmt: skip
MEDIA = "application/vnd.oci.image"


def _add(tar, name, data=None, mode=0o755, link=None):
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    if link:
        entry.type, entry.linkname = tarfile.SYMTYPE, link
        tar.addfile(entry)
    elif data is None:
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
    else:
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))


def _layer(files, links):
    """files: {path in the image: bytes}; links: {path: target}. An uncompressed layer."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        folders = {os.path.dirname(path) for path in [*files, *links]} | {"tmp", "etc", "proc", "sys", "dev"}
        for folder in sorted(filter(None, folders)):
            _add(tar, folder)
        for path, data in sorted(files.items()):
            _add(tar, path, data)
        for path, target in sorted(links.items()):
            _add(tar, path, link=target)
    return raw.getvalue()


class Layout:
    """Blobs and the index of an OCI layout."""

    def __init__(self):
        self.blobs = {}
        self.manifests = []

    def _put(self, kind, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return {"mediaType": f"{MEDIA}.{kind}", "digest": digest, "size": len(data)}

    def add_image(self, reference, layer, entrypoint):
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Entrypoint": entrypoint},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{MEDIA}.manifest.v1+json",
            "config": self._put("config.v1+json", json.dumps(config).encode()),
            "layers": [self._put("layer.v1.tar+gzip", gzip.compress(layer, 1, mtime=0))],
        }
        described = self._put("manifest.v1+json", json.dumps(manifest).encode())
        names = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference}
        self.manifests.append(
            {**described, "platform": {"architecture": "amd64", "os": "linux"}, "annotations": names}
        )

    def write(self, path):
        index = {"schemaVersion": 2, "manifests": self.manifests}
        with tarfile.open(path, "w") as tar:
            _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}', 0o644)
            _add(tar, "index.json", json.dumps(index).encode(), 0o644)
            for digest, data in self.blobs.items():
                _add(tar, "blobs/" + digest.replace(":", "/"), data, 0o644)


def write_test_images(programs, path):
    """The app of the tests (echo and busybox) and the pods' sandbox, in one file."""
    files = {}
    for name, source in (("bin/echo", f"{programs}/echo"), ("bin/busybox", "/bin/busybox")):
        with open(source, "rb") as program:
            files[name] = program.read()
    files["etc/passwd"] = b"root:x:0:0::/:/bin/sh\n"
    layer = _layer(files, {f"bin/{applet}": "busybox" for applet in APPLETS})
    layout = Layout()
    layout.add_image(ECHO, layer, ["/bin/echo", "serve"])
    layout.add_image(PAUSE, layer, ["/bin/echo", "pause"])
    layout.write(path)
