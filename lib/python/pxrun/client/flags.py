# SPDX-License-Identifier: BSD-3-Clause
"""The flags of views: block, track, label, timeout and the like, which apply to each call."""
from __future__ import annotations

import contextlib
import operator
from typing import Any, Iterator

from .. import error
from . import outputs


def _flag(name: str, kind: Any, words: str) -> Any:
    """A property that accepts only values of some types."""
    hidden = "_" + name

    def get(self: Any) -> Any:
        return getattr(self, hidden)

    def put(self: Any, value: Any) -> None:
        if not isinstance(value, kind) or isinstance(value, bool) and kind is not bool:
            raise TypeError(f"{name} is {words}, not {value!r}")
        if name == "timeout" and value is not None and not value > 0:
            raise ValueError(f"a timeout is None or a number of seconds above 0, not {value!r}")
        setattr(self, hidden, value)

    return property(get, put)


class Flags:
    """The part of a view that has the flags; their first values are the client's."""

    client: Any
    _names: tuple[str, ...] = ("targets", "block", "track", "label", "timeout", "signal_on_interrupt", "send_globals", "output")

    def _begin_flags(self, targets: Any, flags: dict[str, Any]) -> None:
        self._block: bool = self.client.block
        self._track = False
        self._label: str | None = None
        self._timeout: float | None = None
        self._signal_on_interrupt: bool = self.client.signal_on_interrupt
        self._send_globals: bool = self.client.send_globals
        self.output = self.client.output
        self._library: str | None = None  # 'cloudpickle' or 'dill', if use_…() chose it
        self._set_targets(targets)
        self.set_flags(**flags)

    @property
    def targets(self) -> Any:
        return self._targets_set

    @targets.setter
    def targets(self, targets: Any) -> None:
        self._set_targets(targets)

    def _set_targets(self, targets: Any) -> None:
        if targets is None:
            targets = self.client.ids
        elif isinstance(targets, slice):
            targets = self.client.ids[targets]
        elif not (type(targets) is int or targets == "all"):
            try:
                targets = [operator.index(t) for t in targets]
            except TypeError:
                raise TypeError(f"targets are an id, a list of ids, a slice or 'all', not {targets!r}") from None
        if isinstance(targets, list) and not targets:
            raise error.NoEnginesRegistered(f"no targets: that names none of the pool's engines {self.client.ids}")
        self._targets_set = targets

    block = _flag("block", bool, "True or False")
    track = _flag("track", bool, "True or False")
    label = _flag("label", (str, type(None)), "a str, or None")
    timeout = _flag("timeout", (int, float, type(None)), "a number of seconds, or None")
    signal_on_interrupt = _flag("signal_on_interrupt", bool, "True or False")
    send_globals = _flag("send_globals", bool, "True or False")

    @property
    def output(self) -> str:
        return "keep" if self._shower is None else "show"

    @output.setter
    def output(self, output: str) -> None:
        self._shower = outputs.show_news if outputs.is_shown(output) else None

    def _copy(self) -> Any:
        """Another view of its kind with the same flags, and a history of its own."""
        flags = {name: getattr(self, name) for name in self._names if name != "targets"}
        return type(self)(self.client, self.targets, **flags)  # type: ignore[call-arg]

    def _kept(self) -> dict[str, Any]:
        """The flags, by the names of the attributes that hold them."""
        hold = {"targets": "_targets_set", "output": "_shower"}
        attributes = [hold.get(name, "_" + name) for name in self._names]
        return {name: getattr(self, name) for name in attributes}

    def _restore(self, before: dict[str, Any]) -> None:
        for name, value in before.items():
            setattr(self, name, value)

    def set_flags(self, **flags: Any) -> Any:
        """Sets attributes, and none of them if one cannot be set; KeyError for one that is no flag. Returns the view."""
        before = self._kept()
        try:
            for name, value in flags.items():
                if name not in self._names:
                    raise KeyError(f"Invalid name: {name!r}; flags are {', '.join(self._names)}")
                setattr(self, name, value)
        except BaseException:
            self._restore(before)
            raise
        return self

    @contextlib.contextmanager
    def temp_flags(self, **flags: Any) -> Iterator[None]:
        """Sets attributes for the duration of a with statement."""
        before = self._kept()
        try:
            self.set_flags(**flags)
            yield
        finally:
            self._restore(before)
