"""The processor: Bochs' library, made into a Sapphire Rapids."""
import ctypes
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

from memory import HALT, PAGE, PAGE_TABLES

SHIM = """
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
unsigned long __isoc23_strtoul(const char *s, char **e, int b) { return strtoul(s, e, b); }
unsigned long long __isoc23_strtoull(const char *s, char **e, int b) { return strtoull(s, e, b); }
long __isoc23_strtol(const char *s, char **e, int b) { return strtol(s, e, b); }
int __isoc23_sscanf(const char *s, const char *f, ...) { va_list a; va_start(a, f); int n = vsscanf(s, f, a); va_end(a); return n; }
"""


def import_bochs():
    try:
        import bochscpu
    except ImportError as error:
        if "isoc23" not in str(error) or "EMULATE_SHIM" in os.environ:
            raise
        folder = pathlib.Path(tempfile.mkdtemp())
        (folder / "shim.c").write_text(SHIM)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "shim.so", folder / "shim.c"], check=True)
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"LD_PRELOAD": str(folder / "shim.so"), "EMULATE_SHIM": "1"})
    os.environ.pop("LD_PRELOAD", None)
    return bochscpu


def choose_processor(extension):
    """Bochs' library always makes a Cannon Lake: its constructor becomes a jump to the one wanted."""
    library = ctypes.CDLL(extension.__file__)
    place = lambda name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    old, new = place("_Z23create_corei3_cnl_cpuidP8BX_CPU_C"), place("_Z28create_sapphire_rapids_cpuidP8BX_CPU_C")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(old & -PAGE), 2 * PAGE, 7):
        raise OSError(ctypes.get_errno(), "mprotect")
    ctypes.memmove(old, b"\x48\xb8" + struct.pack("<Q", new) + b"\xff\xe0", 12)


def start_state(bochscpu, stack, entry):
    state = bochscpu.State()
    bochscpu.cpu.set_long_mode(state)
    segment = lambda selector, attributes: (s := bochscpu.Segment(), setattr(s, "limit", 0xFFFFFFFF), setattr(s, "selector", selector),
                                            setattr(s, "present", True), setattr(s, "attr", attributes))[0]
    state.cs = segment(0x10, 0x209B)
    for name in ("ds", "es", "ss", "fs", "gs"):
        setattr(state, name, segment(0x18, 0xC93))
    state.cr3, state.rsp, state.rip, state.rflags = PAGE_TABLES, stack, entry, 2
    state.cr0 = (state.cr0 | 2) & ~0xC  # floating point is there
    state.cr4 |= 0x40600  # SSE and XSAVE
    state.xcr0 = 0xE7  # AVX and AVX-512 registers
    state.mxcsr, state.mxcsr_mask = 0x1F80, 0xFFFF
    state.star, state.lstar, state.sfmask = 0x10 << 32, HALT, 0
    return state
