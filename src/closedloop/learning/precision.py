"""Numeric precision: bf16 where the hardware has it."""

from typing import Literal

import torch

Precision = Literal["bf16-mixed", "32-true"]


def resolve_precision(setting: str, accelerator: str) -> Precision:
    """Lightning's name of the precision: "bf16-mixed" or "32-true".

    `auto` takes bf16 on CUDA devices that have it and on CPUs with AVX512-BF16 instructions, where it is faster;
    elsewhere it is emulated and slower.
    """
    if setting == "auto":
        setting = "bf16" if _has_bf16(accelerator) else "32"
    return "bf16-mixed" if setting == "bf16" else "32-true"


def _has_bf16(accelerator: str) -> bool:
    if accelerator != "cpu" and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))
