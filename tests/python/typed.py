# SPDX-License-Identifier: BSD-3-Clause
"""A user's program that is only read, by type checkers at their strictest: tests/mypy.sh."""
import asyncio
import concurrent.futures

import numpy as np

import pxrun
from pxrun import (
    FIRST_COMPLETED,
    AsyncMapResult,
    AsyncResult,
    Client,
    Cluster,
    CompositeError,
    DirectView,
    EngineError,
    LoadBalancedView,
    RemoteError,
    require,
)


def square(x: int) -> int:
    return x * x


def main() -> None:
    print(pxrun.__version__, pxrun.version_info[0] + 1)
    with Cluster(n=4) as rc:
        view: DirectView = rc[:]
        one = rc[0]
        view["a"] = 5
        view.push({"b": 1}, block=True)
        ar: AsyncResult = view.apply_async(square, 3)
        print(ar.get(), ar.stdout, ar.engine_id)
        print(one.apply_sync(square, 2))
        r = view.map_sync(square, range(3))
        print(r[0])
        for x in view.imap(square, range(10)):
            print(x)
        lv: LoadBalancedView = rc.load_balanced_view()
        am: AsyncMapResult = lv.map_async(square, range(10), chunksize=2)
        print(list(am), am.progress, len(am))
        with view.temp_flags(block=True):
            view.execute("x = 1")
        with view.sync_imports():
            import os
        view.scatter("s", np.arange(10))
        print(view.gather("s").get())
        with rc.executor() as ex:
            f: concurrent.futures.Future[int] = ex.submit(square, 3)
            print(f.result(), list(ex.map(square, range(3))))
            done, _ = concurrent.futures.wait([f], return_when=FIRST_COMPLETED)

        @view.remote(block=True)
        def g(x: int) -> int:
            return x

        @view.parallel(block=True)
        def h(x: int) -> int:
            return x

        print(g(1), h.map(range(3)), rc.ids, len(rc))

        @require("os")
        def k() -> str:
            return os.getcwd()

        try:
            view.apply_sync(square, "x")
        except CompositeError as e:
            print(e.elist, e.render_traceback())
        except RemoteError as e:
            print(e.ename, e.evalue, e.traceback)
        except EngineError:
            pass
        rc.wait([ar], timeout=1.0)
        rc.wait_for_engines(4)
        a = pxrun.zeros((3, 4))
        a[:] = 1
        print(a.sum())

    async def co() -> None:
        c = Client()
        print(await c[:].apply_async(square, 1))
        c.close()

    asyncio.run(co())
