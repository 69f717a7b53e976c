"""The program's threads and the futexes they wait at."""
import struct


class Threads:
    """The program's threads. One runs until it waits, yields or ends."""

    def __init__(self, memory):
        self.memory, self.current, self.last = memory, 0, 0
        self.resting = {}  # thread: its state, with the answer to the call it made
        self.waiting = {}  # thread: the address it waits at
        self.gone = {}  # thread: where to write that it ended

    def rest(self, cpu, answer):
        cpu.rax = answer
        self.resting[self.current] = cpu.state

    def resume(self, cpu, after):
        """The next thread that can run goes on; its answer. Where all wait, one whose time is up."""
        able = sorted(set(self.resting) - set(self.waiting)) or sorted(self.waiting)
        self.current = next((t for t in able if t > after), able[0])
        late = self.waiting.pop(self.current, None)
        cpu.set_state(self.resting.pop(self.current))
        return cpu.rax if late is None else -110

    def turn(self, cpu, answer):
        self.rest(cpu, answer)
        return self.resume(cpu, self.current)

    def start(self, cpu, stack, parent_place, child_place, local):
        self.last += 1
        state = cpu.state
        state.rax, state.rsp = 0, stack
        segment = state.fs
        segment.base = local
        state.fs = segment
        self.resting[self.last], self.gone[self.last] = state, child_place
        if parent_place:
            self.memory.put(parent_place, struct.pack("<I", 1000 + self.last))
        return 1000 + self.last

    def end(self, cpu):
        place = self.gone.pop(self.current)
        self.memory.put(place, bytes(4))
        self.wake(place, 1 << 30)
        return self.resume(cpu, self.current)

    def wake(self, place, most):
        woken = [t for t, at in self.waiting.items() if at == place][:most]
        for thread in woken:
            del self.waiting[thread]
        return len(woken)

    def futex(self, cpu, arguments):
        place, operation, value = arguments[0], arguments[1] & 0x7F, arguments[2] & 0xFFFF_FFFF
        if operation in (1, 10):
            return self.wake(place, value)
        if operation not in (0, 9):
            return -38
        if struct.unpack("<I", self.memory.get(place, 4))[0] != value:
            return -11
        self.waiting[self.current] = place
        return self.turn(cpu, 0)
