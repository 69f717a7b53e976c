"""Runs a Linux program on an emulated Sapphire Rapids, so that kernels can be tested where no such processor is.

python scripts/emulate PROGRAM [ARGUMENT ...]

    python scripts/emulate target/release/tarjim translate --kernel amx FILE
    python scripts/emulate target/debug/deps/tarjim-… native --test-threads 1

The processor is Bochs' (PyPI `bochscpu-python`) with AVX-VNNI and AVX-512 VNNI; AMX is added by `tiles.py`. The program
is loaded as the kernel would load it, its system calls are answered by this machine's own; threads take turns.
Where the C library is older than glibc 2.38 a shim for four renamed functions is compiled and preloaded first.
"""
import os
import sys

from calls import Kernel
from memory import ASK, HALT, LOADER, PROGRAM, Memory, first_stack
from processor import choose_processor, import_bochs, start_state
from threads import Threads
from tiles import UD2, Tiles


def main():
    bochscpu = import_bochs()
    import bochscpu.cpu
    import bochscpu.memory
    from bochscpu import _bochscpu

    choose_processor(_bochscpu)
    memory = Memory(bochscpu.memory)
    memory.put(HALT, b"\xf4\xff\xe1")  # hlt; jmp rcx
    memory.put(ASK, b"\x0f\xa2\xf4")  # cpuid; hlt
    program = memory.load(sys.argv[1], PROGRAM)
    loader = memory.load(program["interpreter"], LOADER) if program["interpreter"] else None
    memory.brk = memory.brk_start = program["end"]
    stack = first_stack(memory, sys.argv[1:], program, loader)
    kernel = Kernel(memory, Threads(memory))

    def missing(address):
        raise SystemExit(f"no memory at {address:#x}")

    session = bochscpu.Session()
    session.missing_page_handler = missing
    session.cpu.set_state(start_state(bochscpu, stack, (loader or program)["entry"]))
    undefined = False

    def exception(session, _, vector, code):
        nonlocal undefined
        undefined = vector == 6
        if not undefined:
            kernel.status = 128 + vector
            print(f"exception {vector} ({code:#x}) at {session.cpu.rip:#x}, memory {session.cpu.cr2:#x}", file=sys.stderr)
        session.stop()

    hook = bochscpu.Hook()
    hook.exception = exception
    hook.hlt = lambda session, _: session.stop()
    tiles = Tiles(memory)

    def cpuid(cpu):
        """What Bochs says, and that there are tiles with 8-bit products."""
        leaf, rip = cpu.rax & 0xFFFF_FFFF, cpu.rip
        cpu.rip = ASK
        session.run([hook])
        if leaf == 7:
            cpu.rdx |= 0b11 << 24
        cpu.rip = rip

    while kernel.status is None:
        undefined = False
        session.run([hook])
        cpu = session.cpu
        if undefined:
            if memory.get(cpu.rip - 2, 2) == UD2:
                cpuid(cpu)
            else:
                tiles.run_before(cpu)
        elif kernel.status is None:
            number, arguments = cpu.rax, [cpu.rdi, cpu.rsi, cpu.rdx, cpu.r10, cpu.r8, cpu.r9]
            result = kernel.call(cpu, number, arguments)
            if "EMULATE_TRACE" in os.environ:
                print(number, [hex(x) for x in arguments], result, file=sys.stderr)
            cpu.rax = result & 0xFFFF_FFFF_FFFF_FFFF
    sys.stdout.flush()
    os._exit(kernel.status)


if __name__ == "__main__":
    main()
