# SPDX-License-Identifier: BSD-3-Clause
"""%px and its family, typed into an IPython shell."""
import re
import signal
import sys
import threading
import time

import pytest

pytest.importorskip("IPython")

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    from IPython.core.interactiveshell import InteractiveShell

    with pytest.MonkeyPatch.context() as patch:
        # not the history of who runs the tests
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        yield InteractiveShell.instance()
        InteractiveShell.clear_instance()


@pytest.fixture
def ip(shell, pool, capsys):
    """Runs a cell; what it printed, without colours."""
    view = pool[:]
    view.block = True
    view.activate()
    shell.user_ns["view"] = view

    def run(cell):
        capsys.readouterr()
        run.result = shell.run_cell(cell)
        out, err = capsys.readouterr()
        run.err = COLOUR.sub("", err)
        return COLOUR.sub("", out)

    run.view, run.shell = view, shell
    return run


def test_px_blocking_shows_output_of_each_engine(ip):
    assert ip("%px a = 5") == ""
    # as it comes: whose line is first is chance
    assert sorted(ip("%px print('hi', a)").splitlines()) == [f"[stdout:{i}] hi 5" for i in range(4)]
    assert ip.view["a"] == [5] * 4


def test_px_shows_values_of_expressions(ip):
    lines = ip("%px 1 + 1").splitlines()
    assert [re.sub(r":\d+\]", ":n]", line) for line in lines] == [f"Out[{i}:n]: 2" for i in range(4)]


def test_px_does_not_expand_names_of_here(ip):
    ip.shell.user_ns["x"] = "here"
    ip("%px y = '{x}' + '$x'")
    assert ip.view["y"] == ["{x}$x"] * 4


def test_px_shows_errors_and_counts_them(ip):
    text = ip("%px 1/0") + ip.err
    assert text.count("ZeroDivisionError") >= 4 and "4 errors" in text
    assert "[2:execute]" in text


def test_px_noblock_returns_the_AsyncResult(ip):
    ip.view.block = False
    assert ip("%px c = 3").startswith("Out[")
    assert ip.result.result.get() and ip.view.pull("c", block=True) == [3] * 4


def test_cell_px_flags(ip):
    assert sorted(ip("%%px --targets 0,2\nprint(1)").split("\n")) == ["", "[stdout:0] 1", "[stdout:2] 1"]
    assert sorted(ip("%%px -t ::3 \nprint(1)").split("\n")) == ["", "[stdout:0] 1", "[stdout:3] 1"]
    assert ip("%%px -t 1\nprint(1)") == "1\n"
    assert ip.view.targets == [0, 1, 2, 3]
    ip("%%px -a\npass")
    assert ip.result.result is not None and ip.view.block is True
    assert ip("%%px --verbose\npass") == "Parallel execution on engine(s): [0, 1, 2, 3]\n"


def test_cell_px_group_outputs(ip):
    text = ip("%%px --no-stream --group-outputs=engine\nimport sys\nprint('a')\nprint('b', file=sys.stderr)")
    assert text == "".join(f"[stdout:{i}] a\n" for i in range(4))
    assert ip.err == "".join(f"[stderr:{i}] b\n" for i in range(4))


def test_grouped_outputs_are_shown_at_the_end(ip):
    code = "import time\ntime.sleep(0.05 * (3 - number))\nprint('a')\nprint('b')\n5"
    ip.view.scatter("number", range(4), flatten=True, block=True)
    text = ip("%%px --group-outputs=engine\n" + code)
    assert re.sub(r"Out\[(\d+):\d+", r"Out[\1:n", text) == "".join(f"[stdout:{i}]\na\nb\nOut[{i}:n]: 5\n" for i in range(4))
    text = ip("%%px --group-outputs=type\n" + code)
    assert text.startswith("".join(f"[stdout:{i}]\na\nb\n" for i in range(4)))


def test_help_lists_the_options(ip):
    for name, options in (("pxconfig", "--targets --noblock --progress-after --signal-on-interrupt --no-stream"),
                          ("pxresult", "--group-outputs --out -r index")):
        magic = ip.shell.magics_manager.magics["line"][name]
        assert all(option in magic.__doc__ for option in options.split()) and f"%{name} [" in magic.__doc__
    cell = ip.shell.magics_manager.magics["cell"]["px"].__doc__
    assert "--local" in cell and "--group-outputs" in cell and "runs the cell on engines" in cell


