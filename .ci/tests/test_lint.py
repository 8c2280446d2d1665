"""Every gate of `make lint` fails on a bad sample and says where, and passes a good one."""

import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MAKEFILE = "MAY_base :=\nMAY_io := base\nMAY_model := base\nMAY_proxy := base \\\n\tio\n"


def write(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w") as file:
        file.write(text)
    return full


def run(*command):
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, env={**os.environ, "MAKEFLAGS": "", "MAKELEVEL": "0"})
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def tree(tmp_path):
    """A small project that passes."""
    root = str(tmp_path)
    write(root, "Makefile", MAKEFILE)
    write(root, "include/weft/maps.h", "#include <linux/types.h>\n")
    write(root, "userspace/base/span.h", "#include <stddef.h>\n#include <linux/types.h>\n")
    write(root, "userspace/io/ring.h", '#include <liburing.h>\n#include "base/span.h"\n')
    write(root, "userspace/io/double/script.h", "#include <stdbool.h>\n")
    write(root, "userspace/model/route.h", '#include "base/span.h"\n')
    write(root, "userspace/proxy/session.c", '#include "io/ring.h"\n#include <time.h>\n')
    write(root, "userspace/proxy/tests/test_session.c",
          '#include <cmocka.h>\n#include "io/double/script.h"\n')
    write(root, "bpf/capture.bpf.c", '#include "vmlinux.h"\n#include <bpf/bpf_helpers.h>\n')
    return root


def check(name, root):
    return run(os.path.join(ROOT, ".ci", name), root)


def test_a_clean_tree_passes_both_checks(tree):
    assert check("check-includes", tree) == (0, "")
    assert check("check-style", tree) == (0, "")


@pytest.mark.parametrize("path, line, why", [
    ("userspace/base/up.c", '#include "io/ring.h"', "base may not include io"),
    ("userspace/model/up.c", '#include "proxy/session.c"', "model may not include proxy"),
    ("userspace/proxy/ring.c", "#include <liburing.h>", "proxy may not use liburing.h"),
    ("userspace/io/load.c", "#include <bpf/libbpf.h>", "io may not use bpf/libbpf.h"),
    ("userspace/model/maps.c", '#include "weft/maps.h"', "model may not use weft/maps.h"),
    ("userspace/model/odd.c", "#include <boost.h>", "neither the C library's"),
    ("userspace/io/test.c", "#include <cmocka.h>", "io may not use cmocka.h"),
    ("userspace/proxy/real.c", '#include "io/double/script.h"', "for tests only"),
    ("userspace/proxy/gone.c", '#include "io/gone.h"', "no file of userspace/"),
    ("userspace/io/tests/test_up.c", '#include "proxy/session.c"', "io may not include proxy"),
    ("userspace/extra/new.c", "#include <stdio.h>", "not a room"),
    ("bpf/up.bpf.c", '#include "base/span.h"', "bpf/ may not use base/span.h"),
    ("include/weft/up.h", '#include "base/span.h"', "include/weft may not use"),
])
def test_an_include_that_breaks_the_layer_rule_is_named(tree, path, line, why):
    write(tree, path, f"/* #include <liburing.h> in a comment\n */\n\n{line}\n")
    status, output = check("check-includes", tree)
    assert status == 1
    assert output.startswith(f"{path}:4: ") and why in output
    assert output.count("\n") == 1


