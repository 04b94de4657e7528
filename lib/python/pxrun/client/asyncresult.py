# SPDX-License-Identifier: BSD-3-Clause
"""AsyncResult, the handle on requests that have been sent: waits, values, exceptions.

Its other parts: metadata.py, outputs.py, progress.py, cancel.py; joined.py makes one result of several requests,
completion.py serves callbacks, outcome.py turns replies into values and exceptions.
"""
from __future__ import annotations

import functools
import operator
import pickle
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION
from typing import Any, Callable, Iterator, Sequence

from .. import _pxrun, error
from ..wire import failure
from . import advice, completion, metadata, outcome
from .asfuture import ATTRIBUTES, AsFuture
from .cancel import Cancellable
from .deadline import check_return_when, end_of, left
from .history import message_id
from .joined import Joined
from .metadata import Described
from .outputs import Outputs
from .pictured import Pictured
from .progress import Progress
from .staying import Staying


class AsyncResult(_pxrun.Pending, Described, Outputs, Progress, Pictured, Cancellable, Staying, AsFuture):
    """The answer to one request, from one engine or from several.

    With an engine's id as the view's target, results are bare values; with a list of
    targets they are lists in the order of the targets.

    It is a future as well: it can have callbacks, be given to `concurrent.futures.wait`, and
    be awaited. Its metadata are attributes and keys: ``ar.stdout``, ``ar['engine_id']``;
    of several engines they are lists. Iteration yields each engine's value as soon as it
    and those before it are there.
    """

    _instead = "send its value, ar.get()"
    #: What a note of it keeps, see `unheld`.
    _noted: tuple[str, ...] = ("_fname", "_single", "_label", "_code", "_known", "_first_number", "_places", "_stopped", "_depends")
    _note_of: Callable[[Any], tuple] = operator.attrgetter(*_noted)
    # what most have in common is not written into each
    _code: str | None = None
    _lenders: Sequence[tuple["AsyncResult", int]] = ()
    _places: Sequence[int] | None = None  # None: all of them
    _parts: tuple["AsyncResult", ...] | None = None
    _replies: dict[int, tuple] | None = None  # whose reading was interrupted: the extension gives each once
    _return_exceptions = False
    _depends: dict[str, list[str]] = {}  # of a task: the ids of what it comes after and follows, in its metadata
    _herald: Any = None  # a result of the extension that is given by next_result() in place of this one's
    _asked = False  # whether somebody had its value or exception, or display_outputs()
    _is_map = False  # whether an engine's part is a part of the value
    _raised: dict[int, dict[int, BaseException]] = {}  # of elements of a map, which stand among the values

    def __init__(
        self,
        client: Any,
        result: Any,
        fname: str,
        single: bool,
        label: str | None = None,
        code: str | None = None,
        *,
        function: Any = None,
        timeout: float | None = None,
        lenders: Sequence[tuple["AsyncResult", int]] = (),
    ) -> None:
        # not Future.__init__: most results are never used as futures, and making its lock takes time
        self._client = client
        self._result = result
        self._fname = fname
        self._single = single
        self._label = label
        if code is not None:
            self._code = code
        if function is not None:
            self._known = advice.names_seen_by(function)
        self._count = result.count
        self._first_number = _pxrun.next_number()
        self._stopped = {}
        if lenders:
            self._lenders = lenders
        else:
            client._remember(self)
        if timeout is not None:
            self._expire_after(timeout)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._note_of = operator.attrgetter(*cls._noted)

    def __repr__(self) -> str:
        from . import spans

        failed = self.ready() and any(spans.failure_of(self, i) for i in range(self._count))  # no value is read for it
        state = "failed" if failed else "finished" if self.ready() else "pending"
        return f"<{type(self).__name__}({self._fname}): {state}>"

    def __len__(self) -> int:
        return self._count

    @property
    def targets(self) -> list[int | None]:
        """The ids of the engines that were asked; None for a task that no engine has begun."""
        return [self._engine(i) for i in range(self._count)]

    def _engine(self, i: int) -> int | None:
        """The id of entry i's engine."""
        engine = self._result.engine(i)
        return engine if engine >= 0 else None

    @property
    def msg_ids(self) -> list[str]:
        """One id for each engine's part of the request; ids are unique."""
        if self._lenders:
            return [ar.msg_ids[i] for ar, i in self._lenders]
        return [message_id(self._first_number, i) for i in (range(self._count) if self._places is None else self._places)]

    @property
    def owner(self) -> bool:
        """Always true: the values are kept here and nowhere else."""
        return True

    # --- waiting

    def ready(self) -> bool:
        """Whether every engine has answered."""
        return self._result.ready()

    def done(self) -> bool:
        """As ready(); the name of concurrent.futures."""
        return self._result.ready()

    def running(self) -> bool:
        """Whether an engine works on it."""
        return any(self._result.running(i) for i in range(self._count))

    def wait(self, timeout: float | None = -1, return_when: str | None = None) -> Any:
        """Waits at most so many seconds (None or -1: for ever).

        Parameters
        ----------
        return_when : str, optional
            FIRST_COMPLETED, FIRST_EXCEPTION or ALL_COMPLETED, as in concurrent.futures.

        Returns
        -------
        bool
            Whether all is there. With `return_when`: two sets of AsyncResults of one engine
            each, those that are done and those that are not.
        """
        if return_when is None:
            return self._result.wait(timeout, self._shower())
        self._wait_for(return_when, timeout)
        parts = self.split()
        done = {part for part in parts if part.ready()}
        return done, set(parts) - done

    def _wait_for(self, return_when: str, timeout: float | None = None) -> bool:
        """Waits until what return_when names has happened; false: not in time."""
        check_return_when(return_when)
        if return_when == ALL_COMPLETED:
            return self._in_slices(self._result.wait, timeout)
        for i in self._finishing(timeout):
            if return_when == FIRST_COMPLETED or self._exceptions(i):
                return True
        return self.ready()

    def _finishing(self, timeout: float | None = None) -> Iterator[int]:
        """Indices of entries in the order in which they finish; ends early when the time is over."""
        end = end_of(timeout)
        known = 0
        while known < self._count:
            found = self._finished(known, left(end))
            known += len(found)
            yield from found
            if not found:
                return

    def _finished(self, known: int, timeout: float | None) -> list[int]:
        """Those behind the first known ones; waits until there is one. Empty: timeout."""
        if type(self._result) is not Joined:
            return self._in_slices(functools.partial(self._result.finished, known), timeout)
        order = completion.of(self._client).order_of(self._result)

        def wait(seconds: float | None, shower: Any) -> list[int]:
            found = order.after(known, seconds)
            if shower is not None:
                shower(self._result)
            return found

        return self._in_slices(wait, timeout, always=self._shows)

    def _must_be_ready(self) -> None:
        if not self.ready():
            raise TimeoutError("Result not ready.")

    def successful(self) -> bool:
        """Whether no engine raised; RuntimeError if some have not answered."""
        if not self.ready():
            raise RuntimeError("the result is not ready: use wait() first")
        return not self._failed()

    # --- values

    def _outcome(self, i: int) -> outcome.Outcome:
        """(value, exception) of entry i, which is done."""
        found = self._outcomes[i]
        if found is None:
            with self._lock:  # the extension gives a reply's buffers only once
                found = self._outcomes[i]
                if found is None:
                    found = self._outcomes[i] = self._read(i)
        return found

    def _all_outcomes(self) -> list:
        """Those of all entries, which are done."""
        if None not in self._outcomes:
            return self._outcomes
        raised = self._read_plain()
        outcomes = [self._outcome(i) if found is None else found for i, found in enumerate(self._outcomes)]
        if raised is not None and not any(e is not None and type(e.__cause__) is type(raised) for _, e in outcomes):
            raise raised  # no reply's, so it was a signal handler's
        return outcomes

    def _read_plain(self) -> BaseException | None:
        """Reads what takes nothing but unpickling; what that has raised: _read() meets it again, and describes it."""
        in_lists = self._in_lists()
        if in_lists is None or type(self._result) is not _pxrun.Result:
            return None
        try:
            with self._lock:
                self._result.read_plain(self._outcomes, pickle.loads, in_lists)
        except BaseException as e:
            if failure.may_be_ctrl_c(e):
                raise
            return error.without_end(e)
        return None

    def _wait_for_all(self, timeout: float | None) -> bool:
        """Waits for what get() is to give; may read entries while others still run."""
        return self._result.wait(timeout, self._shower())

    def _in_lists(self) -> bool | None:
        """Whether the value of an entry is a list of the one that the engine gave; None: it takes more to make it."""
        return False

    def _take(self, replies: list) -> None:
        """Takes replies that were read already."""
        core = self._client._core
        self._outcomes = [
            outcome.outcome_of(code, body, buffers, self._engine(i), core, known=self._known)
            for i, (code, body, buffers) in enumerate(replies)
        ]

    def _read(self, i: int) -> outcome.Outcome:
        if self._lenders:
            lender, there = self._lenders[i]
            return lender._outcome(there)
        core, decode = self._client._core, self._decoder(i)
        reply = (self._replies.pop(i, None) if self._replies else None) or self._result.reply(i)
        code, body, buffers = reply
        try:
            value, exception = outcome.outcome_of(code, body, buffers, self._engine(i), core, decode, self._known)
        except BaseException:  # Ctrl-C: it is there for who asks next
            self._replies = {**(self._replies or {}), i: reply}
            raise
        if exception is not None and i in self._stopped:
            exception = self._judged(i, exception)
        return value, exception

    def _decoder(self, i: int) -> Callable:
        """Makes the value of entry i from its body and buffers."""
        return outcome.unpickle

    def _judged(self, i: int, exception: BaseException) -> BaseException:
        """The exception of an entry that was stopped: the reason, unless the request failed by itself before."""
        if not isinstance(exception, (error.TaskAborted, error.EngineError)) and getattr(exception, "ename", "") != "KeyboardInterrupt":
            return exception
        engine = self._engine(i)
        made = self._stopped[i](self._fname if engine is None else f"{self._fname} on engine {engine}")
        made.engine_info = getattr(exception, "engine_info", {})  # type: ignore[attr-defined]
        made.__cause__ = exception
        return made

    def get(self, timeout: float | None = None, return_exceptions: bool | None = None, return_when: str | None = None) -> Any:
        """The value, or a list of them.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None or -1: for ever. 0 only looks, and so does what is less, other than -1.
        return_exceptions : bool, optional
            Whether exceptions are returned among the values instead of being raised.
        return_when : str, optional
            With FIRST_EXCEPTION, what one engine raised is raised before the others have answered.

        Raises
        ------
        TimeoutError
            Not ready in time.
        RemoteError
            The engine raised (the target is one id).
        CompositeError
            Some engines raised (the targets are a list).
        TaskAborted, TaskTimeout
            The request was aborted, or had its own timeout and did not finish in it.
        """
        if return_when not in (None, ALL_COMPLETED, FIRST_EXCEPTION):
            raise ValueError("get() gives all values: to have the first that is there use wait(return_when=FIRST_COMPLETED)")
        raising = not (self._return_exceptions if return_exceptions is None else return_exceptions)
        if return_when == FIRST_EXCEPTION and raising:
            ready = self._wait_for(return_when, timeout)
        else:
            ready = self._wait_for_all(timeout)
        if not ready:
            raise TimeoutError("Result not ready.")
        self._asked = True
        if return_when == FIRST_EXCEPTION and raising:
            self._raise_failure()
        outcomes = self._all_outcomes()
        self._client._sent.answered(self)
        if raising and (self._raised or self._lenders or any([exception is not None for _, exception in outcomes])):
            self._raise_failure()
        return self._values(outcomes)

    def result(self, timeout: float | None = None) -> Any:
        """As get(); the name of concurrent.futures."""
        return self.get(timeout)

    def _values(self, outcomes: list[outcome.Outcome]) -> Any:
        """Values, and exceptions in their place."""
        if self._single:
            value, exception = outcomes[0]
            return value if exception is None else exception
        return self._joined(outcomes)

    def _joined(self, outcomes: list[outcome.Outcome]) -> Any:
        return [value if exception is None else exception for value, exception in outcomes]

    def _exceptions(self, i: int) -> Sequence[BaseException]:
        """What was raised in entry i, which is done."""
        if self._lenders:
            lender, there = self._lenders[i]
            return lender._exceptions(there)
        exception = self._outcome(i)[1]
        return list(self._raised.get(i, {}).values()) if exception is None else (exception,)

    def _failed(self) -> list[BaseException]:
        return [e for i in range(self._count) if self._result.done(i) for e in self._exceptions(i)]

    def _failure(self) -> BaseException | None:
        """The exception that get() raises, made of the entries that are done; None if all succeeded. A new one each time."""
        failed = self._failed()
        if not failed:
            return None
        return error.again(failed[0]) if self._single else self._failure_of(failed)

    def _failure_of(self, failed: list[BaseException]) -> BaseException:
        """One exception for those of entries."""
        if all(error.is_own(e, error.TaskAborted, error.TaskTimeout, error.PoolError) for e in failed):
            return self._one_for_all(failed)
        return error.CompositeError(f"one or more exceptions raised in: {self._fname}", failed)

    def _one_for_all(self, failed: list) -> BaseException:
        """One exception for several entries that were aborted, timed out or lost: no engine raised."""
        first = failed[0]
        if len(failed) == 1 or isinstance(first, error.PoolError):
            return error.again(first)
        engines = [e.engine_info.get("engine_id") for e in failed]
        once = None not in engines and len(set(engines)) == len(engines)  # tasks may have been on one engine
        asked = f" on all of engines {', '.join(map(str, engines))}" if once else ""
        one = type(first)(f"{first} (likewise{asked or f' {len(failed) - 1} more'})")
        one.__cause__ = first.__cause__
        return one

    def _raise_failure(self) -> None:
        if self._failed():
            raise self._failure()  # type: ignore[misc]  # in no variable, which would keep it, and it this frame

    @property
    def r(self) -> Any:
        """get(), as a property."""
        return self.get()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The exception that get() would raise, or None; TimeoutError if not ready in time."""
        if not self._result.wait(timeout, self._shower()):
            raise TimeoutError("Result not ready.")
        self._asked = True
        failure = self._failure()
        return None if failure is None else error.without_end(failure)

    def get_dict(self, timeout: float | None = -1) -> dict:
        """{engine id: value}; ValueError if an engine has more than one of the entries."""
        if len(set(self.targets)) < len(self.targets):
            raise ValueError("an engine answers more than once: there is no dict of engines")
        self.get(timeout)
        return {engine: self._outcome(i)[0] for i, engine in enumerate(self.targets)}

    @property
    def result_dict(self) -> dict:
        """get_dict(), as a property."""
        return self.get_dict()

    def __iter__(self) -> Iterator:
        if self._single:
            raise TypeError(f"the result of one engine, {self!r}, is not iterable: use get()")
        return self._in_order()

    def _in_order(self) -> Iterator:
        for i in range(self._count):
            self._result.wait_entry(i, None, self._shower())
            value, exception = self._outcome(i)
            if exception is not None:
                raise error.again(error.without_end(exception))
            yield value

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self._metadata_value(key)
        if not isinstance(key, (int, slice)):
            raise TypeError(f"index a result by int or slice, and its metadata by str, not by {type(key).__name__}")
        if self._single:
            return self.get()[key]
        self._result.wait(None, self._shower())
        outcomes = self._all_outcomes()
        self._client._sent.answered(self)
        known = {id(e): e for e in self._failed()}
        if not known or self._return_exceptions:
            return self._values(outcomes)[key]
        found = self._in_places(outcomes)[key]
        failed = {id(e): known[id(e)] for e in (found if isinstance(key, slice) else [found]) if id(e) in known}
        if failed:
            raise self._failure_of(list(failed.values()))
        return found

    def _in_places(self, outcomes: list[outcome.Outcome]) -> Any:
        """The values, with exceptions in the places of those that failed."""
        return self._joined(outcomes)

    # --- parts

    def split(self) -> tuple["AsyncResult", ...]:
        """One AsyncResult for each engine's part; for a map its value is the list of that part. The same each time."""
        if self._count == 1:
            return (self,)
        with self._lock:
            if self._parts is None:
                self._parts = tuple(self._part(i) for i in range(self._count))
            return self._parts

    def _part(self, i: int) -> "AsyncResult":
        return self._of([(self, i)], not self._is_map)

    @classmethod
    def join(cls, *results: "AsyncResult") -> "AsyncResult":
        """One AsyncResult of several: the inverse of split()."""
        if not results:
            raise ValueError("there is nothing to join: give at least one AsyncResult")
        first = results[0]
        if len(results) == 1:
            return first
        if any(ar._client is not first._client for ar in results):
            raise ValueError("results of different clients cannot be joined")
        entries = [(ar, i) for ar in results for i in range(ar._count)]
        return first._of(entries)

    def _of(self, entries: list, single: bool = False) -> "AsyncResult":
        """A result made of entries of this one and others."""
        lenders = [ar._lenders[i] if ar._lenders else (ar, i) for ar, i in entries]
        parts = list(dict.fromkeys(ar._result for ar, _ in lenders))
        result = Joined(parts, [(ar._result, i) for ar, i in lenders])
        made = AsyncResult(self._client, result, self._fname, single, self._label, self._code, lenders=lenders)
        made._shows, made._return_exceptions = self._shows, self._return_exceptions
        return made

    # --- metadata

    def __getattr__(self, name: str) -> Any:
        if name in ATTRIBUTES:
            self._become_future()
            return self.__dict__[name]
        found = getattr(type(self), name, None)
        if isinstance(found, property):
            return found.__get__(self)  # an engine raised AttributeError, and Python takes it for the property's own
        if name not in metadata.KEYS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self._metadata_value(name)

    # --- arrays that were sent

    @property
    def sent(self) -> bool:
        """Whether arrays that were sent with ``track=True`` may be changed again; true without."""
        return all([self._result.sent(i) for i in range(self._count)])

    def wait_for_send(self, timeout: float | None = -1) -> None:
        """Waits until `sent`; TimeoutError if it is not within so many seconds."""
        if not self._result.wait_sent(timeout):
            raise TimeoutError(f"Still waiting to be sent: engines {self.holders} hold it")

    @property
    def holders(self) -> list[int]:
        """Ids of the engines that hold arrays that were sent with ``track=True``."""
        return sorted({self._result.engine(i) for i in range(self._count) if not self._result.sent(i)})
