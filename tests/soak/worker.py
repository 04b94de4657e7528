# SPDX-License-Identifier: BSD-3-Clause
"""One client of a soak: random work on a pool in which anybody may die, and a model of what must come back.

``worker.py PROFILE SEED SECONDS``. What the model does not allow ends it with exit code 1, the step's name
and its arguments. Deaths of engines are allowed to be seen as errors that say so, and by nothing else.
"""
from __future__ import annotations

import os
import random
import sys
import threading
import time
import traceback

import numpy

import pxrun
from pxrun import error

#: No step takes so long, also where every process is stopped for a second now and then.
LIMIT = 60.0
#: Errors of a call whose engine was killed, interrupted or started again in the middle of a step.
DEATHS = {"EngineError", "NameError", "KeyboardInterrupt"}


class Wrong(Exception):
    """What came back is not what must come back."""


def same(a, b):
    if isinstance(a, numpy.ndarray):
        return isinstance(b, numpy.ndarray) and a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    return type(a) is type(b) and a == b


def check(holds, *what):
    if not holds:
        raise Wrong(*what)


class Worker:
    def __init__(self, profile, seed):
        self.profile = profile
        self.random = random.Random(seed)
        self.rc = pxrun.Client(profile=profile, timeout=LIMIT, output="keep")
        self.mine = f"soak{os.getpid()}_{self.random.getrandbits(32):x}"
        self.known = {}  # (engine, generation) -> {name: value}
        self.kept = []  # (array, its sum): results that stay
        self.step = ""
        self.steps = self.deaths = 0

    # --- what is sent

    def value(self, most=1 << 21):
        r = self.random
        kind = r.randrange(6)
        if kind == 0:
            return r.getrandbits(r.choice((8, 64, 2000)))
        if kind == 1:
            return {f"k{i}": r.random() for i in range(r.randrange(20))}
        if kind == 2:
            return r.randbytes(r.choice((0, 10, 1000, 70_000, 300_000)))
        if kind == 3:
            return "".join(r.choices("aäß∂😀\n", k=r.randrange(2000)))
        return self.array(most)

    def array(self, most):
        r = self.random
        count = r.choice((0, 1, 100, 2048, 20_000, r.randrange(1, most // 8)))
        array = numpy.random.default_rng(r.getrandbits(32)).integers(-1000, 1000, count)
        return array if r.random() < 0.5 else array.astype("f4").reshape(1, -1)

    def engines(self):
        """Some engines with their generations."""
        up = {i: e.generation for i, e in self.rc.engines.items() if e.state == "up"}
        chosen = self.random.sample(sorted(up), self.random.randrange(1, len(up) + 1)) if up else []
        return {i: up[i] for i in chosen}

    def unchanged(self, chosen):
        """Whether these engines are the processes that they were."""
        now = self.rc.engines
        return all(i in now and now[i].generation == g for i, g in chosen.items())

    def attempt(self, call, chosen):
        """The call's value, or None if somebody died meanwhile; any other error is one of pxrun."""
        try:
            return (call(),)
        except error.CompositeError as e:
            kinds = {part[0] for part in e.elist}
            if not kinds <= DEATHS:
                raise
        except error.RemoteError as e:
            if e.ename not in DEATHS:
                raise
            kinds = {e.ename}
        except error.EngineError:
            kinds = {"EngineError"}
        # a death that was told may not yet stand in the status; an unknown name needs one that does
        if kinds == {"NameError"} and self.unchanged(chosen):
            raise Wrong("a name is gone on engines that did not change", chosen)
        self.deaths += 1
        return None

    # --- the steps

    def calls(self, chosen):
        view = self.rc[list(chosen)]
        for i in range(self.random.randrange(1, 200)):
            got = self.attempt(lambda i=i: view.apply_sync(lambda x: x + 1, i), chosen)
            check(got is None or got[0] == [i + 1] * len(chosen), got)

    def queued(self, chosen):
        count = self.random.choice((10, 200, 3000))
        view = self.rc[list(chosen)]
        asked = [view.apply_async(divmod, i, 7) for i in range(count)]
        self.random.shuffle(asked) if self.random.random() < 0.3 else None
        for ar in asked:
            got = self.attempt(lambda ar=ar: ar.get(LIMIT), chosen)
            check(got is None or len(set(got[0])) == 1 and 0 <= got[0][0][1] < 7, got)

    def names(self, chosen):
        name, value = f"{self.mine}_{self.random.randrange(8)}", self.value()
        for engine in chosen.items():  # if it fails on one, others may have got it
            self.known.get(engine, {}).pop(name, None)
        if self.attempt(lambda: self.rc[list(chosen)].push({name: value}, block=True), chosen) is None:
            return
        for engine in chosen.items():
            self.known.setdefault(engine, {})[name] = value

    def recall(self, chosen):
        for engine in chosen.items():
            for name, value in self.known.get(engine, {}).items():
                got = self.attempt(lambda i=engine[0], name=name: self.rc[i].pull(name, block=True), dict([engine]))
                # that of a process that came meanwhile cannot have the name
                check(got is None or same(value, got[0]), engine, name, value, got)

    def arrays(self, chosen):
        view = self.rc[list(chosen)]
        array = self.array(1 << 23)
        if array.size and self.random.random() < 0.5:
            array = pxrun.asarray(array, client=self.rc)
        asked = view.apply_async(lambda a: (a, a.size), array)
        got = self.attempt(lambda: asked.get(LIMIT), chosen)
        if got is None:
            return
        for back, size in got[0]:
            check(same(array, back) and size == array.size, array.shape)
        if self.random.random() < 0.3:
            self.kept.append((got[0][0][0], got[0][0][0].sum()))
            del self.kept[:-50]

    def held(self, chosen):
        for array, total in self.kept:
            check(array.sum() == total, "an array that was kept has changed")

    def maps(self, chosen):
        view = self.rc[list(chosen)]
        items = list(range(self.random.choice((0, 1, 17, 1000))))
        got = self.attempt(lambda: view.map_sync(lambda x: x * x, items), chosen)
        check(got is None or list(got[0]) == [x * x for x in items], len(items))

    def parts(self, chosen):
        view, name = self.rc[list(chosen)], f"{self.mine}_part"
        array = numpy.arange(self.random.choice((1, 10, 5000, 300_000)))
        if self.attempt(lambda: view.scatter(name, array, block=True), chosen) is None:
            return
        got = self.attempt(lambda: view.gather(name, block=True), chosen)
        check(got is None or same(array, numpy.asarray(got[0])), array.size)

    def errors(self, chosen):
        engine = next(iter(chosen))
        try:
            self.rc[engine].apply_sync(lambda: {}["nothing"])
        except KeyError as e:
            check(isinstance(e, error.RemoteError), e)
        except (error.EngineError, error.RemoteError) as e:
            check(isinstance(e, error.EngineError) or e.ename in DEATHS, e)
        else:
            raise Wrong("no error")

    def prints(self, chosen):
        view, lines = self.rc[list(chosen)], self.random.choice((1, 50, 2000))
        ar = view.apply_async(lambda n: print("\n".join(["x" * 40] * n)), lines)
        if self.attempt(lambda: ar.get(LIMIT), chosen) is not None:
            check(all(out == ("x" * 40 + "\n") * lines for out in ar.stdout), lines, [(len(out), out[-200:]) for out in ar.stdout])

    def aborts(self, chosen):
        view = self.rc[list(chosen)]
        asked = [view.apply_async(sum, (1, 2)) for _ in range(100)]
        view.abort(asked[50:])
        for i, ar in enumerate(asked):
            try:
                got = self.attempt(lambda ar=ar: ar.get(LIMIT), chosen)
                check(got is None or got[0] == [3] * len(chosen), got)
            except error.TaskAborted:
                check(i >= 50, i)
            except error.CompositeError as e:
                check(i >= 50 and {part[0] for part in e.elist} <= DEATHS | {"TaskAborted"}, e)

    def dropped(self, chosen):
        view = self.rc[list(chosen)]
        for _ in range(self.random.randrange(1, 100)):
            view.apply_async(bytes, self.random.choice((10, 100_000)))

    def cancels(self, chosen):
        import time as clock

        ar = self.rc[next(iter(chosen))].apply_async(clock.sleep, 3600)
        ar.cancel()
        try:
            ar.get(LIMIT)
        except (error.TaskAborted, error.EngineError, error.RemoteError) as e:
            check(not isinstance(e, error.RemoteError) or e.ename in DEATHS, e)
        except BaseException as e:  # a cancelled Future
            check(type(e).__name__ == "CancelledError", e)
        else:
            raise Wrong("an hour's sleep has ended")

    def pressure(self, chosen):
        """Takes memory until there is no more: in words; then all is as before."""
        taken = []
        try:
            while len(taken) < 400:
                taken.append(pxrun.empty(1 << 20, "f8", client=self.rc))
        except error.ArenaError as e:
            check("arena" in str(e) or "memory" in str(e), e)
        del taken
        self.rc.gc()

    def another(self, chosen):
        with pxrun.Client(profile=self.profile, timeout=LIMIT) as rc:
            got = self.attempt(lambda: rc[next(iter(chosen))].apply_sync(os.getpid), chosen)
            check(got is None or got[0] != os.getpid(), got)

    def threads(self, chosen):
        wrong = []

        def work(n):
            try:
                for i in range(30):
                    got = self.attempt(lambda i=i: self.rc[list(chosen)].apply_sync(max, n, i), chosen)
                    check(got is None or got[0] == [max(n, i)] * len(chosen), got)
            except BaseException as e:
                wrong.append(e)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(LIMIT)
        check(not any(t.is_alive() for t in threads), "threads hang")
        if wrong:
            raise wrong[0]

    STEPS = (calls, queued, names, names, recall, arrays, arrays, held, maps, parts, errors, prints, aborts, dropped,
             cancels, pressure, another, threads)

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            step = self.random.choice(self.STEPS)
            chosen = self.engines()
            if not chosen:
                continue  # all are being started again
            self.step = f"{step.__name__}({chosen})"
            try:
                step(self, chosen)
            except error.EngineError:
                self.deaths += 1  # it was removed before anything was sent
            except error.ArenaError as e:
                # others fill the arena: what needs a lot of it may fail, and says so; small calls may not
                check(step.__name__ in ("names", "recall", "arrays", "parts", "maps", "queued", "prints", "dropped"), step.__name__, e)
            except (error.RemoteError, error.CompositeError) as e:
                check("ArenaError" in str(e) and step.__name__ in ("recall", "arrays", "parts"), step.__name__, e)
            self.steps += 1


def main(profile, seed, seconds):
    worker = Worker(profile, int(seed))
    try:
        worker.run(float(seconds))
    except BaseException:
        traceback.print_exc()
        print(f"worker of seed {seed}: step {worker.steps}, {worker.step}", file=sys.stderr)
        sys.exit(1)
    worker.kept.clear()
    worker.rc.close()
    print(f"{worker.steps} {worker.deaths}")


if __name__ == "__main__":
    main(*sys.argv[1:])
