# SPDX-License-Identifier: BSD-3-Clause
"""What map, scatter and parallel functions take."""
import array
import collections
import itertools

import numpy
import pytest

from pxrun.client.sequences import for_map, for_scatter


class IntsOnly:
    """As a data set of torch: it has a length, items by number, and does not say where it ends."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        assert isinstance(i, int)
        return i * 10


class OldIterable:
    """Iterable by the old protocol, without a length."""

    def __getitem__(self, i):
        if i == 5:
            raise IndexError
        return i


class ArrayLike:
    def __len__(self):
        return 6

    def __array__(self, dtype=None, copy=None):
        return numpy.arange(6.0)


class Pairs(dict):
    """Slices of it are something else."""

    def __getitem__(self, key):
        return [1, 2, 3] if isinstance(key, slice) else super().__getitem__(key)


class Text:
    """Its slices are text of another length."""

    def __len__(self):
        return 5

    def __iter__(self):
        return iter("abcde")

    def __getitem__(self, key):
        return str(key)


ITERABLES = {
    "list": lambda: [1, 2, 3, 4, 5],
    "tuple": lambda: (1, 2, 3, 4, 5),
    "range": lambda: range(5),
    "text": lambda: "abcde",
    "bytes": lambda: b"abcde",
    "memoryview": lambda: memoryview(b"abcde"),
    "array.array": lambda: array.array("d", range(5)),
    "array": lambda: numpy.arange(5),
    "deque": lambda: collections.deque(range(5)),
    "UserList": lambda: collections.UserList(range(5)),
    "UserDict": lambda: collections.UserDict(a=1, b=2, c=3),
    "dict": lambda: {"a": 1, "b": 2, "c": 3},
    "keys": lambda: {"a": 1, "b": 2}.keys(),
    "items": lambda: {"a": 1, "b": 2}.items(),
    "values": lambda: {"a": 1, "b": 2}.values(),
    "ChainMap": lambda: collections.ChainMap({"a": 1}, {"b": 2}),
    "Counter": lambda: collections.Counter("aab"),
    "set": lambda: {1, 2, 3},
    "generator": lambda: (i for i in range(5)),
    "groupby": lambda: [(k, list(g)) for k, g in itertools.groupby("aabbb")],
    "zip": lambda: zip("ab", "cd"),
    "ints only": lambda: IntsOnly(5),
    "old protocol": OldIterable,
    "dict with slices": lambda: Pairs(a=1, b=2),
    "odd slices": Text,
}


def elements(make):
    """What a loop over it gives."""
    made = make()
    return [made[i] for i in range(len(made))] if isinstance(made, IntsOnly) else list(made)


@pytest.mark.parametrize("dist", ["b", "r"])
@pytest.mark.parametrize("name", ITERABLES)
def test_map_takes_whatever_can_be_iterated_over(pool, name, dist):
    make = ITERABLES[name]
    mapped = pool[:].parallel(dist=dist, block=True)(lambda x: [x]).map(make())
    assert mapped == [[x] for x in elements(make)]


def test_map_of_groups(pool):
    assert pool[:].map_sync(lambda key, group: key * len(group), *zip(*((k, list(g)) for k, g in itertools.groupby("aabbb")))) == [
        "aa", "bbb"]
    assert pool[:].map_sync(lambda pair: pair[0], itertools.groupby("aabbb")) == ["a", "b"]


def test_map_of_array_like(pool):
    assert pool[:].map_sync(lambda x: x + 1, ArrayLike()) == [1, 2, 3, 4, 5, 6]


def test_map_ends_with_the_shortest_as_the_builtin_does(pool):
    view = pool[:]
    assert view.map_sync(lambda a, b: a + b, itertools.count(), [10, 20, 30]) == [10, 21, 32]
    assert view.map_sync(lambda a, b: a + b, itertools.count(), (i for i in range(3))) == [0, 2, 4]
    assert view.map_sync(lambda a, b: a, [], itertools.count()) == []
    assert view.map_sync(lambda a: a, iter(())) == []


@pytest.mark.parametrize("what", [5, None, len, object()])
def test_map_of_what_is_no_iterable(pool, what):
    with pytest.raises(TypeError, match=f"argument 2, of type {type(what).__name__}, is none"):
        pool[:].map_sync(max, [1], what)


def test_map_of_a_frame_is_that_of_its_column_names(pool):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]}, index=[5, 6, 7])
    assert pool[:].map_sync(str.upper, frame) == ["A", "B"]
    assert pool[:].map_sync(lambda x: x + 1, frame["b"]) == [5, 6, 7]
    assert pool[:].map_sync(lambda row: row[1].a, frame.iterrows()) == [1, 2, 3]
    assert pool[:].map_sync(lambda row: row.b, frame.itertuples()) == [4, 5, 6]


def test_map_of_a_tensor(pool):
    torch = pytest.importorskip("torch")
    assert [float(x) for x in pool[:].map_sync(lambda x: x.sum(), torch.ones(6, 2))] == [2.0] * 6


# --- scatter


@pytest.mark.parametrize("dist", ["b", "r"])
@pytest.mark.parametrize("name", [n for n in ITERABLES if n not in (
    "UserDict", "dict", "ChainMap", "Counter", "generator", "zip", "old protocol", "dict with slices")])
def test_scatter_takes_what_has_a_length(pool, name, dist):
    view, make = pool[:], ITERABLES[name]
    view.scatter("part", make(), dist, block=True)
    parts = view.apply_sync(lambda: list(part))  # noqa: F821
    whole = elements(make)
    assert [len(part) for part in parts] == [len(whole[i::4]) for i in range(4)]
    assert parts == [whole[i::4] for i in range(4)] if dist == "r" else sum(parts, []) == whole


def test_scatter_of_a_range_is_gathered_as_numbers(pool):
    view = pool[:]
    for dist in "br":
        view.scatter("a", range(16), dist, block=True)
        assert view.gather("a", dist, block=True) == list(range(16))
        assert view.gather("a", dist, block=False).get() == list(range(16))
        assert list(view.gather("a", dist, block=False)) == (list(range(16)) if dist == "b" else sum((list(range(16))[i::4] for i in range(4)), []))
    view.scatter("b", range(2), block=True)
    assert view.gather("b", block=True) == [0, 1]


def test_scatter_of_array_like(pool):
    view = pool[:2]
    view.scatter("a", ArrayLike(), block=True)
    assert [type(part) for part in view["a"]] == [numpy.ndarray] * 2
    assert numpy.array_equal(view.gather("a", block=True), numpy.arange(6.0))


@pytest.mark.parametrize("flatten", [False, True])
def test_scatter_of_frames_goes_by_rows(pool, flatten):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2, 3, 4, 5]}, index=[0.5, 3.5, 1.5, 4.5, 2.5])
    view = pool[:]
    view.scatter("rows", frame, flatten=flatten, block=True)
    view.scatter("column", frame["a"], flatten=flatten, block=True)
    assert pool[0]["rows"].equals(frame.iloc[:2]) and pool[0]["column"].tolist() == [1, 2]
    if flatten:
        assert pool[1]["rows"].equals(frame.iloc[2]) and pool[1]["column"] == 3
    else:
        assert pool[1]["rows"].equals(frame.iloc[2:3]) and pool[1]["column"].tolist() == [3]


@pytest.mark.parametrize("make, words", [
    (lambda: {"a": 1}, r"not dict: scatter its items, list\(d.items\(\)\)"),
    (lambda: collections.UserDict(a=1), "not UserDict: scatter its items"),
    (lambda: collections.ChainMap({}), "not ChainMap: scatter its items"),
    (lambda: (i for i in "ab"), "generator has no length: scatter a list of its elements"),
    (lambda: itertools.groupby("aab"), "groupby has no length"),
    (lambda: 5, "int has no length$"),
    (lambda: numpy.array(5), "ndarray has no length"),
])
def test_scatter_says_why_not(pool, make, words):
    with pytest.raises(TypeError, match=words):
        pool[:].scatter("a", make())


# --- parallel functions


def test_parallel_function_of_what_has_no_slices(pool):
    echo = pool[:].parallel(block=True)(lambda part: type(part).__name__ + str(list(part)))
    assert echo(collections.deque(range(5))) == ["list[0, 1]", "list[2]", "list[3]", "list[4]"]
    assert echo(IntsOnly(4)) == ["list[0]", "list[10]", "list[20]", "list[30]"]
    assert echo(iter("abcd")) == ["list['a']", "list['b']", "list['c']", "list['d']"]
    total = pool[:].parallel(block=True)(lambda frame: [int(frame.a.sum())])
    pandas = pytest.importorskip("pandas")
    assert total(pandas.DataFrame({"a": [1, 2, 3, 4, 5]})) == [3, 3, 4, 5]


# --- nothing is copied that need not be


def test_sequences_with_slices_are_taken_as_they_are():
    for s in ([1], (1,), range(3), numpy.arange(3), array.array("b", b"abc"), "abc"):
        assert for_map([s])[0] is s and for_scatter(s) is s
