"""The tile instructions of AMX, which Bochs' library lacks, from their description in Intel's manual.

Only what an 8-bit kernel needs: LDTILECFG, TILEZERO, TILELOADD, TILESTORED, TDPB[SU][SU]D, TILERELEASE (Intel 64 and
IA-32 Architectures Software Developer's Manual, volume 2). Bochs raises "undefined opcode" for each; it is done here.
"""
import re
import struct

import numpy as np

# A compiler's CPUID (`mov r64, rbx; cpuid; xchg r64, rbx`), which becomes UD2 so that the tiles can be announced.
CPUID = re.compile(rb"(?<=[\x48\x49]\x89[\xc0-\xff])\x0f\xa2(?=[\x48\x49\x4c]\x87)")
UD2 = b"\x0f\x0b"
REGISTERS = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split()
LONGEST = 10  # bytes of an instruction below


class Instruction:
    """A VEX instruction with three bytes of prefix, map 0F38, opcodes 49, 4B or 5E."""

    def __init__(self, code):
        if code[0] != 0xC4 or code[1] & 31 != 2 or code[3] not in (0x49, 0x4B, 0x5E):
            raise ValueError("no tile instruction")
        self.prefix, self.opcode = code[2] & 3, code[3]
        self.second = ~(code[2] >> 3) & 15
        high = [8 * (not code[1] >> bit & 1) for bit in (7, 6, 5)]  # R, X, B
        kind, self.register, low = code[4] >> 6, code[4] >> 3 & 7, code[4] & 7
        self.base = self.index = None
        self.offset, self.third, self.length = 0, low, 5
        self.in_memory = kind != 3
        if self.in_memory:
            scaled = low == 4
            if scaled:
                self.base, self.index, self.scale = (code[5] & 7) + high[2], (code[5] >> 3 & 7) + high[1], 1 << (code[5] >> 6)
                self.length = 6
            else:
                self.base = low + high[2]
            if kind == 0 and self.base & 7 == 5:  # relative to the next instruction
                if scaled:
                    raise ValueError("an address without a base")
                self.base, kind = None, 2
            if kind:
                self.offset, = struct.unpack_from("<" + "bi"[kind - 1], code, self.length)
                self.length += (1, 4)[kind - 1]


class Tiles:
    """The tile registers, their configuration and the instructions on them."""

    def __init__(self, memory):
        self.memory, self.rows, self.row_bytes = memory, [0] * 8, [0] * 8
        self.tiles = np.zeros((8, 16, 64), np.uint8)

    def run_before(self, cpu):
        """Runs the tile instruction that ends where the processor stands."""
        for start in range(cpu.rip - 5, cpu.rip - LONGEST - 1, -1):
            try:
                found = Instruction(self.memory.get(start, LONGEST + 1))
            except (ValueError, struct.error):
                continue
            if start + found.length == cpu.rip:
                return self.run(cpu, found)
        raise ValueError(f"no tile instruction before {cpu.rip:#x}")

    def run(self, cpu, instruction):
        i = instruction
        address = stride = 0
        if i.in_memory:
            address = (cpu.rip if i.base is None else getattr(cpu, REGISTERS[i.base])) + i.offset
            stride = getattr(cpu, REGISTERS[i.index]) * i.scale if i.index is not None else 0
        if i.opcode == 0x49 and i.in_memory and i.prefix == 0:
            self.configure(self.memory.get(address, 64))
        elif i.opcode == 0x49 and i.prefix == 0:
            self.configure(bytes(64))  # TILERELEASE
        elif i.opcode == 0x49 and i.prefix == 3:
            self.tiles[i.register] = 0
        elif i.opcode == 0x4B and i.prefix == 3:
            self.tiles[i.register] = 0
            for row in range(self.rows[i.register]):
                data = self.memory.get(address + row * stride, self.row_bytes[i.register])
                self.tiles[i.register, row, :len(data)] = np.frombuffer(data, np.uint8)
        elif i.opcode == 0x4B and i.prefix == 2:
            for row in range(self.rows[i.register]):
                self.memory.put(address + row * stride, self.tiles[i.register, row, :self.row_bytes[i.register]].tobytes())
        elif i.opcode == 0x5E:
            self.multiply(i.register, i.third, i.second, *{0: (0, 0), 1: (0, 1), 2: (1, 0), 3: (1, 1)}[i.prefix])
        else:
            raise ValueError(f"opcode {i.opcode:#x} with prefix {i.prefix}")

    def configure(self, config):
        if config[0] > 1:
            raise ValueError(f"palette {config[0]}")
        self.row_bytes, self.rows = list(struct.unpack_from("<8H", config, 16)), list(config[48:56])
        if max(self.row_bytes) > 64 or max(self.rows) > 16:
            raise ValueError("a tile of more than 16 rows of 64 bytes")
        self.tiles[:] = 0

    def multiply(self, out, first, second, first_signed, second_signed):
        """Sums of four products of bytes: rows of the first tile times four-byte columns of the second."""
        if len({out, first, second}) < 3 or self.row_bytes[first] // 4 != self.rows[second]:
            raise ValueError("tiles that do not fit together")
        bytes_of = lambda tile, signed: self.tiles[tile].view(np.int8 if signed else np.uint8).astype(np.int64)
        a = bytes_of(first, first_signed)[:, :self.row_bytes[first]].reshape(16, -1, 4)
        b = bytes_of(second, second_signed)[:self.rows[second]].reshape(self.rows[second], 16, 4)
        sums = self.tiles[out].view(np.int32)
        sums[:] = (sums + np.einsum("mkd,knd->mn", a, b)).astype(np.int32)
