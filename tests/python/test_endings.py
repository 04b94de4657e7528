# SPDX-License-Identifier: BSD-3-Clause
"""Engines end as scripts end: threads, atexit, files; and within a time limit."""
import os
import signal
import subprocess
import sys
import time

import pytest

import pxrun


def pool_log(rc):
    with open(os.path.join(rc._core.folder, "log")) as log:
        return log.read()


def wait_until(condition):
    while not condition():
        time.sleep(0.005)


AT_END = """
import atexit, logging.handlers, os, tempfile, threading

class Deleted:
    def __del__(self):
        note("deleted")

def note(word, names=dict(os=os)):
    file = names["os"].open(FOLDER + "/notes", names["os"].O_WRONLY | names["os"].O_APPEND | names["os"].O_CREAT)
    names["os"].write(file, (word + "\\n").encode())

def work():
    gate.wait()
    note("thread")

gate = threading.Event()
threading.Thread(target=work).start()
threading.Timer(0.1, gate.set).start()
atexit.register(note, "atexit")
deleted = Deleted()
text = open(FOLDER + "/text", "w")
text.write("kept in a name")
binary = open(FOLDER + "/binary", "wb")
binary.write(b"kept by a module")
import json as elsewhere
elsewhere.of_mine = binary
del binary
handler = logging.handlers.MemoryHandler(100, target=logging.FileHandler(FOLDER + "/log"))
logging.getLogger("x").addHandler(handler)
logging.getLogger("x").error("logged")
folder = tempfile.TemporaryDirectory(dir=FOLDER)
"""


def leave(path, made_by):
    return f"FOLDER = {str(path)!r}\n" + made_by


def check_end(path):
    notes = (path / "notes").read_text().splitlines()
    assert sorted(notes) == ["atexit", "deleted", "thread"] and notes[0] == "thread" and notes[-1] == "deleted"
    assert (path / "text").read_text() == "kept in a name"
    assert (path / "binary").read_text() == "kept by a module"
    assert (path / "log").read_text() == "logged\n"
    assert sorted(os.listdir(path)) == ["binary", "log", "notes", "text"]


def stopped(rc, cluster):
    cluster.stop_cluster_sync()


def removed(rc, cluster):
    pid = rc[0].apply_sync(os.getpid)
    rc.shutdown(0)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))


def restarted(rc, cluster):
    pid = rc[0].apply_sync(os.getpid)
    rc.restart(0)
    assert rc[0].apply_sync(os.getpid) != pid


def terminated(rc, cluster):
    pid = rc[0].apply_sync(os.getpid)
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))


def stopped_by_command(rc, cluster):
    stop = [os.environ["PXRUN_COMMAND"], "stop", "--profile", rc.profile]
    assert subprocess.run(stop, timeout=60).returncode == 0


@pytest.mark.parametrize("how", [stopped, removed, restarted, terminated, stopped_by_command], ids=lambda how: how.__name__)
def test_end_as_a_script(tmp_path, how):
    cluster = pxrun.Cluster(n=1, profile=f"ends-{os.getpid()}")
    rc = cluster.start_and_connect_sync()
    try:
        rc[0].execute(leave(tmp_path, AT_END), block=True)
        how(rc, cluster)
        check_end(tmp_path)
    finally:
        cluster.stop_cluster_sync()


def test_end_of_an_engine_that_works(tmp_path):
    with pxrun.Cluster(n=1) as rc:
        rc[0].execute(leave(tmp_path, AT_END), block=True)
        ar = rc[0].execute("import time; time.sleep(1000)", block=False)
        wait_until(ar.running)
        rc.restart(0)
        with pytest.raises(pxrun.EngineError):
            ar.get(30)
        check_end(tmp_path)


def test_a_script_ends_the_same_way(tmp_path):
    """What is tested above is what Python does."""
    subprocess.run([sys.executable, "-c", leave(tmp_path, AT_END)], check=True, timeout=60)
    check_end(tmp_path)


def test_child_that_user_code_forked_ends_as_a_script(tmp_path):
    with pxrun.Cluster(n=1) as rc:
        pid = rc[0].apply_sync(os.getpid)
        code = "import os\nchild = os.fork()\nif child == 0:\n" + "".join(
            f"    {line}\n" for line in leave(tmp_path, AT_END).splitlines()) + "    raise SystemExit(7)\n"
        rc[0].execute(code, block=True)
        assert rc[0].apply_sync(lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])) == 7  # noqa: F821
        check_end(tmp_path)
        assert rc[0].apply_sync(os.getpid) == pid


