# SPDX-License-Identifier: BSD-3-Clause
"""What waits at a gate of conftest.py: engines import this module."""
import os


def enter(path):
    """Waits until a gate is opened, in a task."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 1)
    finally:
        os.close(fd)
