"""`inkstone doctor`."""

import argparse
from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure and print."""
    from inkstone.progress import human_bytes
    from inkstone.training.doctor import doctor

    facts = doctor(options.device)
    if not options.json:
        rates = facts["matmul_gflops"]
        print(f"device      {facts['device']}: {facts['name']}, {facts['threads']} of {facts['cores']} cores")
        print(f"memory      {human_bytes(facts['memory_bytes'])}, copied at {facts['memory_gb_per_s']:.0f} GB/s")
        print("products    " + ", ".join(f"{rate:,.0f} GFLOP/s in {name}" for name, rate in rates.items()))
        print(f"will use    {facts['will_use']}")
        print(f"compiler    {_compiled_by(facts['compiler'], facts['compiled'])}")
        print(f"disk        {human_bytes(facts['disk_free_bytes'])} free here")
        print(f"data        {facts['data'] or 'INKSTONE_DATA is not set; named data sets are fetched on request'}")
        for name, version in facts["packages"].items():
            print(f"{name:11} {version or 'not installed'}")
        print("\nnext        inkstone train FOLDER --minutes 5")
    return facts


def _compiled_by(compiler: str | None, compiled: bool) -> str:
    """What writing with decoders on the CPU can count on."""
    if compiled:
        return "not needed any more: decoders write by compiled code, which is there"
    if compiler is None:
        return "none for C++; decoders write without compiled code, slower: install g++, or name one in CXX"
    return f"{compiler}; decoders write by code that it compiles at first use"
