# SPDX-License-Identifier: BSD-3-Clause
"""Objects that go wrong when they are pickled, or when they are made again: engines import this module."""
from __future__ import annotations

import asyncio
import builtins
import os
import signal
import sys

import pxrun.error


class NoWords(Exception):
    """An exception that cannot even be shown."""

    def __str__(self):
        raise RuntimeError("no words")


def end(how):
    """Ends in a way that has a name: that of an exception, of a signal, or of a function that exits."""
    if how == "sys.exit":
        sys.exit(3)
    if how == "os._exit":
        os._exit(7)
    if how.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, how))
        signal.pause()  # not a step further
    if how == "NoWords":
        raise NoWords
    if how == "CancelledError":
        raise asyncio.CancelledError("the words")
    if how in pxrun.error.__all__:
        raise getattr(pxrun, how)("the words")
    raise getattr(builtins, how)("the words")


class _Made:
    """A part of a pickle: whoever reads it ends, if it is the process that the end is meant for."""

    def __init__(self, how, maker, elsewhere):
        if (os.getpid() != maker) == elsewhere:
            end(how)


class Value:
    """Ends the process that pickles it (``when="pickle"``), or the one that it is sent to."""

    def __init__(self, how, when):
        self.how, self.when = how, when

    def __reduce__(self):
        if self.when == "pickle":
            end(self.how)
        return _Made, (self.how, os.getpid(), True)


class Failure(Exception):
    """The same, as an exception; an engine reads such a pickle itself first: ``when="check"``."""

    def __init__(self, how, when):
        super().__init__("what the function said")
        self.how, self.when = how, when

    def __reduce__(self):
        if self.when == "pickle":
            end(self.how)
        return _again, (self.how, self.when, os.getpid())


def _again(how, when, maker):
    _Made(how, maker, when == "unpickle")
    return Failure(how, when)


def take(value):
    """Takes an argument."""


def give(how, when):
    """Gives a result."""
    return Value(how, when)


def fail(how, when):
    """Fails."""
    raise Failure(how, when)


def at_three(how, x, y=None):
    """x; of 3 its end."""
    if x == 3:
        end(how)
    return x


def each(how, part):
    """The same of each element."""
    return [at_three(how, x) for x in part]
