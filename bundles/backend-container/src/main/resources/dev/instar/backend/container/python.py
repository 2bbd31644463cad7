"""The first process of a container with a Python function: loads it once, and forks for each call (guest protocol, version 1: docs/guest-protocol.md).

The function's file has handle(call). What stands in it beside that is done once, before the first call; handle() runs in a process of its own, forked from
the state after that before the call comes, which has no way to this one but the pipes of the call. When it has ended, everything else in the container is killed before the call
is answered, and what was written to files is removed before the next is taken.

    call.input         the body: a binary file, standard input
    call.output        the answer: a binary file
    call.invocation    the id of the invocation
    call.deadline      how many seconds were left when the call began
    call.metadata      all that the host said of the call, a dict of texts

In a call, print() and sys.stderr go to the function's log. sys.exit(n) reports the exit code n, any other exception a trap. Python 3.7 or newer.
"""
import gc
import importlib.util
import io
import os
import random
import select
import signal
import stat
import struct
import sys
import traceback

VERSION = 1
MAGIC = b"INST"
MAX_PAYLOAD = 64 << 10
MAX_DATA = MAX_PAYLOAD - 4
MAX_TEXT = 4 << 10
GRANT = 32 << 10
HELLO, READY, PING, PONG, BYE = 0x01, 0x02, 0x03, 0x04, 0x05
CALL, INPUT, INPUT_END, CANCEL, CREDIT = 0x10, 0x11, 0x12, 0x13, 0x14
OUTPUT, LOG, RESULT = 0x20, 0x21, 0x22
ANSWERED, FAILED, TRAPPED, OUT_OF_MEMORY = 0, 1, 2, 3
# All that a call can write to: the rest of the file system is mounted read-only.
WRITABLE = ("/tmp", "/dev/shm")
PR_SET_DUMPABLE = 4


class Call:
    def __init__(self, metadata, source, sink):
        self.metadata = metadata
        self.invocation = metadata.get("invocation", "")
        self.deadline = int(metadata.get("deadline-ms", "0")) / 1000
        self.input = source
        self.output = sink


def dumpable(on):
    """Whether processes of the same user may look into this one: not into the one from which all calls begin."""
    if libc is not None:
        libc.prctl(PR_SET_DUMPABLE, 1 if on else 0, 0, 0, 0)


def write(descriptor, data):
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest):]


def send(kind, payload=b""):
    try:
        write(node_out, struct.pack(">IB", len(payload), kind) + payload)
    except OSError:
        os._exit(1)


def exactly(size):
    data = b""
    while len(data) < size:
        more = os.read(node_in, size - len(data))
        if not more:
            # The node has gone, or needs the container no more: all in it end with this process.
            os._exit(0)
        data += more
    return data


def receive():
    length, kind = struct.unpack(">IB", exactly(5))
    if length > MAX_PAYLOAD:
        os._exit(1)
    return kind, exactly(length)


def metadata_of(payload):
    texts, at = [], 6
    for _ in range(2 * struct.unpack_from(">H", payload, 4)[0]):
        size = struct.unpack_from(">H", payload, at)[0]
        texts.append(payload[at + 2:at + 2 + size].decode("utf-8"))
        at += 2 + size
    return dict(zip(texts[::2], texts[1::2]))