@pytest.mark.parametrize("path, body, line, why", [
    ("userspace/base/a.c", "int f(char *t)\n{\n\treturn atoi(t);\n}\n", 3, "atoi is banned"),
    ("userspace/base/a.c", "void f(char *t)\n{\n\tstrcpy(t, t);\n}\n", 3, "strcpy is banned"),
    ("userspace/base/a.c", "int f(char *t)\n{\n\treturn sprintf(t, t);\n}\n", 3, "sprintf"),
    ("userspace/model/a.c", "long f(void)\n{\n\treturn time(0);\n}\n", 3, "reads no clock"),
    ("userspace/proxy/a.c", "int f(void)\n{\n\treturn clock_gettime(1, 0);\n}\n", 3, "no clock"),
    ("userspace/base/a.h", "typedef struct span span_t;\n", 1, "struct typedef"),
    ("userspace/base/a.c", "/* TODO: later */\n", 1, "without an issue"),
    ("userspace/base/a.h", "#define F(x)   \\\n\tif (x) \\\n\t\treturn -1\n", 1, "returns or jumps"),
    ("userspace/base/a.c", "int f(void)\n{\n#ifdef X\n#endif\n}\n", 3, "inside a function"),
    ("userspace/base/a.c", "void f(int a)\n{\n\tassert(a++ < 3);\n}\n", 3, "side effect"),
    ("userspace/base/a.c", "int f(void)\n{\n" + "\tg();\n" * 99 + "}\n", 2, "function of 101"),
    ("userspace/base/a.c", "int a;\n" * 801, 1, "801 lines"),
])
def test_a_breach_of_style_is_named(tree, path, body, line, why):
    write(tree, path, body)
    status, output = check("check-style", tree)
    assert status == 1
    assert output.startswith(f"{path}:{line}: ") and why in output


@pytest.mark.parametrize("path, body", [
    ("userspace/io/now.c", "int f(void)\n{\n\treturn clock_gettime(1, 0);\n}\n"),
    ("userspace/model/tests/test_a.c", "long f(void)\n{\n\treturn time(0);\n}\n"),
    ("userspace/base/a.c", 'const char *f = "strcpy(a, b)"; /* atoi() */\n'),
    ("userspace/base/a.c", "/* TODO #12: later */\n"),
    ("userspace/base/a.c", "int f(void)\n{\n" + "\tg();\n" * 98 + "}\n"),
    ("userspace/base/a.c", "void f(int a)\n{\n\tassert(a == 3 && a <= 4 && a != 5);\n}\n"),
])
def test_what_only_looks_like_a_breach_passes(tree, path, body):
    write(tree, path, body)
    assert check("check-style", tree) == (0, "")


@pytest.fixture
def sample():
    """A file of the project's own build folder, so that make's rules apply to it."""
    folder = f"build/lint-self-test-{os.getpid()}"
    yield lambda body: os.path.relpath(write(ROOT, f"{folder}/sample.c", body), ROOT)
    for leftover in (folder, f"build/lint/tidy/{folder}"):
        subprocess.run(["rm", "-rf", os.path.join(ROOT, leftover)], check=True)


GOOD = "int add(int a, int b);\nint add(int a, int b)\n{\n\treturn a + b;\n}\n"
LEAK = ("#include <stdlib.h>\nvoid leak(int n);\nvoid leak(int n)\n{\n\tchar *p = malloc(4);\n\n"
        "\tif (p)\n\t\tp[n > 2 ? 1 : 0] = 1;\n}\n")
OUTSIDE = ("int outside(void);\nint outside(void)\n{\n\tint a[4] = {0};\n\n\treturn a[4];\n}\n")


def test_clang_format_refuses_a_file_that_it_would_change(sample):
    assert run("make", "-s", "lint-format", f"FORMAT_SOURCES={sample(GOOD)}") == (0, "")
    path = sample(GOOD.replace("\treturn a + b", "    return a+b"))
    status, output = run("make", "-s", "lint-format", f"FORMAT_SOURCES={path}")
    assert status != 0 and f"{path}:4:" in output


def test_clang_tidy_refuses_a_leak(sample):
    stamp = "build/lint/tidy/" + sample(GOOD)[:-2] + ".ok"
    assert run("make", "-s", stamp)[0] == 0
    path = sample(LEAK)
    status, output = run("make", "-s", stamp)
    assert status != 0 and f"{path}:9:" in output and "unix.Malloc" in output


def test_cppcheck_refuses_a_read_past_the_end(sample):
    assert run("make", "-s", "lint-cppcheck", f"CPPCHECK_SOURCES={sample(GOOD)}") == (0, "")
    path = sample(OUTSIDE)
    status, output = run("make", "-s", "lint-cppcheck", f"CPPCHECK_SOURCES={path}")
    assert status != 0 and f"{path}:6:" in output
