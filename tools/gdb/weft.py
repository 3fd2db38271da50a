"""The fibers of a program that uses weft, in gdb: of a process, and of a core.

    (gdb) source tools/gdb/weft.py
    (gdb) info fibers               all of them: id, name, state, where they were spawned
    (gdb) fiber 17 bt               the calls that fiber 17 is in; of a coroutine, what it awaits
    (gdb) fiber 17                  fiber 17 becomes what `bt`, `up` and `info locals` are about
    (gdb) fiber off                 back to the thread
    (gdb) fiber apply all bt        the calls of all fibers
    (gdb) fiber find ADDRESS        the fiber on whose stack, or in whose block, an address lies

Neither debug information nor a running process is needed: the library says in a table, the symbol
`weft_registry`, where its members are, and no register is written. A program that was stripped of
its symbols has no such table. For x86-64.

A core that the kernel writes has all stacks; gdb's own `generate-core-file` (gcore) leaves out what
follows a guard page that takes no mapping, as from Linux 6.13: stack_guard::page_protection is for
who needs that.
"""

import re
import struct
import time

import gdb
from gdb.unwinder import Unwinder

MAGIC = b"weft_reg"
VERSION = 1

# As in fiber/src/registry_layout.hpp.
OFFSETS = (
    "scheduler_next scheduler_index scheduler_current scheduler_main scheduler_thread_stack "
    "scheduler_runs_on scheduler_group scheduler_slab scheduler_coarse_now group_number slab_chunks "
    "chunk_constructed "
    "chunk_blocks block_size block_context block_wait block_status block_size_class block_stack "
    "block_id block_location block_name block_waits_for block_waits_since block_spawned_by stack_base stack_size frame_awaited_by frame_at "
    "continuation_frame"
).split()

FREE, RESERVED, ARRIVING, UNSTARTED, STARTED, RESTING, DONE = range(7)
STACKLESS = 0xFF
ARMED = (1, 2)  # reasons of a wait that has not ended

# What a wait is for, as in fiber/include/weft/fiber/detail/wait_note.hpp, and how its object is
# written.
WAITS = (
    ("waits", ""),
    ("sleeps", ""),
    ("waits for the end of fiber", "{}"),
    ("waits for the tasks of group", "0x{:x}"),
    ("waits for mutex", "0x{:x}"),
    ("waits for a notification of condition", "0x{:x}"),
    ("waits for semaphore", "0x{:x}"),
    ("waits for event", "0x{:x}"),
    ("waits to receive from channel", "0x{:x}"),
    ("waits to send to channel", "0x{:x}"),
    ("waits for one of several", ""),
    ("waits for input of descriptor", "{}"),
    ("waits to write to descriptor", "{}"),
    ("waits for its turn on descriptor", "{}"),
    ("waits for a free descriptor number", ""),
)


class Failure(gdb.GdbError):
    """What the user is told, in one line."""


# ---- memory ---------------------------------------------------------------------------------------


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def number(address, size):
    return int.from_bytes(read(address, size), "little")


def pointer(address):
    return number(address, 8)


def text(address, most=512):
    """The string that ends with a zero, or with the memory that is there."""
    found = b""
    while len(found) < most:
        # A page may end where the next is not mapped.
        room = min(64, 4096 - (address + len(found)) % 4096)
        try:
            part = read(address + len(found), room)
        except gdb.MemoryError:
            break
        end = part.find(b"\0")
        if end >= 0:
            return (found + part[:end]).decode(errors="replace")
        found += part
    return found.decode(errors="replace")


def printable(given):
    return "".join(each if each.isprintable() else "?" for each in given)


class Layout:
    """Where the members are, as the program says."""

    def __init__(self):
        try:
            start = int(gdb.parse_and_eval("(unsigned long)&weft_registry"))
        except gdb.error:
            raise Failure(
                "no symbol weft_registry: the program does not use weft, is stripped, or is not "
                "loaded yet"
            )
        try:
            head = read(start, 24)
        except gdb.MemoryError:
            raise Failure("the memory of weft_registry is not there: start the process first")
        magic, version, kind, first = struct.unpack("<8sIIQ", head)
        if magic != MAGIC or version != VERSION:
            raise Failure(
                f"this script reads version {VERSION} of weft's registry, the program has "
                f"{version if magic == MAGIC else 'none'}: take the script of its release"
            )
        values = struct.unpack(f"<{len(OFFSETS)}I", read(start + 24, 4 * len(OFFSETS)))
        self.__dict__.update(zip(OFFSETS, values))
        self.is_native = kind == 0
        self.first = first


# ---- fibers ---------------------------------------------------------------------------------------


