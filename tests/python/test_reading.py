# SPDX-License-Identifier: BSD-3-Clause
"""How a client reads many replies at once: what cannot be read, what interrupts, what asks meanwhile."""
import os
import signal

import pytest

import pxrun
from pxrun.client import history

SIZE = 16


class Bad:
    """Cannot be read where it was made."""

    def __init__(self, home):
        self.home = home

    def __reduce__(self):
        return read, (self.home,)


def read(home):
    if os.getpid() == home:
        raise ValueError("not here")
    return Bad(home)


def some_bad(i, home):
    return Bad(home) if i == 5 else i


def signals(home, number):
    """Its result sends a signal to whoever reads it."""
    return Sender(home, number)


class Sender:
    def __init__(self, home, number):
        self.home, self.number = home, number

    def __reduce__(self):
        return send, (self.home, self.number)


def send(home, number):
    if os.getpid() == home:
        os.kill(home, number)
        return "sent"
    return Sender(home, number)


@pytest.fixture(params=["tasks", "engines"])
def call(request, pool):
    """Calls f(i, *args) for some i, as single tasks or on engines."""
    view = pool.load_balanced_view()

    def call(f, *args):
        if request.param == "tasks":
            return view.map_async(f, range(SIZE), *[[arg] * SIZE for arg in args], chunksize=1)
        return pool[:].apply_async(f, 5, *args)

    return call


def test_what_cannot_be_read_fails_alone(pool):
    ar = pool.load_balanced_view().map_async(some_bad, range(SIZE), [os.getpid()] * SIZE, chunksize=1, return_exceptions=True)
    values = ar.get()
    assert [i for i in range(SIZE) if isinstance(values[i], TypeError)] == [5]
    assert "cannot be unpickled here: ValueError: not here" in str(values[5])
    assert values[:5] + values[6:] == [*range(5), *range(6, SIZE)]
    assert ar.get() == values


def test_what_cannot_be_read_is_raised(call):
    with pytest.raises((TypeError, pxrun.CompositeError), match="cannot be unpickled here: ValueError: not here"):
        call(some_bad, os.getpid()).get()


def sender(i, home, number):
    return signals(home, number) if i == 5 else i


@pytest.mark.parametrize("raised", [SystemExit(3), ZeroDivisionError("a handler's"), KeyboardInterrupt()], ids=repr)
def test_what_a_signal_handler_raises_is_raised(call, raised):
    """And nothing is lost: the values are there for who asks again."""

    todo = [raised]

    def handler(number, frame):
        if todo:
            raise todo.pop()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        ar = call(sender, os.getpid(), signal.SIGUSR1)
        ar.wait()
        with pytest.raises(type(raised)):
            ar.get()
        values = ar.get()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert "sent" in values


def test_who_asks_while_it_is_read_gets_the_same(pool):
    asked = []

    def handler(number, frame):
        if not asked:
            asked.append(None)  # the handler's own reading sends the signal again
            asked[0] = ar.get()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        ar = pool[:].apply_async(sender, 5, os.getpid(), signal.SIGUSR1)
        ar.wait()
        values = ar.get()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert values == ["sent"] * 4
    assert asked[0] == values
    assert ar.get() == values


def test_large_and_small_replies_in_one_map(pool):
    pytest.importorskip("numpy")
    view = pool.load_balanced_view()
    ar = view.map_async(lambda i: __import__('numpy').full(100_000, i) if i % 2 else i, range(10), chunksize=1)
    values = ar.get()
    assert [int(value[0]) if i % 2 else value for i, value in enumerate(values)] == list(range(10))


def test_results_that_are_gone_are_forgotten(pool):
    """And those that are held are found."""
    held = [pool[0].apply_async(int, i) for i in range(3)]
    for ar in held:
        ar.get()
    for i in range(2 * history._MANY):
        pool[0].apply_async(int, i).get()
    assert len(pool._sent._results) <= 2 * history._MANY
    assert [pool.get_result(ar.msg_ids[0]) for ar in held] == held