def test_libraries_of_c_are_told(tmp_path):
    """A stdio buffer is flushed by exit(3), and functions that C code has registered run."""
    code = f"""
import ctypes
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen({str(tmp_path / "stdio").encode()!r}, b"w"))
libc.fputs(b"buffered", file)
"""
    with pxrun.Cluster(n=1) as rc:
        rc[0].execute(code, block=True)
    assert (tmp_path / "stdio").read_text() == "buffered"


def test_what_fails_at_the_end_is_logged_and_the_rest_is_done(tmp_path):
    with pxrun.Cluster(n=1) as rc:
        rc[0].execute(f"""
import atexit
atexit.register(lambda: open({str(tmp_path / "later")!r}, "w").close())
atexit.register(lambda: 1 / 0)
print("a line without an end", end="")
""", block=True)
        rc.restart(0)
        rc[0].execute("pass", block=True)
        assert "ZeroDivisionError" in pool_log(rc) and "a line without an end" in pool_log(rc)
    assert (tmp_path / "later").exists()


HANGS = {
    "atexit": "import atexit, time; atexit.register(time.sleep, 1000)",
    "thread": "import threading, time; threading.Thread(target=time.sleep, args=(1000,)).start()",
    "C code": "import atexit, ctypes; atexit.register(ctypes.PyDLL(None).sleep, 1000)",
    "stubborn request": "while True:\n    try:\n        while True: pass\n    except KeyboardInterrupt: pass",
}


@pytest.mark.parametrize("what", HANGS)
def test_end_has_a_time_limit(what):
    """The engine ends itself: the supervisor would have killed it."""
    with pxrun.Cluster(n=1) as rc:
        ar = rc[0].execute(HANGS[what], block=False)
        wait_until(lambda: ar.running() or ar.done())
        pid = rc.engines[0].pid
        rc.restart(0)
        assert rc[0].apply_sync(os.getpid) != pid
        assert f"engine 0 (process {pid}) ended: SIGTERM" in pool_log(rc) and "is killed" not in pool_log(rc)


def test_requests_that_come_meanwhile(tmp_path):
    """To an engine that is restarted they wait for the new one; to one that was killed they fail."""
    with pxrun.Cluster(n=1) as rc:
        at_end = f"import atexit, os, time; atexit.register(lambda: (os.mkfifo({str(tmp_path / 'at_end')!r}), time.sleep(0.3)))"
        rc[0].execute(at_end, block=True)
        pid = rc[0].apply_sync(os.getpid)
        rc.restart(0)
        wait_until((tmp_path / "at_end").exists)
        assert rc[0].apply_sync(os.getpid) != pid
        os.unlink(tmp_path / "at_end")
        rc[0].execute(at_end, block=True)
        os.kill(rc[0].apply_sync(os.getpid), signal.SIGTERM)
        wait_until((tmp_path / "at_end").exists)
        with pytest.raises(pxrun.EngineError, match="SIGTERM"):
            rc[0].apply_sync(os.getpid)


POOLS = {
    "multiprocessing": "import multiprocessing\npool = multiprocessing.Pool(2)\nfound = pool.map(abs, [-1, -2])",
    "concurrent.futures": "import concurrent.futures\npool = concurrent.futures.ProcessPoolExecutor(2)\nfound = list(pool.map(abs, [-1, -2]))",
    "joblib": "import joblib\nfound = joblib.Parallel(2)(joblib.delayed(abs)(x) for x in [-1, -2])",
}


@pytest.mark.parametrize("name", POOLS)
def test_pools_of_processes_in_an_engine_leave_nothing(name):
    pytest.importorskip(name)
    with pxrun.Cluster(n=1) as rc:
        pid = rc[0].apply_sync(os.getpid)
        rc[0].execute(POOLS[name], block=True)
        assert rc[0]["found"] == [1, 2]
        children = rc[0].apply_sync(lambda: open(f"/proc/self/task/{os.getpid()}/children").read().split())
        rc.restart(0)
        rc[0].apply_sync(os.getpid)
        assert not [name for name in os.listdir("/dev/shm") if f"-{pid}-" in name or f"_{pid}_" in name]
        wait_until(lambda: not [child for child in children if os.path.exists(f"/proc/{child}")])


def test_exit_where_there_is_IPython(pool):
    pytest.importorskip("IPython")
    pid = pool[0].apply_sync(os.getpid)
    for code in ("exit()", "quit(3)", "%timeit -n1 -r1 exit(4)"):
        pool[0].execute("%cd .", block=True)
        with pytest.raises(pxrun.RemoteError) as caught:
            pool[0].execute(code, block=True)
        assert caught.value.ename == "SystemExit"
    assert pool[0].apply_sync(os.getpid) == pid
