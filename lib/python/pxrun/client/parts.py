# SPDX-License-Identifier: BSD-3-Clause
"""The part of DirectView that distributes sequences: scatter, gather, and arrays in files."""
from __future__ import annotations

import contextlib
from typing import Any

from ..engine import calls as engine_calls
from ..error import CannotSend
from ..wire.calls import find_culprit
from . import map as maps
from .joined import Joined
from .sequences import first, for_scatter


class Parts:
    """The methods of DirectView that distribute sequences in parts."""

    def scatter(
        self: Any,
        key: str,
        seq: Any,
        dist: str = "b",
        flatten: bool = False,
        targets: Any = None,
        block: bool | None = None,
        track: bool | None = None,
    ) -> Any:
        """Cuts a sequence into one part for each engine and assigns them.

        Parts are slices; of what has a length and no slices, as deques and sets, they are lists. DataFrames
        are cut by their rows.

        A large numpy array is copied into shared memory once, or not at all if it lies there already;
        each engine gets its part of it.

        Parameters
        ----------
        dist : 'b' or 'r'
            Blocks, or every n-th element.
        flatten : bool
            Whether a part of one element is assigned bare.

        Returns
        -------
        AsyncResult, or with block None.
        """
        sequence = for_scatter(seq)
        mapping = maps.by_name(dist)
        ids, _ = self._targets(targets)
        self._check_alive(ids)
        parts, copied = maps.shared_parts(self.client, mapping, sequence, len(ids))
        flags = 0 if copied else self._track_flag(track)
        if flatten:
            parts = [first(part) if len(part) == 1 else part for part in parts]
        results: list = []
        try:
            for part, engine in zip(parts, ids):
                results.append(self._submit_call(engine_calls.push, ({key: part},), {}, [engine], flags))
        except BaseException as failed:
            # all parts or none
            for engine in ids[: len(results)]:
                with contextlib.suppress(Exception):
                    self._submit_call(engine_calls.drop, (key,), {}, [engine])
            if isinstance(failed, CannotSend) and hasattr(part, "__iter__"):
                named = [(f"element {mapping.index(len(sequence), len(results), len(ids), i)}", each) for i, each in enumerate(part)]
                culprit = find_culprit(named, failed.library)
                if culprit is not None:
                    raise CannotSend(culprit, failed.reason, failed.library) from failed.__cause__
            raise
        ar = self._new("AsyncResult", Joined(results), "scatter", False)
        got = self._finish(ar, self._blocks(block))
        return ar if got is ar else None

    def gather(self: Any, key: str, dist: str = "b", targets: Any = None, block: bool | None = None) -> Any:
        """The parts that the engines have under a name, joined.

        With block, large arrays are not sent: the result is allocated here, in shared memory, and
        the engines write their parts into it in parallel.

        Returns
        -------
        AsyncMapResult, or with block an array (parts are arrays), a list (lists, tuples),
        or a list of the parts.
        """
        mapping = maps.by_name(dist)
        ids, _ = self._targets(targets)
        self._check_alive(ids)
        if self._blocks(block) and self._timeout is None:
            try:
                whole = self._gather_now(key, ids, mapping)
                if whole is not None:
                    return whole
            except KeyboardInterrupt:
                if self._signal_on_interrupt:
                    raise
                block = False
        result = self._submit_call(engine_calls.pull, (key,), {}, ids)
        return self._finish(self._new("AsyncMapResult", result, "gather", False, mapping=mapping), self._blocks(block))

    def _gather_now(self: Any, key: str, ids: list[int], mapping: maps.Map) -> Any:
        """The parts, joined; None if they are large and do not fit together, or have changed meanwhile."""
        parts = self._call(engine_calls.part, (key,), {}, True, ids)
        if not isinstance(parts, list):
            raise KeyboardInterrupt
        if not any(type(part) is engine_calls.Part for part in parts):
            return mapping.join(parts)
        whole, region, places = maps.room_for(self.client, mapping, parts)
        if whole is None:
            return None
        results = [
            self._submit_call(engine_calls.fill, (key, place), {}, [engine]) for engine, place in zip(ids, places)
        ]
        filled = self._finish(self._new("AsyncResult", Joined(results), "gather", False), True)
        if not isinstance(filled, list):
            raise KeyboardInterrupt
        region.set_ordinary()  # an array from gather() is sent as a copy, like any other
        return whole if all(filled) else None

    def push_file(
        self: Any, name: str, path: Any, targets: Any = None, block: bool | None = None, track: bool | None = None
    ) -> Any:
        """As push() of the array in a ``.npy`` file, which is read straight into shared memory."""
        from .. import files

        return self.push({name: files.load(path, client=self.client)}, targets, block, track)

    def scatter_file(
        self: Any, name: str, path: Any, dist: str = "b", flatten: bool = False, targets: Any = None, block: bool | None = None
    ) -> Any:
        """As scatter() of the array in a ``.npy`` file, which is read straight into shared memory."""
        from .. import files

        return self.scatter(name, files.load(path, client=self.client), dist, flatten, targets, block)

    def save(self: Any, name: str, path: Any, dist: str = "b", targets: Any = None) -> None:
        """Writes what the engines have under a name into a ``.npy`` file, once it has arrived.

        Parameters
        ----------
        name : str
            An array, with one engine as the target; with several its parts, as gather() joins them.
        path : path
            ``.npy`` is appended if it is missing. A file of that name is replaced once all is written.
        """
        from .. import files

        ids, single = self._targets(targets)
        array = self.pull(name, ids[0], block=True) if single else self.gather(name, dist, ids, block=True)
        files.save(path, array)
