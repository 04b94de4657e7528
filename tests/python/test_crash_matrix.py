# SPDX-License-Identifier: BSD-3-Clause
"""Whatever goes wrong, wherever it does: who is told, in which words, and that the pool serves on.

The columns of the table: what is going on (of an argument, a function, a result, an exception),
how it ends, and what the client gets.
"""
from __future__ import annotations

import asyncio
import functools
import itertools
import os
import signal
import subprocess
import sys
import threading

import pytest

import crashing
import pxrun
from pxrun import RemoteError

#: Ends of a process, and what is told of an engine that ends so.
DEATHS = {
    "os._exit": r"exited with code 7",
    "SIGKILL": r"was killed by SIGKILL \(signal 9\)",
    "SIGTERM": r"was killed by SIGTERM \(signal 15\)",
    "SIGSEGV": r"was killed by SIGSEGV \(signal 11\)",
    "SIGABRT": r"was killed by SIGABRT \(signal 6\)",
}
#: What is no Exception: the name under which it is told. None of it may end a client, or hide in it.
LEAVES = {"KeyboardInterrupt": "KeyboardInterrupt", "SystemExit": "SystemExit", "sys.exit": "SystemExit", "GeneratorExit": "GeneratorExit"}

#: What to call, and with what, so that it ends at a stage.
STAGES = {
    "argument's pickle": lambda how: (crashing.take, crashing.Value(how, "pickle")),
    "argument's unpickle": lambda how: (crashing.take, crashing.Value(how, "unpickle")),
    "function": lambda how: (crashing.end, how),
    "result's pickle": lambda how: (crashing.give, how, "pickle"),
    "result's unpickle": lambda how: (crashing.give, how, "unpickle"),
    "exception's pickle": lambda how: (crashing.fail, how, "pickle"),
    "exception's check": lambda how: (crashing.fail, how, "check"),
    "exception's unpickle": lambda how: (crashing.fail, how, "unpickle"),
}

# fmt: off
ROWS = [
    # in this process, before anything is sent: what is no Exception is the caller's own
    ("argument's pickle",    "ValueError",        TypeError,         r"^argument 1 of take, of type Value, cannot be sent: ValueError: the words$"),
    ("argument's pickle",    "StopIteration",     TypeError,         r"cannot be sent: StopIteration: the words$"),
    ("argument's pickle",    "NoWords",           TypeError,         r"cannot be sent: NoWords: <str\(\) of the NoWords raised RuntimeError>$"),
    ("argument's pickle",    "KeyboardInterrupt", KeyboardInterrupt, r"^the words$"),
    ("argument's pickle",    "SystemExit",        SystemExit,        r"^the words$"),
    ("argument's pickle",    "sys.exit",          SystemExit,        r"^3$"),
    ("argument's pickle",    "GeneratorExit",     GeneratorExit,     r"^the words$"),
    # on the engine
    ("argument's unpickle",  "ValueError",        TypeError,         r"^\[\d+:apply\] TypeError: the engine cannot unpickle the call: ValueError: the words$"),
    ("argument's unpickle",  "StopIteration",     TypeError,         r"the engine cannot unpickle the call: StopIteration: the words$"),
    ("argument's unpickle",  "KeyError",          TypeError,         r"the engine cannot unpickle the call: KeyError: 'the words'$"),
    ("argument's unpickle",  "NoWords",           TypeError,         r"the engine cannot unpickle the call: NoWords: <str\(\) of the NoWords raised RuntimeError>$"),
    ("function",             "ValueError",        ValueError,        r"^\[\d+:apply\] ValueError: the words$"),
    ("function",             "StopIteration",     StopIteration,     r"^\[\d+:apply\] StopIteration: the words$"),
    ("function",             "KeyError",          KeyError,          r"^\[\d+:apply\] KeyError: 'the words'$"),
    ("function",             "AttributeError",    AttributeError,    r"^\[\d+:apply\] AttributeError: the words$"),
    ("function",             "TimeoutError",      TimeoutError,      r"^\[\d+:apply\] TimeoutError: the words$"),
    ("function",             "NoWords",           crashing.NoWords,  r"^\[\d+:apply\] NoWords: <str\(\) of the NoWords raised RuntimeError>$"),
    ("result's pickle",      "ValueError",        TypeError,         r"^\[\d+:apply\] TypeError: the result, of type Value, cannot be sent: ValueError: the words$"),
    ("result's pickle",      "StopIteration",     TypeError,         r"the result, of type Value, cannot be sent: StopIteration: the words$"),
    ("result's pickle",      "NoWords",           TypeError,         r"the result, of type Value, cannot be sent: NoWords: <str\(\) of the NoWords raised RuntimeError>$"),
    # in this process again, but nothing that an engine sends may end it
    ("result's unpickle",    "ValueError",        TypeError,         r"^the result of engine \d+ cannot be unpickled here: ValueError: the words$"),
    ("result's unpickle",    "StopIteration",     TypeError,         r"cannot be unpickled here: StopIteration: the words$"),
    ("result's unpickle",    "NoWords",           TypeError,         r"cannot be unpickled here: NoWords: <str\(\) of the NoWords raised RuntimeError>$"),
    ("result's unpickle",    "KeyboardInterrupt", KeyboardInterrupt, r"^the words$"),  # for all we know, the user's
    ("result's unpickle",    "SystemExit",        TypeError,         r"cannot be unpickled here: SystemExit: the words$"),
    ("result's unpickle",    "sys.exit",          TypeError,         r"cannot be unpickled here: SystemExit: 3$"),
    ("result's unpickle",    "GeneratorExit",     TypeError,         r"cannot be unpickled here: GeneratorExit: the words$"),
    ("exception's unpickle", "KeyboardInterrupt", KeyboardInterrupt, r"^the words$"),
    *[("exception's unpickle", how, RemoteError, r"^\[\d+:apply\] Failure: what the function said$") for how in ["ValueError", "NoWords", *LEAVES] if how != "KeyboardInterrupt"],
    # of a function's exception there are words, whatever is wrong with its pickle
    *[(stage, how, RemoteError, r"^\[\d+:apply\] Failure: what the function said$") for stage in ("exception's pickle", "exception's check") for how in ["ValueError", "NoWords", *LEAVES]],
    *[(stage, how, RemoteError, rf"^\[\d+:apply\] {name}: ") for stage in ("argument's unpickle", "function", "result's pickle") for how, name in LEAVES.items()],
    *[
        (stage, how, pxrun.EngineError, rf"engine \d+ \(process \d+\) {words}")
        for stage in ("argument's unpickle", "function", "result's pickle", "exception's pickle", "exception's check")
        for how, words in DEATHS.items()
    ],
]
# fmt: on
#: Where the client is the one that ends.
HERE = ["argument's pickle", "result's unpickle", "exception's unpickle"]


