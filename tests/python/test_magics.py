# SPDX-License-Identifier: BSD-3-Clause
"""%px and its family, typed into an IPython shell."""
import pickle
import re
import signal
import sys
import threading
import time

import pytest

import pxrun
from pxrun.client.asyncresult import AsyncResult

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
    shell.events.callbacks["post_run_cell"].clear()  # what other tests have left

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


def test_px_is_what_its_result_and_its_error_are_called(ip):
    ip("%%px -a -o named\n1/0")
    failed = ip.shell.user_ns["named"].exception(60)
    assert failed.msg == "one or more exceptions raised in: %px"
    assert repr(ip.shell.user_ns["named"]) == "<AsyncExecuteResult(%px): failed>"


def test_tb_after_errors_that_were_streamed_shows_them_again(ip):
    ip("%px 1/0")
    text = ip("%tb") + ip.err
    assert text.count("ZeroDivisionError: division by zero") == 4 and "[3:execute]" in text


def test_usage_error_of_an_engines_magic_is_a_sentence(ip):
    text = ip("%px %connect_info") + ip.err
    assert "bind_kernel" in text and "Traceback" not in text and "run_line_magic" not in text


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
    for doc in (ip.shell.magics_manager.magics[kind]["px"].__doc__ for kind in ("line", "cell")):
        assert "--local" in doc and "--group-outputs" in doc
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
    assert ip("%%px -t 99\n1") == "" and ip.err == "UsageError: --targets 99: No such engine: 99; the live ones are [0, 1, 2, 3]\n"


@pytest.mark.parametrize(
    "options, complaint",
    [
        ("-a -b", "-a and -b contradict each other"),
        ("--stream --no-stream", "--stream and --no-stream contradict each other"),
        ("-r --group-outputs=engine", "-r and --group-outputs contradict each other"),
        ("--stream -e", "which cannot be grouped"),
        ("--stream -a", "does not wait"),
        ("--signal-on-interrupt SIGNONE", "there is no signal 'SIGNONE'"),
        ("-t 7:", "selects none of the pool's engines"),
        ("-t 'x'", "--targets is like"),
    ],
)
def test_options_that_cannot_be_meant_are_usage_errors(ip, options, complaint):
    assert ip(f"%%px {options}\nnot_run = 1") == "" and complaint in ip.err
    assert ip.err.startswith("UsageError: ") and ip.err.count("\n") == 1
    assert ip.view.apply_sync(lambda: "not_run" in globals()) == [False] * 4
    assert ip("%%px -b --block --stream\nprint(1)").count("1\n") == 4


def test_px_with_an_option_says_where_options_go(ip):
    complaint = "UsageError: %px takes no options: %pxconfig sets them, or write %%px and the code below it\n"
    for line in "-t 0 1", "--targets 0 %pwd", "--noblock print(1)":
        assert ip(f"%px {line}") == "" and ip.err == complaint
    ip.view["t"] = 3
    assert ip("%px -t * 2").count(": -6\n") == 4
    assert "%%px [-r]" in ip("%px?") and "%%px [-r]" in ip("%%px?")


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


def test_autopx_leaves_here_what_is_about_it(ip, pool):
    ip("%autopx")
    try:
        assert ip("%%px -t 2\nprint(5)") == "5\n"
        lines = ip("%%px --local\nlocal_too = 5; print(local_too)").splitlines()
        assert sorted(lines) == ["5"] + [f"[stdout:{i}] 5" for i in range(4)]
        assert ip("%pxconfig").startswith("targets = [0, 1, 2, 3]\n")
        pool.activate([0, 2], "_even")
        assert sorted(ip("%px_even print(5)").splitlines()) == ["[stdout:0] 5", "[stdout:2] 5"]
        assert ip("") == "" and ip("\n  # nothing") == ""
        assert sorted(ip(">>> for i in [1]:\n...     print(i)").splitlines()) == [f"[stdout:{i}] 1" for i in range(4)]
        assert sorted(ip("%who_ls").splitlines())[0].startswith("Out[0:")
    finally:
        ip("%autopx")
    assert ip.shell.user_ns["local_too"] == 5


def test_autopx_cell_that_fails_has_failed_here_too(ip):
    ip("%autopx")
    try:
        ip("1/0")
        assert isinstance(ip.result.error_in_exec, pxrun.AlreadyDisplayedError)
    finally:
        ip("%autopx")


def test_pxconfig_without_options_shows_what_is_set(ip):
    ip("%pxconfig --progress-after 5 --no-stream")
    assert ip("%pxconfig").splitlines() == [
        "targets = [0, 1, 2, 3]", "block = True", "verbose = False",
        "stream = False", "progress_after = 5.0", "signal_on_interrupt = SIGINT",
    ]


def test_pxconfig_is_kept(ip):
    ip("%pxconfig --verbose --noblock")
    assert ip.view.block is False
    assert ip("%px pass").startswith("Async parallel execution on engine(s): [0, 1, 2, 3]")
    ip("%pxconfig --no-verbose --block")
    assert ip("%px pass") == ""


def test_noblock_output_is_shown_after_a_later_cell_once(ip, new_gate):
    gate = new_gate()
    ip.view.block = False
    assert ip(f"ar = %px {gate.code()}; print('printed'); 'value'") == ""
    assert ip("pass") == ""
    gate.open(4)
    assert ip.shell.user_ns["ar"].wait_for_output(60)
    lines = re.sub(r":\d+\]: ", ":n]: ", ip("print('mine')")).splitlines()
    assert lines[0] == "mine" and lines[1].startswith("%px import os; ") and lines[1].endswith(" is done:")
    assert lines[2:] == [f"[stdout:{i}] printed" for i in range(4)] + [f"Out[{i}:n]: 'value'" for i in range(4)]
    assert ip("pass") == "" and ip.shell.events.callbacks["post_run_cell"] == []


