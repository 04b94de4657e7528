# SPDX-License-Identifier: BSD-3-Clause
"""Bodies of every size arrive, whether they travel in the request's own memory, in a frame, or in a region."""
import pytest

SIZES = [0, 1, 40, 47, 48, 49, 100, 4000, 8191, 16000, 16300, 16384, 20000, 70000, 1 << 20, (1 << 24) + 1]


@pytest.mark.parametrize("size", SIZES)
def test_text_there_and_back(pool, size):
    text = "x" * size
    assert pool[0].apply_sync(lambda t: t, text) == text
    assert pool[:].apply_sync(lambda t: t, text) == [text] * 4


@pytest.mark.parametrize("size", SIZES)
def test_bytes_there_and_back(pool, size):
    data = bytes(size)
    assert pool[0].apply_sync(lambda t: t, data) == data
    assert pool[:].apply_sync(lambda t: t, data) == [data] * 4


@pytest.mark.parametrize("size", SIZES)
def test_code_and_its_value(pool, size):
    result = pool[0].execute(f"'{'y' * size}'", silent=False, block=True)
    assert result.get().text == repr("y" * size)


@pytest.mark.parametrize("size", SIZES)
def test_results_that_nobody_reads_are_given_back(pool, size):
    for _ in range(20):
        pool[:].apply_async(lambda n: "z" * n, size)
    assert pool[:].apply_sync(len, "abc") == [3] * 4


@pytest.mark.parametrize("size", SIZES)
def test_error_with_a_long_message(pool, size):
    def fail(n):
        raise ValueError("w" * n)

    with pytest.raises(ValueError) as caught:
        pool[0].apply_sync(fail, size)
    assert caught.value.evalue == "w" * size
