# SPDX-License-Identifier: BSD-3-Clause
"""Notebooks: what engines display and print stands under the cell, by engine, whole or bounded, and Ctrl-C ends the cell."""
import base64
import contextlib
import hashlib
import os
import re
import threading
import time

import nbformat
import pytest

import notebooks
from notebooks import displayed, errors, stream

BEGIN = """
import contextlib, hashlib, os, time, pxrun
rc = pxrun.Cluster(n=2).start_and_connect_sync()
view, lv = rc[:], rc.load_balanced_view()
view.block = lv.block = True
view.activate()
%pxconfig --progress-after -1

def figure(x=0):
    import matplotlib.pyplot as plt
    print("before")
    plt.figure(figsize=(1, 1))
    plt.plot([x, 1])
    print("after")
"""


@pytest.fixture(scope="module", params=notebooks.PYTHONS)
def kernel(request):
    """A notebook that has a pool of two engines."""
    notebooks.need(request.param, "matplotlib")
    with notebooks.Notebook(request.param) as notebook:
        assert not errors(notebook.run(BEGIN))
        yield notebook


@pytest.fixture
def cell(kernel):
    """cell(source): runs it; it does not fail."""

    def run(source):
        done = kernel.run(source)
        assert not errors(done), errors(done)
        return done

    yield run
    kernel.run("view.execute('import matplotlib.pyplot; matplotlib.pyplot.close(\"all\")')")


def shown(done):
    """{engine: what stands under a cell of it, in order}: printed words, and pictures' types."""
    found = {}
    engine = None
    for output in done.outputs:
        if output.output_type == "display_data":
            engine = output.metadata["engine"]
            found.setdefault(engine, []).append(next(kind for kind in output.data if kind != "text/plain"))
        elif output.output_type == "stream":
            for line in output.text.splitlines():
                mark, word = re.fullmatch(r"(?:\[(?:stdout|output):(\d)\] ?)?(.*)", line).groups()
                engine = engine if mark is None else int(mark)
                found.setdefault(engine, []).extend([word] if word else [])
    return found


CALLS = {
    "apply": "_ = view.apply_sync(figure)",
    "map": "_ = view.map_sync(figure, [1, 2])",
    "remote function": "_ = view.remote()(figure)()",
    "execute": "_ = view.push({'figure': figure}); _ = view.execute('figure()')",
    "%px": "view.push({'figure': figure})\n%px figure()",
    "%%px --no-stream": "view.push({'figure': figure}); get_ipython().run_cell_magic('px', '--no-stream -e', 'figure()')",
    "task": "_ = [rc.load_balanced_view([i]).apply_sync(figure) for i in rc.ids]",
    "balanced map": "_ = lv.map_sync(figure, range(2), chunksize=1)",
    "executor": "with view.executor as executor: _ = [executor.submit(figure, i).result() for i in range(2)]",
    "display_outputs": "ar = rc[:].apply_async(figure); ar.wait_for_output(); ar.display_outputs('engine')",
}


