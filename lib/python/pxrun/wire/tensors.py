# SPDX-License-Identifier: BSD-3-Clause
"""torch's tensors, sent like numpy arrays: torch itself would copy them into the pickle, several times."""
from __future__ import annotations

import sys
from typing import Any


def reduce(tensor: Any) -> Any:
    """Reduces a dense CPU tensor to an array over its memory; NotImplemented for others, which torch pickles."""
    torch = sys.modules["torch"]
    if tensor.device.type != "cpu" or tensor.layout is not torch.strided or tensor.__dict__ or tensor._backward_hooks:
        return NotImplemented
    if tensor.is_quantized or tensor.is_conj() or tensor.is_neg():
        return NotImplemented
    bits = tensor.detach()
    if tensor.dtype is torch.bfloat16:  # unknown to numpy
        bits = bits.view(torch.int16)
    try:
        return _tensor, (bits.numpy(), tensor.dtype, tensor.requires_grad)
    except TypeError:
        return NotImplemented


def _tensor(array: Any, dtype: Any, requires_grad: bool) -> Any:
    import torch

    made = torch.from_numpy(array)
    if made.dtype is not dtype:
        made = made.view(dtype)
    return made.requires_grad_(requires_grad)
