"""The program's memory: one stretch of this process's, and an ELF file's way into it."""
import ctypes
import mmap
import os
import pathlib
import struct

import tiles

PAGE = 4096
BASE, PROGRAM, LOADER, ARENA, STACK, END = 0x1000_0000, 0x1010_0000, 0x2000_0000, 0x2100_0000, 0x5F00_0000, 0x6000_0000
HALT = BASE  # where system calls arrive
ASK = BASE + 16  # a CPUID to run for the program
PAGE_TABLES = BASE + PAGE


def up(n):
    return -(-n // PAGE) * PAGE


class Memory:
    """The program's addresses, one stretch of this process's memory."""

    def __init__(self, memory):
        self.bytes = mmap.mmap(-1, END - BASE)
        self.host = ctypes.addressof(ctypes.c_char.from_buffer(self.bytes))
        for address in range(BASE, END, PAGE):
            memory.page_insert(address, self.host + address - BASE)
        directories = [PAGE_TABLES + 2 * PAGE, PAGE_TABLES + 3 * PAGE]  # addresses stand for themselves, in pages of 2 MiB
        self.put(PAGE_TABLES, struct.pack("<Q", PAGE_TABLES + PAGE | 7))
        self.put(PAGE_TABLES + PAGE, struct.pack("<2Q", *(d | 7 for d in directories)))
        for n, directory in enumerate(directories):
            self.put(directory, struct.pack("<512Q", *((n << 30) + (k << 21) | 0x87 for k in range(512))))
        self.top = ARENA
        self.brk = self.brk_start = 0

    def put(self, address, data):
        self.bytes[address - BASE:address - BASE + len(data)] = data

    def get(self, address, size):
        return self.bytes[address - BASE:address - BASE + size]

    def map(self, address, size, flags, fd, offset):
        """mmap, by copying: nothing is given back or shared."""
        if not flags & 0x10:  # MAP_FIXED
            address, self.top = self.top, self.top + up(size)
            if self.top > STACK - 0x100_0000:
                return -12
        data = b"" if flags & 0x20 else os.pread(fd, size, offset)
        ctypes.memset(self.host + address - BASE, 0, up(size))
        self.put(address, data)
        return address

    def move(self, address, size, wanted):
        """mremap: shrunk in place, grown elsewhere."""
        if wanted <= size:
            return address
        place = self.map(0, wanted, 0x20, -1, 0)
        if place > 0:
            self.put(place, self.get(address, size))
        return place

    def load(self, path, base):
        """An ELF file's segments; its headers and entry."""
        image = pathlib.Path(path).read_bytes()
        kind, entry, table = struct.unpack_from("<16xH6xQQ", image)
        size, count = struct.unpack_from("<HH", image, 54)
        base = base if kind == 3 else 0
        interpreter, end = None, 0
        for n in range(count):
            what, _, offset, address, _, in_file, in_memory, _ = struct.unpack_from("<IIQQQQQQ", image, table + n * size)
            if what == 1:
                self.put(base + address, tiles.CPUID.sub(tiles.UD2, image[offset:offset + in_file]))
                end = max(end, base + address + in_memory)
            elif what == 3:
                interpreter = image[offset:offset + in_file - 1].decode()
        return dict(base=base, entry=base + entry, headers=base + table, size=size, count=count, interpreter=interpreter, end=up(end))


def first_stack(memory, arguments, program, loader):
    """Arguments, environment and auxiliary vector as the kernel leaves them; the stack pointer."""
    at = STACK + 0xFF_0000
    texts = []
    for text in [*arguments, "RUST_BACKTRACE=0", "PATH=/usr/bin", "RAYON_NUM_THREADS=1"]:
        data = os.fsencode(text) + b"\0"
        at -= len(data)
        memory.put(at, data)
        texts.append(at)
    at = (at - 16) & -16
    memory.put(at, os.urandom(16))
    auxiliary = [(3, program["headers"]), (4, program["size"]), (5, program["count"]), (6, PAGE), (7, loader["base"] if loader else 0),
                 (9, program["entry"]), (11, 0), (12, 0), (13, 0), (14, 0), (16, 0), (17, 100), (23, 0), (25, at), (0, 0)]
    count = len(arguments)
    words = [count, *texts[:count], 0, *texts[count:], 0, *(x for pair in auxiliary for x in pair)]
    at = (at - 8 * len(words)) & -16
    memory.put(at, struct.pack(f"<{len(words)}Q", *words))
    return at