@pytest.fixture(scope="module")
def many():
    """A pool of so many engines that none has to die more than three times: the next starts of its id then take longer."""
    with pxrun.Cluster(n=12) as rc:
        victims = itertools.cycle(rc.ids)
        yield rc, victims


def assert_serves(rc, victim):
    """Engines answer: the one that something happened to, and another one."""
    other = (victim + 1) % len(rc)
    assert rc[[victim, other]].apply_sync(len, "abc") == [3, 3]


@pytest.mark.parametrize("stage, how, kind, words", ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_crash(many, stage, how, kind, words):
    rc, victims = many
    victim = next(victims)
    view, call, before = rc[victim], STAGES[stage](how), rc.engines[victim].generation
    dies = issubclass(kind, pxrun.EngineError)
    if how in ("SIGSEGV", "SIGABRT") and os.environ.get("PXRUN_SANITIZE_PRELOAD"):
        words = ""  # a sanitizer's runtime takes the signal, and exits
    with pytest.raises(kind, match=words) as caught:
        view.apply_sync(*call)
    assert kind is not RemoteError or type(caught.value) is RemoteError
    assert_serves(rc, victim)
    if not dies and stage != "argument's pickle":
        ar = view.apply_async(*call)
        for _ in range(2):
            with pytest.raises(kind, match=words):
                ar.get(60)
        assert_serves(rc, victim)
    assert rc.engines[victim].generation == before + dies


@pytest.mark.parametrize("how", DEATHS)
@pytest.mark.parametrize("stage", HERE)
def test_crash_of_the_client(many, stage, how):
    rc, victims = many
    victim = next(victims)
    code = "import sys, pxrun, test_crash_matrix as m; pxrun.Client()[int(sys.argv[1])].apply_sync(*m.STAGES[sys.argv[2]](sys.argv[3]))"
    env = dict(os.environ, PXRUN_CONNECTION=rc.connection_file, PYTHONPATH=os.pathsep.join(p for p in sys.path if p))
    ended = subprocess.run([sys.executable, "-c", code, str(victim), stage, how], env=env, timeout=60, capture_output=True, text=True)
    assert ended.returncode == (7 if how == "os._exit" else -getattr(signal, how)), ended.stderr
    assert_serves(rc, victim)


# --- exceptions that Python, or pxrun itself, gives a meaning of their own --------------------------

WITH_A_MEANING = ["StopIteration", "StopAsyncIteration", "GeneratorExit", "KeyboardInterrupt", "SystemExit", "CancelledError"]
WITH_A_MEANING += ["AttributeError", "KeyError", "IndexError", "TypeError", "TimeoutError", "ConnectionError", "ImportError"]
OF_PXRUN = ["TaskAborted", "TaskTimeout", "EngineError", "PoolError", "UnmetDependency"]


async def awaited(ar):
    async def waits():
        return await ar

    task = asyncio.ensure_future(waits())
    await asyncio.wait([task])
    assert not task.cancelled()
    return task.result()


def called_back(ar):
    done = threading.Event()
    ar.add_done_callback(lambda ar: done.set())
    assert done.wait(60)
    raise ar.exception()


def end_of(how):
    return functools.partial(crashing.at_three, how)


#: What a client does with a function that raises for one of the elements.
WAYS = {
    "apply": lambda rc, how: rc[0].apply_sync(crashing.end, how),
    "apply on all": lambda rc, how: rc[:].apply_sync(crashing.end, how),
    "execute": lambda rc, how: rc[0].execute(f"import crashing; crashing.end({how!r})", block=True),
    "execute with a value": lambda rc, how: rc[0].execute(f"import crashing; crashing.end({how!r})", silent=False, block=True),
    "pull": lambda rc, how: rc[0].pull(f"__import__('crashing').end({how!r})", block=True),
    "gather": lambda rc, how: rc[:].gather(f"__import__('crashing').end({how!r})", block=True),
    "Reference": lambda rc, how: rc[0].apply_sync(len, pxrun.Reference(f"__import__('crashing').end({how!r})")),
    "Reference in a list": lambda rc, how: rc[0].apply_sync(len, [pxrun.Reference(f"__import__('crashing').end({how!r})")]),
    "map": lambda rc, how: rc[:].map_sync(end_of(how), range(8)),
    "map on one": lambda rc, how: rc[0].map_sync(end_of(how), range(8)),
    "map of two": lambda rc, how: rc[:].map_sync(end_of(how), range(8), range(8)),
    "map with a Reference": lambda rc, how: rc[:].map_sync(end_of(how), [pxrun.Reference("3"), 4]),
    "imap": lambda rc, how: list(rc[:].imap(end_of(how), range(8))),
    "executor.map": lambda rc, how: list(rc[:].executor.map(end_of(how), range(8))),
    "executor.submit": lambda rc, how: rc[0].executor.submit(crashing.end, how).result(),
    "parallel": lambda rc, how: rc[:].parallel(block=True)(functools.partial(crashing.each, how))(range(8)),
    "parallel.map": lambda rc, how: rc[:].parallel(dist="r", block=True)(end_of(how)).map(range(8)),
    "remote": lambda rc, how: rc[0].remote(block=True)(crashing.end)(how),
    "iteration": lambda rc, how: list(rc[:].apply_async(crashing.end, how)),
    "r": lambda rc, how: rc[0].apply_async(crashing.end, how).r,
    "result_dict": lambda rc, how: rc[:].apply_async(crashing.end, how).result_dict,
    "await": lambda rc, how: asyncio.run(awaited(rc[0].apply_async(crashing.end, how))),
    "await of a map": lambda rc, how: asyncio.run(awaited(rc[:].map_async(end_of(how), range(8)))),
    "callback": lambda rc, how: called_back(rc[0].apply_async(crashing.end, how)),
}


@pytest.mark.parametrize("how", WITH_A_MEANING + OF_PXRUN)
@pytest.mark.parametrize("way", WAYS)
def test_exception_that_means_something_elsewhere_is_told(pool, way, how):
    with pytest.raises(pxrun.RemoteError) as caught:
        WAYS[way](pool, how)
    names = {e[0] for e in caught.value.elist} if isinstance(caught.value, pxrun.CompositeError) else {caught.value.ename}
    assert names == {how}
    assert pool[:].apply_sync(len, "ab") == [2] * len(pool)


@pytest.mark.parametrize("how", OF_PXRUN)
def test_exception_that_a_request_raised_is_no_state_of_the_request(pool, how):
    for ar in (pool[0].apply_async(crashing.end, how), pool[:].apply_async(crashing.end, how)):
        assert ar.wait(60) and not ar.successful() and not ar.cancelled()
        status = ar.metadata.status if ar._single else ar.metadata[0].status
        assert status == "error"
