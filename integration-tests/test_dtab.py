"""weft dtab: what a dtab makes of a name, without any weftd."""

import os
import subprocess

from harness.process import BARE_ENVIRONMENT
from harness.weftd import build_folder

WEFT = os.environ.get("WEFT_CLI") or os.path.join(build_folder(), "weft")


def weft(*arguments):
    return subprocess.run(
        [WEFT, *arguments], capture_output=True, text=True, timeout=40, check=False, env=BARE_ENVIRONMENT
    )


def dtab_eval(*arguments):
    done = weft("dtab", "eval", *arguments)
    return done.returncode, done.stdout.splitlines()[-1] if done.stdout else "", done.stderr


def test_eval_ends_with_what_a_name_is_bound_to():
    a, b = "/$/inet/10.0.0.1/80", "/$/inet/10.0.0.2/80"
    for dtab, path, bound, status in [
        (f"/svc => {a}", "/svc/web", a, 0),
        (f"/svc => {a} | {b}", "/svc", f"{a} | {b}", 0),
        (f"/svc => 1 * {a} & 9 * {b}", "/svc", f"{a} & 9 * {b}", 0),
        (f"/svc => 0.5 * ({a} | {b}) & {a}", "/svc", f"0.5 * ({a} | {b}) & {a}", 0),
        (f"/svc => 3 * {a} & 2 * ~", "/svc", a, 0),
        (f"/svc => {a}; /svc => {b}", "/svc", f"{b} | {a}", 0),
        (f"/svc => {a} # a comment\n;/svc => /#/io.l5d.fs", "/svc/web", a, 0),
        ("/svc => $", "/svc", "$", 0),
        ("/svc => !", "/svc", "!", 1),
        ("/svc => ~", "/svc", "~", 1),
        ("", "/svc", "~", 1),
        ("/svc => /#/io.l5d.k8s/default/http", "/svc/web", "~", 1),
        ("/svc => /svc", "/svc", "!", 1),
    ]:
        assert dtab_eval(dtab, path)[:2] == (status, bound), dtab


def test_eval_shows_each_step_and_takes_a_requests_own_entries():
    done = weft("dtab", "eval", "-l", "/host/web => /$/nil", "/svc => /host; /host => /#/fs", "/svc/web")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "/svc/web",
        "  /svc => /host   -- empty",
        "    /host/web",
        "      (local) /host/web => /$/nil   -- empty",
        "        /$/nil",
        "          utility name   -- empty",
        "$",
    ]
    done = weft("dtab", "eval", "/svc => /host; /host => /#/fs", "/svc/web")
    assert "/#/fs/web   -- negative: no such namer" in done.stdout


def test_eval_says_in_which_column_the_grammar_ends():
    assert dtab_eval("/svc = /a", "/svc") == (2, "", "weft: dtab: column 7: expected '>' after '=', found ' '\n")
    assert dtab_eval("/svc => /a;\n/b => (", "/svc") == (
        2,
        "",
        "weft: dtab: line 2, column 8: expected a path, '(', '~', '!' or '$', found the end\n",
    )
    assert dtab_eval("/svc => /a", "svc") == (
        2,
        "",
        "weft: path: column 1: expected a path, which begins with '/', found 's'\n",
    )
    status, last, error = dtab_eval("/svc => /svc/a & /svc/b", "/svc")
    assert (status, last, error) == (1, "!", "weft: too much work: the dtab multiplies names\n")
    assert weft("dtab", "eval", "/svc => /a").returncode == 2
    assert weft("dtab").returncode == 2


def test_check_looks_at_a_file(tmp_path):
    file = tmp_path / "dtab"
    file.write_text("# rules\n/svc => /host ;\n/host => /#/io.l5d.fs ;\n")
    done = weft("dtab", "check", str(file))
    assert (done.returncode, done.stdout) == (0, f"{file}: 2 entries, good\n")
    file.write_text("/svc => /host ;\n/host -> /a\n")
    done = weft("dtab", "check", str(file))
    assert done.returncode == 2
    assert done.stderr == f"weft: {file}: line 2, column 7: expected '=>' after the prefix, found '-'\n"
    done = weft("dtab", "check", str(tmp_path / "none"))
    assert (done.returncode, done.stderr) == (1, f"weft: {tmp_path}/none: No such file or directory\n")