class Stack:
    def __init__(self, begin, size):
        self.begin, self.size = begin, size

    def __contains__(self, address):
        return self.begin <= address < self.begin + self.size


def stack_at(layout, address):
    if address == 0:
        return None
    return Stack(
        pointer(address + layout.stack_base), number(address + layout.stack_size, 8)
    )


class Place:
    """A std::source_location of libstdc++."""

    def __init__(self, address):
        where = pointer(address)
        self.file = text(pointer(where)) if where else ""
        self.function = text(pointer(where + 8)) if where else ""
        self.line = number(where + 16, 4) if where else 0

    def __str__(self):
        return f"{self.file}:{self.line}" if self.file else "?"


class Worker:
    def __init__(self, layout, address):
        self.layout, self.address = layout, address
        self.index = number(address + layout.scheduler_index, 4)
        self.runtime = number(pointer(address + layout.scheduler_group) + layout.group_number, 8)
        self.current = pointer(address + layout.scheduler_current)
        self.polled_at = number(address + layout.scheduler_coarse_now, 4)
        begin, size = struct.unpack("<QQ", read(address + layout.scheduler_thread_stack, 16))
        self.thread_stack = Stack(begin, size)
        self.runs_on = stack_at(layout, pointer(address + layout.scheduler_runs_on))

    def __str__(self):
        return f"{self.runtime}.{self.index}"

    def blocks(self):
        """The addresses of control blocks that may be in use, main's first."""
        layout = self.layout
        yield self.address + layout.scheduler_main
        chunks = pointer(self.address + layout.scheduler_slab) + layout.slab_chunks
        begin, end = pointer(chunks), pointer(chunks + 8)
        for place in range(begin, end, 8):
            chunk = pointer(place)
            for i in range(number(chunk + layout.chunk_constructed, 8)):
                yield chunk + layout.chunk_blocks + i * layout.block_size

    def fibers(self):
        for address in self.blocks():
            fiber = Fiber(self, address)
            if fiber.status > RESERVED and fiber.id != 0:
                yield fiber


class Fiber:
    def __init__(self, worker, address):
        layout = worker.layout
        block = read(address, layout.block_size)
        at = lambda offset, size: int.from_bytes(block[offset : offset + size], "little")
        self.worker, self.address = worker, address
        self.id = at(layout.block_id, 8)
        self.status = at(layout.block_status, 1)
        self.is_coroutine = at(layout.block_size_class, 1) == STACKLESS
        self.is_main = address == worker.address + layout.scheduler_main
        self.waits = at(layout.block_wait, 1) in ARMED
        self.runs = address == worker.current
        self.context = struct.unpack_from("<QQQ", block, layout.block_context)
        self.bound_stack = at(layout.block_stack, 8)
        self.name_at = at(layout.block_name, 8)
        self.waits_for = at(layout.block_waits_for, 8)
        self.waits_since = at(layout.block_waits_since, 4)
        self.spawned_by = at(layout.block_spawned_by, 8)

    @property
    def name(self):
        return printable(text(self.name_at)) if self.name_at else ""

    @property
    def title(self):
        return f'"{self.name}" (fiber {self.id})' if self.name_at else f"fiber {self.id}"

    @property
    def spawned_at(self):
        return Place(self.address + self.worker.layout.block_location)

    @property
    def stack(self):
        """The one that it has, or null: it has not started, or has suspended."""
        if self.is_main:
            return self.worker.thread_stack
        if self.runs and self.bound_stack == 0:
            return self.worker.runs_on
        if self.status != STARTED:
            return None
        return stack_at(self.worker.layout, self.bound_stack)

    @property
    def state(self):
        if self.status in (ARRIVING, UNSTARTED):
            return "not started"
        if self.status == DONE:
            return "ended"
        if self.waits:
            return self.wait  # perhaps while it polls, on its stack, for all of its worker
        return "runs" if self.runs else "ready"

    @property
    def wait(self):
        kind, target = self.waits_for >> 56, self.waits_for & ((1 << 56) - 1)
        purpose, form = WAITS[kind] if kind < len(WAITS) else WAITS[0]
        return f"{purpose} {form.format(target)}".rstrip()

    def waiting_time(self, now):
        """In seconds, as text; `now` in milliseconds."""
        if not self.waits or self.status not in (STARTED, RESTING):
            return ""
        return f"{((now - self.waits_since) % 2**32) / 1000:.1f}"

    @property
    def has_context(self):
        return self.status == STARTED and not self.runs

    def registers(self):
        """Those that it goes on with."""
        if self.worker.layout.is_native:
            stack_pointer, instruction, frame = self.context
            return {"rsp": stack_pointer, "rip": instruction, "rbp": frame}
        # As jump_fcontext() of Boost.Context saves them (x86_64, System V, ELF).
        saved = self.context[0]
        names = ("r12", "r13", "r14", "r15", "rbx", "rbp", "rip")
        values = struct.unpack("<7Q", read(saved + 0x10, 56))
        return dict(zip(names, values), rsp=saved + 0x48)

    def awaits(self):
        """Where its coroutines await, the innermost first."""
        layout = self.worker.layout
        next_one = self.context[0]  # its resume_point
        while next_one:
            frame = pointer(next_one + layout.continuation_frame)
            if frame == 0:
                return
            yield Place(frame + layout.frame_at)
            next_one = pointer(frame + layout.frame_awaited_by)