@pytest.mark.parametrize("name", CALLS)
def test_figure_that_a_call_leaves_open_stands_under_the_cell(cell, name):
    found = shown(cell(CALLS[name]))
    each = ["before", "after", "image/png"]
    assert all(what == each * (len(what) // 3) for what in found.values()), found
    assert sum(map(len, found.values())) == 2 * len(each)


def test_figure_that_is_shown_stands_where_it_was(cell):
    source = """
def shows():
    import matplotlib.pyplot as plt
    figure()
    plt.show()
    print('end')
_ = view.push({'figure': figure})
_ = view.apply_sync(shows)
"""
    assert shown(cell(source)) == dict.fromkeys((0, 1), ["before", "after", "image/png", "end"])


def test_figure_of_a_call_that_fails_is_shown(kernel):
    source = "def fails(x):\n    figure()\n    1 / 0\nview.push({'figure': figure})\nview.apply_sync(fails, 1)"
    done = kernel.run(source)
    assert [data["image/png"][:6] for data in displayed(done)] == ["iVBORw"] * 2
    assert len(errors(done)) == 1


def test_large_pictures_are_whole(cell):
    source = """
def picture(i):
    import hashlib, os
    from IPython.display import Image
    datas = [bytes([0x89]) + b"PNG\\r\\n\\x1a\\n" + os.urandom(5 << 20) for _ in range(2)]
    display(*map(Image, datas))
    return [hashlib.md5(data).hexdigest() for data in datas]
print(*sum(view.apply_sync(picture, 1), []))
"""
    done = cell(source)
    pictures = [base64.b64decode(data["image/png"]) for data in displayed(done)]
    assert [len(picture) for picture in pictures] == [(5 << 20) + 8] * 4
    assert {hashlib.md5(picture).hexdigest() for picture in pictures} == set(stream(done).splitlines()[-1].split())


def test_each_representation_arrives(cell):
    source = """%%px
from IPython.display import *
class Own:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": "own", "application/x-own+json": {"a": [1]}}
display(HTML("<b>b</b>"), Latex("$x$"), SVG("<svg xmlns='http://www.w3.org/2000/svg'/>"), JSON({"a": 1}), Markdown("*m*"), Own())
"""
    kinds = ["text/html", "text/latex", "image/svg+xml", "application/json", "text/markdown", "application/x-own+json"]
    assert shown(cell(source)) == {0: kinds, 1: kinds}


def test_displayed_object_is_updated_in_its_place_of_its_engine(cell):
    source = """%%px
from IPython.display import HTML, update_display
handle = display(HTML("first"), display_id=True)
display(HTML("first"), display_id="a name")
print("between")
handle.update(HTML("second"))
update_display(HTML("second"), display_id="a name")
print("end")
"""
    done = cell(source)
    assert shown(done) == dict.fromkeys((0, 1), ["text/html", "text/html", "between", "end"])
    assert [data["text/html"] for data in displayed(done)] == ["second"] * 4
    assert not cell("%px handle.update(HTML('third'))").outputs
    assert sorted(data["text/html"] for data in displayed(done)) == ["second", "second", "third", "third"]


def test_display_outputs_shows_what_was_updated_last(cell):
    source = "def late():\n    handle = display('first', display_id=True)\n    handle.update('second')\n"
    done = cell(source + "ar = rc[:].apply_async(late); ar.wait_for_output(); ar.display_outputs()")
    assert [data["text/plain"] for data in displayed(done)] == ["'second'"] * 2


def test_clear_output_on_an_engine_clears_nothing(cell):
    done = cell("%%px\nfrom IPython.display import clear_output\nprint('one')\nclear_output()\nprint('two')\nclear_output(wait=True)")
    assert shown(done) == {0: ["one", "two"], 1: ["one", "two"]}


def test_display_in_a_thread(cell):
    source = """
def f():
    import threading
    thread = threading.Thread(target=display, args=("in it",))
    thread.start()
    thread.join()
view.apply_sync(f);
"""
    assert [data["text/plain"] for data in displayed(cell(source))] == ["'in it'"] * 2


def test_widgets_are_shown_as_text(kernel, cell):
    if errors(kernel.run("import ipywidgets, tqdm.notebook")):
        pytest.skip("the kernel has no ipywidgets")
    done = cell("%%px\nimport ipywidgets\nout = ipywidgets.Output()\nwith out:\n    print('in it')\ndisplay(ipywidgets.IntSlider())")
    assert [set(data) for data in displayed(done)] == [{"text/plain"}] * 2
    assert displayed(done)[0]["text/plain"].startswith("IntSlider(")
    assert stream(done).count("in it") == 2
    done = cell("%%px\nimport tqdm.notebook\nprint('sum', sum(tqdm.notebook.tqdm(range(3))))")
    assert stream(done).count("sum 3") == 2


def test_pool_of_a_plain_shell_has_a_backend_that_needs_no_display(kernel):
    source = """
import subprocess, sys
script = '''if 1:
    import pxrun
    def plot():
        import matplotlib.pyplot as plt
        plt.plot([1, 2])
        return plt.get_backend()
    with pxrun.Cluster(n=1, preload="") as rc:
        print(rc[0].apply_sync(plot))
'''
env = {name: value for name, value in os.environ.items() if name not in ("MPLBACKEND", "DISPLAY", "WAYLAND_DISPLAY")}
print(subprocess.run([sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout)
"""
    assert stream(kernel.run(source)).strip().lower() == "agg"


# --- bounds

LINES = 1_000_000


@pytest.mark.parametrize("call", ["%px", "execute", "display_outputs"])
def test_million_lines_from_each_engine_are_bounded_here_and_whole_in_the_log(kernel, call):
    one_by_one, at_once = f"for i in range({LINES}): print(i)", f"print('\\n'.join(map(str, range({LINES}))))"
    calls = {
        "%px": f"%px {at_once}",
        "execute": f"_ = view.execute({one_by_one!r})",
        "display_outputs": f"ar = large.direct_view('all').execute({at_once!r}); ar.wait_for_output(); ar.display_outputs()",
    }
    begin = "large = pxrun.Cluster(n=4, preload='').start_and_connect_sync()\nview = large[:]\nview.block = True\nview.activate()"
    assert not errors(kernel.run(begin))
    try:
        with asking(kernel) as waits:
            done = kernel.run(calls[call])
        log = stream(kernel.run("print(large._core.folder)")).strip() + "/log"
        logged = ""
        for part in (f"{log}.1", log):  # where memory is small, half of it has become too long
            with contextlib.suppress(FileNotFoundError), open(part, encoding="utf-8") as file:
                logged += file.read()
    finally:
        kernel.run("large.cluster.stop_cluster_sync(); view = rc[:]; view.block = True; view.activate()")
    assert [logged.count(f"Z engine {i}: ") for i in range(4)] == [LINES] * 4
    assert len(logged) >= 4 * sum(len(f"2026-11-28T02:40:09.123Z engine 0: {n}\n") for n in range(LINES))
    assert waits and max(waits) < 5  # seconds; to print one by one takes ten
    assert 100_000 < len(nbformat.writes(nbformat.v4.new_notebook(cells=[done]))) < 1_000_000
    text = stream(done)
    lines = [line.split()[-1] for line in text.splitlines()]
    assert all(lines.count(str(n)) == 4 for n in (1, 2, LINES - 2, LINES - 1))
    assert text.count(f"bytes are not shown here: {log} has all]") == 4 and errors(done) == []


@contextlib.contextmanager
def asking(kernel):
    """In a with statement: asks the kernel something again and again; how many seconds each answer took."""
    from jupyter_client import BlockingKernelClient

    client = BlockingKernelClient()
    client.load_connection_file(kernel.km.connection_file)
    client.start_channels()
    waits, over = [], threading.Event()

    def ask():
        while not over.is_set():
            began = time.monotonic()
            client.control_channel.send(client.session.msg("kernel_info_request", {}))
            client.get_control_msg(timeout=60)
            waits.append(time.monotonic() - began)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()
        client.stop_channels()


# --- Ctrl-C


def sleeps(pid):
    """Whether the main thread of a process sleeps, and not for the interpreter's lock, which it would have after 5 ms."""

    def state():
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            return [line for line in status if line.startswith(("State:", "voluntary_ctxt_switches:"))]

    before = state()
    time.sleep(0.03)
    return "sleeping" in before[0] and state() == before


@pytest.fixture
def begun(kernel, tmp_path):
    """begun(source): runs a cell whose requests call begin(), and interrupts it when one has; `times`: once more for each that follows."""
    path = str(tmp_path / "begun")
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR)
    kernel.run(f"def begin(x=None):\n    import os, time\n    os.write(os.open({path!r}, os.O_RDWR), b'x')\n    time.sleep(600)")

    def run(source, times=1):
        def interrupt():
            for _ in range(times):
                os.read(fd, 1)
                while not sleeps(kernel.km.provisioner.pid):
                    pass  # until it has sent all, and waits
                kernel.interrupt()

        thread = threading.Thread(target=interrupt)
        thread.start()
        done = kernel.run(source)
        thread.join()
        return done

    yield run
    os.close(fd)
    kernel.run("rc.send_signal('SIGINT')")


INTERRUPTED = {
    "apply": "view.apply_sync(begin)",
    "map": "view.map_sync(begin, range(4))",
    "execute": "_ = view.push({'begin': begin})\nview.execute('begin()')",
    "task": "lv.apply_sync(begin)",
    "balanced map": "lv.map_sync(begin, range(4))",
    "imap": "list(lv.imap(begin, range(4)))",
    "executor.map": "list(rc.executor().map(begin, range(4)))",
    "%px": "_ = view.push({'begin': begin})\n%px begin()",
    "%px --no-stream": "_ = view.push({'begin': begin})\nget_ipython().run_cell_magic('px', '--no-stream', 'begin()')",
}


@pytest.mark.parametrize("name", INTERRUPTED)
def test_interrupted_cell_fails_once_and_engines_are_free(begun, cell, name):
    done = begun(INTERRUPTED[name])
    assert [ename for ename, _ in errors(done)] == ["KeyboardInterrupt"]
    assert "KeyboardInterrupt" not in stream(done, "stderr") + stream(done)
    assert stream(cell("print(view.apply_sync(abs, -1), rc.outstanding)")) == "[1, 1] set()\n"


def test_other_requests_go_on_in_the_kernels_own_pool(begun, cell):
    cell("import time; other = rc[1].apply_async(time.sleep, 600)")
    assert errors(begun("rc[0].apply_sync(begin)"))[0][0] == "KeyboardInterrupt"
    assert stream(cell("print(other.ready())")) == "False\n"
    cell("other.cancel(); other.wait();")


def test_as_upstream_the_result_comes_back(begun, cell):
    done = begun("old = rc.direct_view(0, signal_on_interrupt=False)\nar = old.apply_sync(begin)\nprint(type(ar).__name__, ar.ready())")
    assert errors(done) == [] and stream(done) == "AsyncResult False\n"
    cell("ar.cancel(); ar.wait();")


def test_second_interrupt_gives_up_waiting(begun, cell):
    cell("import pxrun.client.cancel; moment, pxrun.client.cancel.MOMENT = pxrun.client.cancel.MOMENT, 600")
    source = """
def deaf():
    for _ in range(2):
        try:
            begin()
        except KeyboardInterrupt:
            pass
_ = view.push({'begin': begin})
rc[0].apply_sync(deaf)
"""
    done = begun(source, times=2)
    assert [ename for ename, _ in errors(done)] == ["KeyboardInterrupt"]
    cell("pxrun.client.cancel.MOMENT = moment; rc.send_signal('SIGINT', 0)")


# --- the page


def test_page_shows_output_by_engine_an_error_a_figure_and_a_time_line(tmp_path):
    cells = [
        BEGIN,
        "_ = view.apply_sync(figure)",
        "%px print('on', 'each')",
        "rc[0].apply_sync(lambda: 1 / 0)",
        "ar = view.apply_async(time.sleep, 0.1); ar.wait(); ar",
    ]
    page = notebooks.Page(notebooks.run(cells), str(tmp_path))
    for text in ("[stdout:0] before", "[output:1]", "[stdout:1] on each", "ZeroDivisionError", "data:image/png;base64,", "<svg"):
        assert text in page.text
    image = pytest.importorskip("PIL.Image", reason="Pillow, which reads the picture of the page, is not installed")
    with image.open(page.png) as picture:
        assert picture.width == 1000 and len(picture.convert("RGB").getcolors(1 << 24)) > 100
