"""System calls: most are handed to this machine's kernel with addresses translated."""
import ctypes
import os
import struct

from memory import BASE, END, LOADER

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


class Kernel:
    """Answers system calls; most are handed to this machine's kernel with addresses translated."""

    IGNORED = {10, 11, 13, 14, 28, 131, 218, 273}  # mprotect, munmap, signals, madvise, thread bookkeeping
    REFUSED = {57, 58, 334, 435}  # fork, rseq, clone3: the C library goes on with clone

    def __init__(self, memory, threads):
        self.memory, self.threads, self.status = memory, threads, None

    def call(self, cpu, number, arguments):
        memory = self.memory
        if number == 9:
            return memory.map(arguments[0], arguments[1], arguments[3], ctypes.c_int(arguments[4]).value, arguments[5])
        if number == 25:  # mremap
            return memory.move(*arguments[:3])
        if number == 12:
            if memory.brk_start <= arguments[0] < LOADER:
                memory.brk = arguments[0]
            return memory.brk
        if number == 231 or number == 60 and self.threads.current == 0:
            self.status = arguments[0] & 255
            return 0
        if number == 60:
            return self.threads.end(cpu)
        if number == 56:  # clone
            return self.threads.start(cpu, *arguments[1:5])
        if number == 24:  # sched_yield
            return self.threads.turn(cpu, 0)
        if number == 202:  # futex
            return self.threads.futex(cpu, arguments)
        if number == 158:  # arch_prctl
            if arguments[:2] == [0x1023, 18]:  # tiles asked for
                return 0
            if arguments[0] != 0x1002:
                return -22
            segment = cpu.fs
            segment.base = arguments[1]
            cpu.fs = segment
            return 0
        if number == 20:  # writev
            parts = [struct.unpack("<QQ", memory.get(arguments[1] + 16 * n, 16)) for n in range(arguments[2])]
            return os.write(arguments[0], b"".join(memory.get(*part) for part in parts))
        if number in self.IGNORED:
            return 0
        if number in self.REFUSED:
            return -38
        host = [x - BASE + memory.host if BASE <= x < END else x for x in arguments]
        result = libc.syscall(number, *(ctypes.c_long(ctypes.c_int64(x).value) for x in host))
        return -ctypes.get_errno() if result == -1 else result