def run(module, begin, source, sink, log, told):
    """In the process of a call, from before the call comes; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        dumpable(True)
        # Where memory is short, the call goes and not what it was forked from.
        try:
            with open("/proc/self/oom_score_adj", "w") as score:
                score.write("1000")
        except OSError:
            pass
        null = os.open(os.devnull, os.O_RDONLY)
        for there, here in ((null, 0), (log, 1), (log, 2)):
            os.dup2(there, here)
        ends = sorted((begin, source, sink, told))
        low = 3
        for end in ends:
            os.closerange(low, end)
            low = end + 1
        os.closerange(low, max(low, os.sysconf("SC_OPEN_MAX")))
        sys.stdin = io.TextIOWrapper(io.BytesIO())
        sys.stdout = sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace", line_buffering=True)
        payload = b""
        while True:
            more = os.read(begin, MAX_PAYLOAD)
            if not more:
                break
            payload += more
        os.close(begin)
        if not payload:
            return
        random.seed()
        if "numpy.random" in sys.modules:
            sys.modules["numpy.random"].seed()
        status, number, message = ANSWERED, 0, ""
        try:
            call = Call(metadata_of(payload), os.fdopen(source, "rb"), os.fdopen(sink, "wb", MAX_DATA))
            try:
                module.handle(call)
            finally:
                call.output.flush()
        except SystemExit as e:
            if isinstance(e.code, int) and -(1 << 31) <= e.code < 1 << 31:
                status, number = (FAILED, e.code) if e.code else (ANSWERED, 0)
            elif e.code is not None:
                status, number, message = FAILED, 1, str(e.code)
        except MemoryError:
            status = OUT_OF_MEMORY
        except BaseException as e:
            traceback.print_exc()
            status, message = TRAPPED, "".join(traceback.format_exception_only(type(e), e)).strip()
        sys.stdout.flush()
        text = message.encode("utf-8", "replace")[:MAX_TEXT].decode("utf-8", "ignore").encode()
        write(told, struct.pack(">Bi", status, number) + text)
        code = 0
    finally:
        os._exit(code)


class Child:
    """The process of the next call, forked before the call comes, and this side of its pipes."""

    def __init__(self, module):
        begin, self.begin = os.pipe()
        source, self.source = os.pipe()
        self.answer, sink = os.pipe()
        self.log, log = os.pipe()
        self.told, told = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            run(module, begin, source, sink, log, told)
        for end in (begin, source, sink, log, told):
            os.close(end)


def serve(next_child, payload):
    number = struct.unpack_from(">I", payload)[0]
    child, source, answer, log, told = next_child.pid, next_child.source, next_child.answer, next_child.log, next_child.told
    try:
        write(next_child.begin, payload)
    except OSError:
        # It has been killed already, which is told as its end.
        pass
    os.close(next_child.begin)
    os.set_blocking(source, False)
    waiting, ended_input, granted, result = bytearray(), False, 0, b""
    status = None
    poll = select.poll()
    for end in (node_in, answer, log, told, wakeup):
        poll.register(end, select.POLLIN)
    kinds = {answer: OUTPUT, log: LOG}

    def pass_on(end):
        data = os.read(end, MAX_DATA)
        if data:
            send(kinds[end], struct.pack(">I", number) + data)
        return bool(data)

    def stop_input():
        nonlocal source
        if source is not None:
            try:
                poll.unregister(source)
            except KeyError:
                pass
            os.close(source)
            source = None

    open_ends = {answer, log, told}
    while status is None:
        for end, event in poll.poll():
            if end == node_in:
                kind, frame = receive()
                if kind == INPUT and source is not None and struct.unpack_from(">I", frame)[0] == number:
                    waiting += frame[4:]
                    poll.register(source, select.POLLOUT)
                elif kind == INPUT_END and source is not None and struct.unpack_from(">I", frame)[0] == number:
                    ended_input = True
                    if not waiting:
                        stop_input()
                elif kind == CANCEL:
                    os.kill(child, signal.SIGKILL)
                elif kind == PING:
                    send(PONG, frame)
                elif kind == BYE:
                    os._exit(0)
                elif kind not in (PONG, INPUT, INPUT_END):
                    os._exit(1)
            elif end == source:
                try:
                    size = os.write(source, waiting) if waiting else 0
                    del waiting[:size]
                    granted += size
                    if not waiting:
                        poll.unregister(source)
                        if ended_input:
                            stop_input()
                    if granted >= GRANT and not ended_input:
                        send(CREDIT, struct.pack(">II", number, granted))
                        granted = 0
                except BlockingIOError:
                    pass
                except OSError:
                    # The function does not read all of its input, and need not.
                    waiting.clear()
                    stop_input()
            elif end in kinds:
                if not pass_on(end):
                    poll.unregister(end)
                    open_ends.discard(end)
            elif end == told:
                data = os.read(told, MAX_TEXT)
                result += data[:MAX_TEXT + 5 - len(result)]
                if not data:
                    poll.unregister(told)
                    open_ends.discard(told)
            elif end == wakeup:
                os.read(wakeup, 512)
                ended = reap()
                status = ended.get(child, status)
    stop_input()
    # Whatever the call has started goes with it.
    while True:
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            while True:
                os.waitpid(-1, 0)
        except ChildProcessError:
            break
    for end in (answer, log):
        while end in open_ends and pass_on(end):
            pass
    while told in open_ends and len(result) < MAX_TEXT + 5:
        data = os.read(told, MAX_TEXT)
        if not data:
            break
        result += data
    for end in (answer, log, told):
        os.close(end)
    send(RESULT, struct.pack(">I", number) + outcome(status, result))
    clean()


def outcome(status, result):
    if os.WIFSIGNALED(status):
        return struct.pack(">Bi", TRAPPED, 0) + b"its process was ended by signal %d" % os.WTERMSIG(status)
    code = os.WEXITSTATUS(status)
    if code != 0 or len(result) < 5:
        # It has left through os._exit() or the like.
        return struct.pack(">Bi", FAILED, code) if code else struct.pack(">Bi", ANSWERED, 0)
    kind, number = struct.unpack_from(">Bi", result)
    text = result[5:5 + MAX_TEXT].decode("utf-8", "ignore").encode()
    if kind == FAILED and number != 0:
        return struct.pack(">Bi", FAILED, number) + text
    return struct.pack(">Bi", kind if kind in (ANSWERED, TRAPPED, OUT_OF_MEMORY) else TRAPPED, 0) + text


def reap():
    ended = {}
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            ended[pid] = status
    except ChildProcessError:
        pass
    return ended


def remove(directory):
    os.chmod(directory, 0o700)
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if stat.S_ISDIR(os.lstat(path).st_mode):
            remove(path)
            os.rmdir(path)
        else:
            os.unlink(path)


def check_place():
    """What is removed after each call has to be the container's own: a process that can write anywhere else is not where it belongs, and must remove nothing."""
    root = os.stat("/").st_dev
    if os.getpid() != 1 or not os.statvfs("/").f_flag & os.ST_RDONLY or not os.path.isdir("/.instar"):
        sys.exit("This program runs as the first process of a container of Instar only: it empties /tmp.")
    for directory in WRITABLE:
        if os.path.isdir(directory) and (not os.path.ismount(directory) or os.stat(directory).st_dev == root):
            sys.exit(directory + " is no file system of this container alone.")