def workers():
    layout = Layout()
    found = []
    address = layout.first
    while address:
        found.append(Worker(layout, address))
        address = pointer(address + layout.scheduler_next)
    return found[::-1]  # the oldest first


def milliseconds_now(known_workers):
    """The time of the process, to the lower 32 bits; of a core, when a worker has polled last."""
    connection = getattr(gdb.selected_inferior(), "connection", None)
    if connection is not None and connection.type == "native":
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000
    return max((each.polled_at for each in known_workers), default=0)


def all_fibers():
    for worker in workers():
        yield from worker.fibers()


def fiber_of(identity):
    for fiber in all_fibers():
        if fiber.id == identity:
            return fiber
    raise Failure(f"there is no fiber {identity}; `info fibers` lists them")


# ---- backtraces -----------------------------------------------------------------------------------


class FrameId:
    def __init__(self, stack_pointer, instruction):
        self.sp, self.pc = stack_pointer, instruction


class FiberUnwinder(Unwinder):
    """Puts the calls of a fiber behind the innermost frame of the selected thread."""

    def __init__(self):
        super().__init__("weft-fiber")
        self.registers = None
        self.innermost = None

    def show(self, registers):
        self.registers = None
        gdb.invalidate_cached_frames()
        frame = gdb.newest_frame()
        self.innermost = (int(frame.read_register("rsp")), int(frame.read_register("rip")))
        self.registers = registers
        gdb.invalidate_cached_frames()

    def hide(self):
        self.registers = None
        gdb.invalidate_cached_frames()

    def __call__(self, pending_frame):
        if self.registers is None:
            return None
        stack_pointer = pending_frame.read_register("rsp")
        instruction = pending_frame.read_register("rip")
        if (int(stack_pointer), int(instruction)) != self.innermost:
            return None
        value = lambda name: gdb.Value(self.registers[name])
        # It must lie on the fiber's stack, or gdb takes the next frame for a corrupt one.
        place = FrameId(
            value("rsp").cast(stack_pointer.type), value("rip").cast(instruction.type)
        )
        info = pending_frame.create_unwind_info(place)
        for name in self.registers:
            kind = pending_frame.read_register(name).type
            info.add_saved_register(name, value(name).cast(kind))
        return info


unwinder = FiberUnwinder()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)


def forget_fiber(event):
    """What was shown is not true any more once the program has run on."""
    unwinder.registers = None


gdb.events.cont.connect(forget_fiber)
gdb.events.exited.connect(forget_fiber)


def thread_on(stack):
    """The thread whose stack pointer lies there."""
    if stack is None:
        return None
    before = gdb.selected_thread()
    try:
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            if int(gdb.newest_frame().read_register("rsp")) in stack:
                return thread
    finally:
        if before is not None:
            before.switch()
    return None


def print_frames(frame):
    level = 0
    while frame is not None and frame.is_valid():
        instruction = frame.pc()
        if instruction == 0:
            return  # where the calls of a fiber began
        name = frame.name() or "??"
        sal = frame.find_sal()
        if sal.symtab is not None and sal.line != 0:
            where = f"{name} () at {sal.symtab.filename}:{sal.line}"
        else:
            library = gdb.solib_name(instruction)
            where = f"{name} ()" + (f" from {library}" if library else "")
        gdb.write(f"#{level:<3} 0x{instruction:016x} in {where}\n")
        level += 1
        frame = frame.older()


def print_calls(fiber):
    origin = f"of worker {fiber.worker}" if fiber.is_main else f"spawned at {fiber.spawned_at}"
    gdb.write(f"{fiber.title} {fiber.state}, {origin}\n")
    if fiber.status == RESTING and not fiber.runs:
        for level, place in enumerate(fiber.awaits()):
            gdb.write(f"#{level:<3} awaits in {place.function} at {place}\n")
    elif fiber.has_context:
        unwinder.show(fiber.registers())
        try:
            print_frames(gdb.newest_frame().older())
        finally:
            unwinder.hide()
    elif fiber.runs:
        thread = thread_on(fiber.stack)
        if thread is None:
            return gdb.write("    no thread is on its stack\n")
        before = gdb.selected_thread()
        thread.switch()
        try:
            print_frames(gdb.newest_frame())
        finally:
            before.switch()


