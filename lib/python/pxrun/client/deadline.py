# SPDX-License-Identifier: BSD-3-Clause
"""When a wait ends: after so many seconds, or by what has happened."""
from __future__ import annotations

import time


def end_of(timeout: float | None) -> float | None:
    """The time of time.monotonic() at which a timeout is over; None: never.

    Parameters
    ----------
    timeout : float or None
        Seconds; None or -1: for ever. Other negative numbers are over at once: they are what is left of a time.

    Raises
    ------
    TypeError, ValueError
        It is no number.
    """
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not hasattr(type(timeout), "__float__"):
        raise TypeError(f"a timeout is a number of seconds, or None, not {timeout!r}")
    if timeout != timeout:
        raise ValueError("a timeout is a number of seconds, or None, not nan")
    return None if timeout == -1 else time.monotonic() + timeout


def left(end: float | None) -> float | None:
    """The seconds until then, 0 when it is over; None: for ever."""
    return None if end is None else max(0.0, end - time.monotonic())


def check_return_when(return_when: str) -> None:
    """ValueError for what is no return_when of concurrent.futures."""
    if return_when not in ("ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"):
        raise ValueError(f"return_when is FIRST_COMPLETED, FIRST_EXCEPTION or ALL_COMPLETED, not {return_when!r}")
