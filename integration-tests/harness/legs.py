"""The kernel's table of shortcuts (include/weft/maps.h, struct weft_leg), read as weftd reads it: as memory."""

import contextlib
import ctypes
import mmap
import os
import platform
import re
import struct

from .peers import REPOSITORY

ROWS = 16384
ROW = struct.Struct("=Q II IIIII I QQ QQQ QQQ")
# What one sk_msg holds: 17 pieces of memory of 32 KiB. So much may hang where the window is smaller.
LARGEST_MESSAGE = 17 * 32 << 10
SYS_BPF = {"x86_64": 321}[platform.machine()]
BPF_OBJ_GET = 7
LIBC = ctypes.CDLL(None, use_errno=True)


def _reasons():
    """Names of the reasons in the order of their numbers: include/weft/reason.h."""
    with open(os.path.join(REPOSITORY, "include/weft/reason.h"), encoding="utf-8") as header:
        return re.findall(r'^\tX\([A-Z0-9_]+,\s*"([a-z0-9_]+)"', header.read(), re.M)


REASONS = _reasons()


class Leg:
    """One row; `dialler` and `acceptor`: what these ends sent past TCP."""

    def __init__(self, row):
        (self.id, self.pod_id, self.service_id, self.window, demoted, self.wants_tcp, self.ends, self.unread) = row[:8]
        self.state = REASONS[demoted] if demoted else "shortcut"
        self.dialler, self.acceptor = ({"bytes": way[0], "messages": way[1], "outstanding": way[2]} for way in
                                       (row[11:14], row[14:17]))  # fmt: skip

    def __repr__(self):
        return f"<leg {vars(self)}>"


@contextlib.contextmanager
def _memory(path):
    name = ctypes.create_string_buffer(path.encode())
    attributes = ctypes.create_string_buffer(struct.pack("=QII", ctypes.addressof(name), 0, 0), 128)
    fd = LIBC.syscall(SYS_BPF, BPF_OBJ_GET, attributes, len(attributes))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "BPF_OBJ_GET", path)
    try:
        with mmap.mmap(fd, ROWS * ROW.size, mmap.MAP_SHARED, mmap.PROT_READ) as memory:
            yield memory
    finally:
        os.close(fd)


def legs(weftd):
    """The rows that are in use."""
    with _memory(f"{weftd.pin_dir}/weft_legs") as memory:
        rows = bytes(memory[: ROWS * ROW.size])
    return [Leg(row) for row in ROW.iter_unpack(rows) if row[0] or row[6]]