def select(fiber):
    if fiber.runs:
        thread = thread_on(fiber.stack)
        if thread is None:
            raise Failure(f"{fiber.title} runs, but no thread is on its stack")
        unwinder.hide()
        thread.switch()
        gdb.write(f"{fiber.title} runs on thread {thread.num}, which is selected\n")
        return
    if not fiber.has_context:
        raise Failure(
            f"{fiber.title} has no stack: it {'has suspended' if fiber.status == RESTING else fiber.state}; "
            f"`fiber {fiber.id} bt` says more"
        )
    unwinder.show(fiber.registers())
    outermost = gdb.newest_frame().older()
    if outermost is None:
        unwinder.hide()
        raise Failure(f"the calls of {fiber.title} cannot be unwound")
    outermost.select()
    gdb.write(f"{fiber.title}: its calls begin with frame 1; `fiber off` ends it\n")


# ---- commands -------------------------------------------------------------------------------------


class InfoFibers(gdb.Command):
    """List the fibers: id, worker (runtime.index), state and for how long, name, by whom and where spawned.

info fibers [PATTERN]: only those whose name or place has the regular expression in it."""

    def __init__(self):
        super().__init__("info fibers", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        try:
            pattern = re.compile(argument)
        except re.error as error:
            raise Failure(f"'{argument}' is no regular expression: {error}")
        rows = [("Id", "Worker", "State", "For s", "Name", "Spawned by, at")]
        known_workers = workers()
        now = milliseconds_now(known_workers)
        for fiber in (fiber for worker in known_workers for fiber in worker.fibers()):
            spawner = f"{fiber.spawned_by}, " if fiber.spawned_by else ""
            place = "" if fiber.is_main else f"{spawner}{fiber.spawned_at}"
            kind = "coroutine " if fiber.is_coroutine else ""
            state = kind + fiber.state
            if pattern.search(f"{fiber.name} {place}"):
                time_waited = fiber.waiting_time(now)
                rows.append(
                    (str(fiber.id), str(fiber.worker), state, time_waited, fiber.name, place)
                )
        if len(rows) == 1:
            return gdb.write("No fibers.\n")
        widths = [max(len(row[i]) for row in rows) for i in range(5)] + [0]
        for row in rows:
            gdb.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() + "\n")


class FiberCommand(gdb.Command):
    """Look at one fiber, or at all.

fiber ID              make it what bt, up and info locals are about; its calls begin with frame 1
fiber ID bt           print the calls it is in
fiber apply all bt    the same for all
fiber find ADDRESS    say on whose stack, or in whose block, an address lies
fiber off             back to the thread"""

    usage = "usage: fiber ID [bt] | fiber apply all bt | fiber find ADDRESS | fiber off"

    def __init__(self):
        super().__init__("fiber", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if words[:1] == ["find"] and len(words) > 1:
            return self.find(argument.split(None, 1)[1])
        if words == ["off"]:
            unwinder.hide()
            return gdb.write("back to the thread\n")
        if words == ["apply", "all", "bt"]:
            unwinder.hide()
            for fiber in all_fibers():
                try:
                    print_calls(fiber)
                except gdb.MemoryError as error:
                    gdb.write(f"    {error}\n")
                gdb.write("\n")
            return None
        if len(words) not in (1, 2) or not words[0].isdecimal() or words[1:] not in ([], ["bt"]):
            raise Failure(self.usage)
        fiber = fiber_of(int(words[0]))
        if len(words) == 1:
            return select(fiber)
        unwinder.hide()
        return print_calls(fiber)

    @staticmethod
    def find(expression):
        address = int(gdb.parse_and_eval(f"(unsigned long)({expression})"))
        for fiber in all_fibers():
            if fiber.address <= address < fiber.address + fiber.worker.layout.block_size:
                return gdb.write(f"0x{address:x} lies in the control block of {fiber.title}\n")
            stack = fiber.stack
            if stack is not None and address in stack:
                return gdb.write(
                    f"0x{address:x} lies on the stack of {fiber.title}, {stack.size // 1024} KiB, "
                    f"0x{stack.begin:x} to 0x{stack.begin + stack.size:x}\n"
                )
        raise Failure(f"0x{address:x} lies on the stack of no fiber")


InfoFibers()
FiberCommand()
