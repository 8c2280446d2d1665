"""An OCI image (image-spec 1.1) as one tar: one layer, one platform. The same input gives the same bytes:
entries are sorted, everything belongs to root and is as old as the caller says."""

import collections
import gzip
import hashlib
import io
import json
import tarfile

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"

# One path of the root file system: kind is a tarfile type; body is bytes, or the target of a link.
Entry = collections.namedtuple("Entry", "path kind mode body")


def folder(path, mode=0o755):
    return Entry(path, tarfile.DIRTYPE, mode, b"")


def file(path, body, mode=0o644):
    return Entry(path, tarfile.REGTYPE, mode, body)


def link(path, target):
    return Entry(path, tarfile.SYMTYPE, 0o777, target)


def tar(entries, epoch):
    """The entries as a tar, parents before children."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for entry in sorted(entries):
            info = tarfile.TarInfo(entry.path)
            info.type, info.mode, info.mtime = entry.kind, entry.mode, epoch
            if entry.kind == tarfile.SYMTYPE:
                info.linkname = entry.body
                archive.addfile(info)
            else:
                info.size = len(entry.body)
                archive.addfile(info, io.BytesIO(entry.body))
    return whole.getvalue()


def as_json(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def digest(body):
    return "sha256:" + hashlib.sha256(body).hexdigest()


def described(media_type, body, **more):
    return {"mediaType": media_type, "digest": digest(body), "size": len(body), **more}


def image(entries, config, annotations, name, created, epoch):
    """(digest of the manifest, the image as a tar). `created` is `epoch` as RFC 3339 says it."""
    layer = tar(entries, epoch)
    packed = gzip.compress(layer, 9, mtime=0)
    body = as_json({
        "architecture": "amd64", "os": "linux", "created": created,
        "config": {**config, "Labels": annotations},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created": created, "comment": annotations["org.opencontainers.image.title"]}],
    })
    manifest = as_json({
        "schemaVersion": 2, "mediaType": MANIFEST, "annotations": annotations,
        "config": described(CONFIG, body), "layers": [described(LAYER, packed)],
    })
    index = as_json({"schemaVersion": 2, "manifests": [described(
        MANIFEST, manifest, platform={"architecture": "amd64", "os": "linux"},
        annotations={"io.containerd.image.name": name,
                     "org.opencontainers.image.ref.name": name.rpartition(":")[2]})]})
    blobs = [file("blobs/sha256/" + digest(blob).partition(":")[2], blob)
             for blob in (packed, body, manifest)]
    return digest(manifest), tar([
        folder("blobs"), folder("blobs/sha256"), *blobs, file("index.json", index),
        file("oci-layout", as_json({"imageLayoutVersion": "1.0.0"}))], epoch)