def test_noblock_error_is_shown_after_a_later_cell_once(ip, new_gate):
    gate = new_gate()
    assert ip(f"%%px -a -o kept\n{gate.code()}\n1/0").startswith("Out[")
    gate.open(4)
    assert ip.shell.user_ns["kept"].wait(60)
    assert ip("pass") == f"%%px {gate.code()} ... has failed:\n"
    assert ip.err.count("ZeroDivisionError") == 4 and ip.err.startswith("[0:execute]:\nTraceback")
    ip("pass")
    assert ip.err == ""


@pytest.mark.parametrize("asks", ["ar.get()", "ar.exception()", "ar.display_outputs()", "%pxresult"])
def test_noblock_result_that_was_asked_for_is_not_shown_again(ip, new_gate, asks):
    gate = new_gate()
    ip.view.block = False
    ip(f"ar = %px {gate.code()}; print('printed'); 1/0")
    gate.open(4)
    assert ip.shell.user_ns["ar"].wait_for_output(60)
    assert ip(f"{asks};").count("[stdout:0] printed") == 1
    assert ip("pass") == ip.err == ""


def test_noblock_result_of_a_closed_client_says_so(ip, rc, hold):
    hold(0)
    rc[:].activate("_closed")
    assert ip("%pxconfig_closed --noblock") == ""
    ip("%px_closed 1")
    rc.close()
    assert ip("pass").startswith("%px_closed 1 has failed:\n") and "client was closed" in ip.err
    assert ip("pass") == ip.err == ""


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


def interrupted(ip, line):
    """Runs a line, with Ctrl-C once engines have begun it and it is waited for."""
    main = threading.get_ident()

    def waits():
        # Python drops a KeyboardInterrupt that comes while objects are finalized, as between sending and waiting
        return sys._current_frames()[main].f_code is AsyncResult.wait.__code__

    def interrupt():
        while not (waits() and any(len(ar.targets) and ar.running() for ar in ip.view.client._sent.requests())):
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    shown = ip(line)
    thread.join()
    return shown


def test_interrupt_while_px_waits_is_sent_to_the_engines(ip):
    assert interrupted(ip, "%px import time; time.sleep(1000)") == "KeyboardInterrupt\n"
    assert ip.err.startswith("Received Keyboard Interrupt. Sending signal SIGINT to engines...\n")
    assert type(ip.result.error_in_exec) is KeyboardInterrupt  # a notebook's other cells are not run
    assert ip.view.client.wait(timeout=60)


def test_interrupt_that_no_signal_is_to_follow_ends_the_wait_alone(ip, new_gate):
    gate = new_gate()
    assert interrupted(ip, f"%%px --signal-on-interrupt 0\n{gate.code()}\nprint('went on')") == ""
    assert "The engines go on" in ip.err and ip.result.success
    gate.open(4)
    assert ip.view.client.wait(timeout=60)
    assert ip("pass").count("went on") == 4


@pytest.fixture
def magics_gone(ip):
    """As before there was any client."""
    for kind in ip.shell.magics_manager.magics.values():
        kind.pop("px", None)


def test_extension_without_a_client_says_what_to_do(ip, magics_gone, monkeypatch):
    from pxrun.client import client

    monkeypatch.setattr(client, "_clients", [])
    ip("%load_ext pxrun")
    for line in "%px 1", "%autopx", "%pxconfig --block", "%%px\n1":
        assert ip(line) == "" and ip.err.startswith("UsageError: %px has no engines yet: make a client"), ip.err
    ip("%unload_ext pxrun")


def test_extension_takes_the_latest_client_and_then_the_next(ip, rc, pool, magics_gone):
    ip.shell.run_line_magic("reload_ext", "pxrun")
    assert ip("%px print(1)").count("1\n") == 4
    rc.close()
    assert ip("%px print(1)") + ip.err == "ClosedError: this client is closed\n"
    with pxrun.Client(pool.connection_file):
        assert ip("%px print(1)").count("1\n") == 4


def test_px_without_engines_says_so_in_a_sentence(ip):
    with pxrun.Cluster(n=1) as rc:
        rc.activate(suffix="_none")
        rc.shutdown(block=True)
        while rc.ids:
            pass
        text = ip("%px_none 1") + ip.err
    assert text == "NoEnginesRegistered: no targets: the view names no engines, or the pool has none. Try client.wait_for_engines(n)\n"


def test_px_of_a_stopped_pool_says_so_in_a_sentence(ip):
    with pxrun.Cluster(n=1) as rc:
        client = pxrun.Client(rc.connection_file)
        client[:].activate("_stopped")
    text = ip("%px_stopped 1") + ip.err
    assert text.startswith("PoolError: ") and text.count("\n") == 1, text


def test_error_shows_the_source_of_functions_of_cells(ip):
    ip("def typed(x):\n    y = x - 1\n    return x / y")
    text = ip("view.apply_sync(typed, 1)")
    assert text.count(", line 3, in typed\n    return x / y\nZeroDivisionError") == 4
    assert "File" not in text and "Cell In[" in text
    e = ip.result.error_in_exec
    assert "    return x / y\n" in pickle.loads(pickle.dumps(e)).elist[3][2]


def test_without_ipython_activate_warns(pool, monkeypatch):
    from pxrun.client import magics

    monkeypatch.setattr(magics, "get_ipython", lambda: None)
    with pytest.warns(UserWarning, match="IPython"):
        pool[:].activate()


def test_importing_pxrun_does_not_import_IPython():
    import subprocess

    code = "import sys, pxrun; pxrun.Client; sys.exit('IPython' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
