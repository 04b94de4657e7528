# SPDX-License-Identifier: BSD-3-Clause
"""A ping-pong by pipes between this process and its fork, each after a rest: the median round trip in µs.

python pipes.py COUNT
"""
from __future__ import annotations

import os
import sys

import measure


def main(count):
    ping, pong = os.pipe(), os.pipe()
    if not os.fork():
        os.close(ping[1])
        while os.read(ping[0], 1):
            os.write(pong[1], b".")
        os._exit(0)

    def there_and_back():
        os.write(ping[1], b".")
        os.read(pong[0], 1)

    print(float(measure.median_us(there_and_back, 0, at_least=count, pause=measure.REST, warm=2)))


main(int(sys.argv[1]))
