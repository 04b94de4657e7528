# SPDX-License-Identifier: BSD-3-Clause
"""The metadata of results: who computed them when, with what output."""
from __future__ import annotations

import datetime
import pickle
import time
from typing import Any, Callable

from .. import error
from ..datapub import DATA, DISPLAY, STDERR, STDOUT, displayed, replace
from .outcome import engine_uuid

#: Also attributes and keys of an AsyncResult.
KEYS = (
    "msg_id submitted started completed received engine_uuid engine_id follow after status execute_input "
    "execute_result error stdout stderr outputs data label".split()
)


class Metadata(dict):
    """The metadata of one engine's reply; keys are attributes too, and there are no others."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"metadata has no {name!r}: it has {', '.join(KEYS)}") from None

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in KEYS:
            raise KeyError(f"metadata has no {name!r}: it has {', '.join(KEYS)}")
        super().__setitem__(name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in KEYS:
            raise AttributeError(f"metadata has no {name!r}: it has {', '.join(KEYS)}")
        self[name] = value


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def when(ns: int) -> datetime.datetime | None:
    """Nanoseconds since the epoch as a datetime with time zone, in whole microseconds; None for 0."""
    return _EPOCH + datetime.timedelta(microseconds=ns // 1000) if ns else None


def _seconds(start: int, end: int) -> float:
    """Between two times in nanoseconds: as between their datetimes."""
    return (end // 1000 - start // 1000) / 10**6


def text(result: Any, i: int, which: int) -> str:
    """What entry i has printed on a stream so far."""
    return result.output(i, which).decode("utf-8", "replace")


def bundles(chunks: list) -> list[dict]:
    """The objects displayed, as `displayed()` gives them, those with a display_id as they were last."""
    found: list[dict] = []
    for which, chunk in chunks:
        if which == DISPLAY and not replace(found, new := displayed(chunk)):
            found.append(new)
    return found


def published(chunks: list) -> dict:
    """What the request published, later values over earlier ones."""
    found: dict = {}
    for which, chunk in chunks:
        if which == DATA:
            found.update(pickle.loads(chunk))
    return found


def read(result: Any, i: int, about: dict) -> Metadata:
    """The metadata of entry i for which its value is not needed.

    Parameters
    ----------
    result : _pxrun.Result or Joined
    about : dict
        The keys that the client knows by itself.
    """
    submitted, started, completed, received = result.times(i)
    chunks = result.chunks(i)
    found = Metadata(dict.fromkeys(KEYS))
    found.update(
        submitted=when(submitted),
        started=when(started),
        completed=when(completed),
        received=when(received),
        stdout=text(result, i, STDOUT),
        stderr=text(result, i, STDERR),
        outputs=bundles(chunks),
        data=published(chunks),
        **about,
    )
    return found


class Described:
    """The part of AsyncResult for metadata, times and progress."""

    def _about(self: Any, i: int) -> dict:
        """The metadata that the client knows by itself."""
        engine = self._engine(i)
        return {
            "msg_id": self.msg_ids[i],
            "engine_id": engine,
            "engine_uuid": None if engine is None else engine_uuid(self._client._core, engine),
            "execute_input": self._code,
            "label": self._label,
            **self._depends,
        }

    def _metadata_of(self: Any, i: int) -> Metadata:
        found = read(self._result, i, self._about(i))
        if self._result.done(i):
            value, exception = self._outcome(i)
            aborted = error.is_own(exception, error.TaskAborted)
            found["status"] = "ok" if exception is None else "aborted" if aborted else "error"
            found["error"] = exception
            if self._code is not None:
                found["execute_result"] = getattr(value, "execute_result", None)
        return found

    @property
    def metadata(self: Any) -> Any:
        """The metadata of each reply: a Metadata, or a list of them."""
        self.ready()
        found = [self._metadata_of(i) for i in range(self._count)]
        return found[0] if self._single else found

    def _metadata_value(self: Any, key: str) -> Any:
        if key not in KEYS:
            raise KeyError(key)
        entries = [self._about(i) for i in range(self._count)]
        if key not in entries[0]:
            found = self.metadata
            entries = [found] if self._single else found
        return entries[0][key] if self._single else [entry[key] for entry in entries]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *KEYS]

    # --- times

    @property
    def progress(self: Any) -> int:
        """How many elements are done, out of len()."""
        self.ready()
        return sum([self._done_of(i) for i in range(self._count)])

    def _done_of(self: Any, i: int) -> int:
        return int(self._result.done(i))

    def _times(self: Any) -> list[tuple[int, int, int, int]]:
        return [self._result.times(i) for i in range(self._count)]

    @property
    def elapsed(self: Any) -> float:
        """Seconds from submission until the last reply, or until now."""
        times = self._times()
        end = max(t[3] for t in times) if self.ready() else time.time_ns()
        return _seconds(min(t[0] for t in times), end)

    @property
    def serial_time(self: Any) -> float:
        """Seconds that the engines computed, added up; TimeoutError if not ready."""
        self._must_be_ready()
        return sum(_seconds(started, completed) for _, started, completed, _ in self._times())

    @property
    def wall_time(self: Any) -> float:
        """Seconds from submission until the last reply arrived; TimeoutError if not ready."""
        self._must_be_ready()
        return self.elapsed

    @staticmethod
    def timedelta(start: Any, end: Any, start_key: Callable = min, end_key: Callable = max) -> float:
        """Seconds between two datetimes, or between the first and the last of several.

        Parameters
        ----------
        start, end : datetime or sequence of datetime
            As ``ar.submitted`` and ``ar.received`` are.
        start_key, end_key : callable
            Choose one of several.
        """
        if not isinstance(start, datetime.datetime):
            start = start_key(start)
        if not isinstance(end, datetime.datetime):
            end = end_key(end)
        return (end - start).total_seconds()
