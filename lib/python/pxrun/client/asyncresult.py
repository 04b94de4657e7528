# SPDX-License-Identifier: BSD-3-Clause
"""What a request gives before its answer is there."""
from __future__ import annotations

import datetime
from typing import Any, Iterator

from .. import _serialize, _values, error
from .map import Map
from .reply import outcome_of as _outcome_of

_KEYS = (
    "msg_id submitted started completed received engine_id status execute_input execute_result error stdout "
    "stderr label".split()
)


def _when(ns: int) -> datetime.datetime | None:
    """Nanoseconds since the epoch as a date with its zone; None for 0."""
    return datetime.datetime.fromtimestamp(ns / 1e9, datetime.timezone.utc) if ns else None


class Metadata(dict):
    """What is known of one engine's answer; keys are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class AsyncResult:
    """The answer to one request, from one engine or from several.

    With an engine's id as the view's target, results are bare values; with a list of
    targets they are lists in the order of the targets.

    Iteration over several engines' results yields each as soon as it and those before it
    are there.
    """

    def __init__(self, client: Any, result: Any, fname: str, single: bool, label: str | None = None, code: str | None = None) -> None:
        self._client = client
        self._result = result
        self._fname = fname
        self._single = single
        self._label = label
        self._code = code
        self._count = result.count
        self._replies: list[Any] = [None] * self._count  # (value, exception) once unpickled
        self.targets = [result.engine(i) for i in range(self._count)]
        client._remember(self)

    def __repr__(self) -> str:
        state = "pending" if not self.ready() else "finished" if self.successful() else "failed"
        return f"<{type(self).__name__}({self._fname}): {state}>"

    def __len__(self) -> int:
        return self._count

    # --- waiting

    def ready(self) -> bool:
        """Whether every engine has answered."""
        return self._result.ready()

    def done(self) -> bool:
        """As ready(); the name of concurrent.futures."""
        return self.ready()

    def wait(self, timeout: float | None = -1) -> bool:
        """Waits at most `timeout` seconds (None or negative: for ever); whether all is there."""
        return self._result.wait(timeout)

    def wait_for_output(self, timeout: float | None = -1) -> bool:
        """As wait(): output arrives before the reply that ends it."""
        return self.wait(timeout)

    def successful(self) -> bool:
        """Whether no engine raised; RuntimeError if some have not answered."""
        if not self.ready():
            raise RuntimeError("the result is not ready: use wait() first")
        return all(self._outcome(i)[1] is None for i in range(self._count))

    # --- values

    def _outcome(self, i: int) -> tuple[Any, BaseException | None]:
        """(value, exception) of entry i, which is done."""
        found = self._replies[i]
        if found is None:
            found = self._replies[i] = self._read(i)
        return found

    def _read(self, i: int) -> tuple[Any, BaseException | None]:
        code, body, buffers = self._result.reply(i)
        return _outcome_of(code, body, buffers, self.targets[i], self._decode)

    def _decode(self, body: bytes, buffers: list | None) -> Any:
        return _serialize.loads(body, buffers or ())

    def get(self, timeout: float | None = None, return_exceptions: bool = False) -> Any:
        """The value, or a list of them.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None: for ever. 0 only looks.
        return_exceptions : bool
            Whether exceptions stand among the values instead of being raised.

        Raises
        ------
        TimeoutError
            Not ready in time.
        RemoteError
            The engine raised (the target is one id).
        CompositeError
            Some engines raised (the targets are a list).
        """
        if not self._result.wait(timeout):
            raise TimeoutError("Result not ready.")
        outcomes = [self._outcome(i) for i in range(self._count)]
        if return_exceptions:
            values = [e if e is not None else v for v, e in outcomes]
        else:
            self._raise_failures(outcomes)
            values = [v for v, _ in outcomes]
        return values[0] if self._single else self._joined(values)

    result = get

    def _joined(self, values: list) -> Any:
        return values

    def _raise_failures(self, outcomes: list) -> None:
        failed = [(i, e) for i, (_, e) in enumerate(outcomes) if e is not None]
        if not failed:
            return
        if self._single:
            raise failed[0][1]
        raise self._composite(failed)

    def _composite(self, failed: list) -> error.CompositeError:
        return error.CompositeError(f"one or more exceptions raised in: {self._fname}", [e for _, e in failed])

    @property
    def r(self) -> Any:
        """get(), as a property."""
        return self.get()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The exception that get() would raise, or None."""
        try:
            self.get(timeout)
        except TimeoutError:
            if not self.ready():
                raise
            return self._failure()
        except Exception as e:
            return e
        return None

    def _failure(self) -> BaseException | None:
        try:
            self._raise_failures([self._outcome(i) for i in range(self._count)])
        except Exception as e:
            return e
        return None

    def get_dict(self, timeout: float | None = -1) -> dict:
        """{engine id: value}; ValueError if an engine has more than one of the entries."""
        values = self.get(None if timeout is not None and timeout < 0 else timeout)
        if self._single:
            return {self.targets[0]: values}
        if len(set(self.targets)) < len(self.targets):
            raise ValueError("an engine answered more than once: there is no dict of engines")
        return dict(zip(self.targets, values))

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
            self._wait_entry(i)
            value, exception = self._outcome(i)
            if exception is not None:
                raise exception
            yield value

    def _wait_entry(self, i: int) -> None:
        while not self._result.done(i):
            # what is not ready as a whole may be so in part: entries are looked at between naps
            self._result.wait(0.001)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self._metadata_value(key)
        return self.get()[key]

    # --- metadata

    def _metadata_of(self, i: int) -> Metadata:
        submitted, started, completed, received = self._result.times(i)
        done = self._result.done(i)
        value, exception = self._outcome(i) if done else (None, None)
        return Metadata(
            msg_id=f"{id(self._result):x}_{i}",
            submitted=_when(submitted),
            started=_when(started),
            completed=_when(completed),
            received=_when(received),
            engine_id=self.targets[i],
            status=None if not done else "ok" if exception is None else "error",
            execute_input=self._code,
            execute_result=getattr(value, "text", None) if self._code is not None else None,
            error=exception,
            stdout=self._result.output(i, 1).decode("utf-8", "replace"),
            stderr=self._result.output(i, 2).decode("utf-8", "replace"),
            label=self._label,
        )

    @property
    def metadata(self) -> Any:
        """What is known of each answer: a Metadata, or a list of them."""
        found = [self._metadata_of(i) for i in range(self._count)]
        return found[0] if self._single else found

    def _metadata_value(self, key: str) -> Any:
        if key not in _KEYS:
            raise KeyError(key)
        found = self.metadata
        return found[key] if self._single else [m[key] for m in found]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in _KEYS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self._metadata_value(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *_KEYS]

    # --- times

    @property
    def progress(self) -> int:
        """How many engines have answered."""
        self._result.ready()
        return sum(self._result.done(i) for i in range(self._count))

    @property
    def elapsed(self) -> float:
        """Seconds from submission until the last answer, or until now."""
        times = [self._result.times(i) for i in range(self._count)]
        if self.ready():
            end = max(t[3] for t in times) / 1e9
        else:
            end = datetime.datetime.now(datetime.timezone.utc).timestamp()
        return end - min(t[0] for t in times) / 1e9

    def _must_be_ready(self) -> None:
        if not self.ready():
            raise TimeoutError("Result not ready.")

    @property
    def serial_time(self) -> float:
        """Seconds that the engines computed, added up."""
        self._must_be_ready()
        times = [self._result.times(i) for i in range(self._count)]
        return sum(t[2] - t[1] for t in times) / 1e9

    @property
    def wall_time(self) -> float:
        """Seconds from submission until the last answer was here."""
        self._must_be_ready()
        return self.elapsed

    # --- output

    def display_outputs(self, groupby: str = "type") -> None:
        """Prints what the engines printed, and the values of last expressions."""
        self._must_be_ready()
        if groupby not in ("type", "engine", "order"):
            raise ValueError(f"groupby is 'type', 'engine' or 'order', not {groupby!r}")
        for stream in ("stdout", "stderr"):
            for metadata in self.metadata if not self._single else [self.metadata]:
                text = metadata[stream]
                if text:
                    prefix = "" if self._single else f"[{stream}:{metadata.engine_id}] "
                    print(prefix + text, end="" if text.endswith("\n") else "\n")


class ExecuteReply:
    """The value of a last expression, as text."""

    def __init__(self, count: int, text: str | None, engine_id: int) -> None:
        self.execution_count = count
        self.text = text
        self.engine_id = engine_id

    def __repr__(self) -> str:
        return f"<ExecuteReply[{self.execution_count}]: {self.text or ''}>"


class AsyncExecuteResult(AsyncResult):
    """Of execute()."""

    def _read(self, i: int) -> tuple[Any, BaseException | None]:
        code, body, buffers = self._result.reply(i)
        engine = self.targets[i]
        return _outcome_of(code, body, buffers, engine, lambda b, _: ExecuteReply(*_values.decode(b), engine))


class AsyncMapResult(AsyncResult):
    """Of map() and gather(): the engines' parts, joined in order.

    Can be iterated at any time: elements of the first part come before later parts are there.
    """

    def __init__(self, *args: Any, mapping: Map | None = None, length: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._mapping = mapping or Map()
        self._length = length

    def __len__(self) -> int:
        return self._count if self._length is None else self._length

    def _joined(self, values: list) -> Any:
        return self._mapping.join(values)

    def __iter__(self) -> Iterator:
        for part in self._in_order():
            try:
                yield from part
            except TypeError:
                yield part