def test_nothing_is_streamed_where_nobody_watches(ip, pool, monkeypatch):
    monkeypatch.setenv("IPP_NONINTERACTIVE", "1")
    pool[:].activate("_quiet")
    ip("%pxconfig_quiet --block --progress-after 0")
    assert ip("%px_quiet import time; time.sleep(0.1); print('hi')") == "".join(f"[stdout:{i}] hi\n" for i in range(4))
    assert ip.err == ""


def test_cell_px_out_keeps_the_result(ip):
    ip("%%px --out kept\n6")
    assert [reply.execute_result is not None for reply in ip.shell.user_ns["kept"].get()] == [True] * 4


def test_cell_px_local_runs_here_too(ip):
    ip("%%px --local\nhere_and_there = 7")
    assert ip.shell.user_ns["here_and_there"] == 7 and ip.view["here_and_there"] == [7] * 4


def test_wrong_options_are_usage_errors(ip):
    assert "unrecognized arguments: --bogus" in ip("%%px --bogus\n1") + ip.err
    assert "--targets is like" in ip("%%px -t zz\n1") + ip.err
    assert "No such engine: 99; the live ones are [0, 1, 2, 3]" in ip("%%px -t 99\n1") + ip.err


def test_result_by_index(ip):
    ip("%px print('first')")
    ip("%px print('second')")
    assert ip("%result") == "".join(f"[stdout:{i}] second\n" for i in range(4))
    assert ip("%pxresult -2") == "".join(f"[stdout:{i}] first\n" for i in range(4))
    assert ip("%result 0") == ip("%pxresult 0")
    assert "there is none of index" in ip("%pxresult 500") + ip.err


def test_result_raises_what_engines_raised(ip):
    ip.view.block = False
    ip("%px 1/0")
    assert "ZeroDivisionError" in ip("%pxresult") + ip.err


def test_autopx(ip):
    assert ip("%autopx") == "%autopx enabled\n"
    try:
        assert sorted(ip("d = 4\nprint(d)").splitlines()) == [f"[stdout:{i}] 4" for i in range(4)]
        assert "4 errors" in ip("1/0") + ip.err
    finally:
        assert ip("%autopx") == "%autopx disabled\n"
    assert "d" not in ip.shell.user_ns
    ip("e = 1")
    assert ip.shell.user_ns["e"] == 1


def test_pxconfig_is_kept(ip):
    ip("%pxconfig --verbose --noblock")
    assert ip.view.block is False
    assert ip("%px pass").startswith("Async parallel execution on engine(s): [0, 1, 2, 3]")
    ip("%pxconfig --no-verbose --block")
    assert ip("%px pass") == ""


def test_suffix_makes_magics_of_their_own(ip, pool):
    even = pool[::2]
    even.block = True
    even.activate("_even")
    assert sorted(ip("%px_even print(0)").splitlines()) == ["[stdout:0] 0", "[stdout:2] 0"]
    assert ip("%px print(0)").count("stdout") == 4


def test_failed_px_aborts_what_waits(ip):
    ip.view.block = False
    ip("%px import time; time.sleep(0.05); 1/0")
    ip("%px after = 1")
    behind = ip.result.result
    with pytest.raises(Exception, match="abort"):
        behind.get(10)


def test_interrupt_while_px_waits_is_sent_to_the_engines(ip):
    thread = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    thread.start()
    begin = time.monotonic()
    ip("%px import time; time.sleep(60)")
    assert "Sending signal SIGINT to engines" in ip.err
    assert time.monotonic() - begin < 30
    assert ip.view.client.wait(timeout=10)
    thread.join()


def test_without_ipython_activate_warns(pool, monkeypatch):
    from pxrun.client import magics

    monkeypatch.setattr(magics, "get_ipython", lambda: None)
    with pytest.warns(UserWarning, match="IPython"):
        pool[:].activate()


def test_importing_pxrun_does_not_import_IPython():
    import subprocess

    code = "import sys, pxrun; pxrun.Client; sys.exit('IPython' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
