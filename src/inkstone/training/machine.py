"""What this machine can do: measured, not looked up."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import psutil
import torch

from inkstone.environment import cpu_name, usable_threads


@dataclass(frozen=True)
class Machine:
    """The device that training runs on."""

    device: str  # "cpu" or "cuda"
    name: str
    cores: int
    threads: int
    memory_bytes: int
    matmul_gflops: dict[str, float]  # of a product of the size that training does, by number format
    memory_gb_per_s: float  # of a copy, read and write counted

    def to_dict(self) -> dict[str, Any]:
        """As facts of the run."""
        return asdict(self)

    @property
    def dtype(self) -> str:
        """bfloat16 where it multiplies clearly faster than single precision."""
        single = self.matmul_gflops["float32"]
        return "bfloat16" if self.matmul_gflops.get("bfloat16", 0) > 1.3 * single else "float32"


def measure_machine(device: str = "cpu", threads: int | None = None, seconds: float = 0.4) -> Machine:
    """Measure products and copies for about `seconds` each."""
    threads = threads or usable_threads()
    torch.set_num_threads(threads)
    rates = {}
    for dtype in (torch.float32, torch.bfloat16):
        rates[str(dtype).removeprefix("torch.")] = round(matmul_rate(dtype, device, seconds) / 1e9, 1)
    return Machine(
        device=device,
        name=torch.cuda.get_device_name() if device.startswith("cuda") else cpu_name(),
        cores=os.cpu_count() or 1,
        threads=threads,
        memory_bytes=(
            torch.cuda.get_device_properties(0).total_memory
            if device.startswith("cuda")
            else psutil.virtual_memory().total
        ),
        matmul_gflops=rates,
        memory_gb_per_s=round(copy_rate(device, seconds) / 1e9, 1),
    )


def matmul_rate(dtype: torch.dtype, device: str, seconds: float) -> float:
    """Floating-point operations a second of a (2048, 512) by (512, 512) product, larger on a GPU."""
    rows, width = (2048, 512) if device == "cpu" else (8192, 4096)
    a = torch.ones(rows, width, dtype=dtype, device=device)
    b = torch.ones(width, width, dtype=dtype, device=device)
    best = _best_time(lambda: torch.mm(a, b), device, seconds)
    return 2 * rows * width * width / best


def copy_rate(device: str, seconds: float) -> float:
    """Bytes a second, read and written, of a copy far larger than the caches."""
    source = torch.ones(32 << 20, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _best_time(lambda: target.copy_(source), device, seconds)


@contextmanager
def quick_products(device: torch.device) -> Iterator[None]:
    """While a model learns on a GPU, products of single precision take ten bits of each number (TF32), and several times less long.

    What is lost is far below what chance in the batches adds. What stood before stands again afterwards, so that a model that is
    asked computes as exactly as it is stored.
    """
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _best_time(work, device: str, seconds: float) -> float:
    best, end = float("inf"), time.perf_counter() + seconds
    work()
    while time.perf_counter() < end or best == float("inf"):
        if device != "cpu":
            torch.cuda.synchronize()
        begin = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - begin)
    return best
