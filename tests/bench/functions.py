# SPDX-License-Identifier: BSD-3-Clause
"""What the pools are asked to run; importable, as every peer needs it."""


def noop():
    """Nothing: what a call costs by itself."""


def add(x, y):
    """A call with two plain arguments."""
    return x + y


def busy(seconds):
    """Computes for so long."""
    import time

    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


_tallies = {}


def tick(tally):
    """Makes a file one byte longer."""
    import os

    if tally not in _tallies:
        _tallies[tally] = os.open(tally, os.O_WRONLY | os.O_APPEND)
    os.write(_tallies[tally], b".")


def wait_at(gate_and_tally):
    """Says in the tally that it is here, then waits for a byte in a FIFO."""
    gate, tally = gate_and_tally
    with open(gate, "rb", buffering=0) as gate:
        tick(tally)
        gate.read(1)


def numpy_ready(barrier=None):
    """1 once numpy can be used; then waits for the others at a barrier."""
    import numpy

    one = int(numpy.ones(1)[0])
    if barrier is not None:
        barrier.wait()
    return one


def pid():
    import os

    return os.getpid()


# --- arrays -----------------------------------------------------------------


def sum_of_a():
    """Of what was pushed under that name."""
    import sys

    return float(sys.modules["__main__"].a.sum())


def same(x):
    return x


def pushed(size):
    """What is sent where the size matters: an array of so many bytes, or an int."""
    import numpy

    return numpy.ones(size // 8) if size else 1


_kept = {}


def kept(size):
    """An array that the worker keeps."""
    import numpy

    if size not in _kept:
        _kept[size] = numpy.ones(size, "u1")
    return _kept[size]


def _attached(where, f):
    from multiprocessing import shared_memory

    import numpy

    name, shape, dtype = where
    block = shared_memory.SharedMemory(name)
    value = f(numpy.ndarray(shape, dtype, block.buf))
    block.close()
    return value


def attach(where):
    return _attached(where, len)


def attach_and_sum(where):
    return _attached(where, lambda array: float(array.sum()))


def kept_in_block(size):
    """The name of a new block that holds a copy of kept(size)."""
    from multiprocessing import resource_tracker, shared_memory

    block = shared_memory.SharedMemory(create=True, size=size)
    block.buf[:size] = kept(size).data
    block.close()
    resource_tracker.unregister(block._name, "shared_memory")  # the client unlinks it
    return block.name


def kernels():
    """{kernel: seconds} of numpy at work by itself, the best of some repetitions each."""
    import time

    import numpy as np

    random = np.random.default_rng(0)
    a, b = random.random(1 << 17), random.random(1 << 17)
    c, d = random.random(1 << 20), random.random(1 << 20)
    e, f = random.random(8 << 20), random.random(8 << 20)
    m, u, small = random.random((600, 600)), random.random((1024, 1024)), random.random(100)

    def stencil():
        v = u.copy()
        v[1:-1, 1:-1] += 0.1 * (v[:-2, 1:-1] + v[2:, 1:-1] + v[1:-1, :-2] + v[1:-1, 2:] - 4 * v[1:-1, 1:-1])

    chosen = {
        "add, 1 MiB": (lambda: a + b, 200), "add, 8 MiB": (lambda: c + d, 30), "add, 64 MiB": (lambda: e + f, 6),
        "expression": (lambda: (c * d + c) / d - np.sqrt(c), 10), "matmul": (lambda: m @ m, 5),
        "solve": (lambda: np.linalg.solve(m, m[:, 0]), 5), "sort": (lambda: np.sort(c), 4), "fft": (lambda: np.fft.fft(c), 3),
        "cumsum": (lambda: np.cumsum(c), 20), "stencil": (stencil, 5), "mask": (lambda: c[c > 0.5], 5),
        "concatenate": (lambda: np.concatenate([c, d]), 10), "zeros": (lambda: np.zeros(1 << 20), 50),
        "random": (lambda: random.random(1 << 20), 5), "astype": (lambda: c.astype("f4"), 20),
        "1000 small": (lambda: [small + 1 for _ in range(1000)], 3), "copy, 64 MiB": (lambda: e.copy(), 6),
    }
    found = {}
    for name, (kernel, times) in chosen.items():
        best = float("inf")
        for _ in range(7):
            begin = time.perf_counter()
            for _ in range(times):
                kernel()
            best = min(best, (time.perf_counter() - begin) / times)
        found[name] = best
    return found


def owned(size):
    """An array in the engine's shared memory, which it does not keep."""
    import pxrun

    return pxrun.empty(size, "u1")