def clean():
    """No file of a call is there for the next. If that can't be, there is no next."""
    try:
        for directory in WRITABLE:
            if os.path.isdir(directory):
                mode = stat.S_IMODE(os.stat(directory).st_mode)
                names = os.listdir(directory)
                for name in names:
                    path = os.path.join(directory, name)
                    if stat.S_ISDIR(os.lstat(path).st_mode):
                        remove(path)
                        os.rmdir(path)
                    else:
                        os.unlink(path)
                if mode != 0o1777:
                    os.chmod(directory, 0o1777)
    except (OSError, RecursionError):
        os._exit(1)


def load(file):
    directory = os.path.dirname(os.path.abspath(file))
    sys.path[0] = directory
    sys.argv = [file]
    spec = importlib.util.spec_from_file_location("function", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules["function"] = module
    spec.loader.exec_module(module)
    if not callable(getattr(module, "handle", None)):
        sys.exit(file + " has no function handle(call)")
    return module


try:
    import ctypes
    libc = ctypes.CDLL(None)
except (ImportError, OSError):
    libc = None

node_in, node_out = os.dup(0), os.dup(1)
_null = os.open(os.devnull, os.O_RDONLY)
os.dup2(_null, 0)
os.close(_null)
os.dup2(2, 1)
sys.stdout = sys.stderr

if __name__ == "__main__":
    check_place()
    dumpable(False)
    send(HELLO, MAGIC + struct.pack(">HH", VERSION, VERSION))
    function = load(sys.argv[1])
    _kind, _payload = receive()
    _lowest, _highest = struct.unpack(">4xHH", _payload) if _kind == HELLO and _payload[:4] == MAGIC else (0, 0)
    if not _lowest <= VERSION <= _highest:
        send(BYE, b"This guest speaks version 1 only.")
        sys.exit(1)
    wakeup, _wakeup_in = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(_wakeup_in, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(_wakeup_in, warn_on_full_buffer=False)
    clean()
    # What is there stays where it is: a collection in a call would copy all of it.
    gc.collect()
    gc.freeze()
    _child = Child(function)
    send(READY)
    while True:
        _kind, _payload = receive()
        if _kind == CALL:
            serve(_child, _payload)
            _child = Child(function)
        elif _kind == PING:
            send(PONG, _payload)
        elif _kind == BYE:
            sys.exit(0)
        elif _kind not in (PONG, INPUT, INPUT_END, CANCEL):
            sys.exit(1)
