"""Serve an Instar function from a Python program: the guest's end of the guest protocol, version 1 (docs/guest-protocol.md).

    #!/usr/bin/env python3
    import instar_guest

    def handle(call):
        call.output.write(call.input.read().upper())

    instar_guest.serve(handle)

What stands before serve() is done once a process; handle() is called once a call, one call at a time. Python 3.7 or newer, no other package.

In a call, print() and what goes to sys.stderr end in the function's log, and programs that the function starts write there too; standard input is
empty. sys.exit(n) in a call reports the exit code n; any other exception is reported as a trap, with its traceback in the log.
"""
import collections
import io
import os
import queue
import struct
import sys
import threading
import traceback

VERSION = 1
MAGIC = b"INST"
MAX_PAYLOAD = 64 << 10
MAX_DATA = MAX_PAYLOAD - 4
MAX_TEXT = 4 << 10
# Input is granted anew when this much has been read, so that the host need not wait and few CREDIT frames are sent.
GRANT = 32 << 10

HELLO, READY, PING, PONG, BYE = 0x01, 0x02, 0x03, 0x04, 0x05
CALL, INPUT, INPUT_END, CANCEL, CREDIT = 0x10, 0x11, 0x12, 0x13, 0x14
OUTPUT, LOG, RESULT = 0x20, 0x21, 0x22
ANSWERED, FAILED, TRAPPED, OUT_OF_MEMORY = 0, 1, 2, 3


class Cancelled(Exception):
    """Nobody waits for the answer any more. Raised by a read of the input."""


class Call:
    """One call.

    input          the body: a binary file, read as it comes (read, read1, readline, iteration)
    output         the answer: a binary file; flush() sends what was written so far
    invocation     the id of the invocation
    deadline       how many seconds were left when the call began
    metadata       all that the host said of the call, a dict of texts
    """

    def __init__(self, guest, number, metadata, source):
        self._guest = guest
        self.metadata = metadata
        self.invocation = metadata.get("invocation", "")
        self.deadline = int(metadata.get("deadline-ms", "0")) / 1000
        self.input = io.BufferedReader(source, MAX_DATA)
        self.output = io.BufferedWriter(_Sink(guest, OUTPUT, number), MAX_DATA)

    def log(self, text):
        """Writes a line to the function's log."""
        self._guest.log(text.encode("utf-8", "replace") + b"\n")


def serve(handle):
    """Answers calls with handle(call) until the host has no more. Returns when the host says so."""
    _Guest().serve(handle)


class _Guest:
    def __init__(self):
        # The streams of the protocol move to descriptors of which nobody else knows, so that no print() breaks it.
        sys.stdout.flush()
        self._in = os.fdopen(os.dup(0), "rb", MAX_PAYLOAD)
        self._out = os.dup(1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        sys.stdin = io.TextIOWrapper(io.BytesIO())
        sys.stdout = sys.stderr = io.TextIOWrapper(_LogFile(self), encoding="utf-8", errors="backslashreplace", line_buffering=True)
        self._sending = threading.Lock()
        self._calls = queue.Queue()
        self._source = None
        self._number = 0
        self._busy = False

    def serve(self, handle):
        self.send(HELLO, MAGIC + struct.pack(">HH", VERSION, VERSION))
        kind, payload = self._receive()
        lowest, highest = struct.unpack(">4xHH", payload) if kind == HELLO and payload[:4] == MAGIC else (0, 0)
        if not lowest <= VERSION <= highest:
            self.send(BYE, b"This guest speaks version 1 only.")
            return
        self.send(READY, b"")
        threading.Thread(target=self._read, name="instar-guest", daemon=True).start()
        while True:
            call = self._calls.get()
            if call is None:
                return
            status, code, message = self._answer(handle, call)
            try:
                sys.stdout.flush()
            finally:
                text = message.encode("utf-8", "replace")[:MAX_TEXT].decode("utf-8", "ignore").encode()
                with self._sending:
                    number, self._number, self._source, self._busy = self._number, 0, None, False
                    self._write(RESULT, struct.pack(">IBi", number, status, code) + text)

    def _answer(self, handle, call):
        try:
            try:
                handle(call)
            finally:
                # What was written before a failure is sent too; on success nothing may stay in the buffer.
                call.output.flush()
            return ANSWERED, 0, ""
        except SystemExit as e:
            if e.code is None or e.code == 0:
                return ANSWERED, 0, ""
            return (FAILED, e.code, "") if isinstance(e.code, int) and -(1 << 31) <= e.code < 1 << 31 else (FAILED, 1, str(e.code))
        except MemoryError:
            return OUT_OF_MEMORY, 0, ""
        except BaseException as e:
            traceback.print_exc()
            return TRAPPED, 0, "".join(traceback.format_exception_only(type(e), e)).strip()

    def _read(self):
        """On a thread of its own, so that a call which computes still hears that the node has gone."""
        try:
            while True:
                kind, payload = self._receive()
                number = struct.unpack_from(">I", payload)[0] if kind in (CALL, INPUT, INPUT_END, CANCEL) else 0
                if kind == CALL:
                    source = _Source(self, number)
                    with self._sending:
                        self._number, self._source, self._busy = number, source, True
                    self._calls.put(Call(self, number, _metadata(payload), source))
                elif kind in (INPUT, INPUT_END, CANCEL):
                    source = self._source
                    # Input of a call that has ended may still be on its way.
                    if source is not None and source.number == number:
                        source.feed(payload[4:] if kind == INPUT else None, kind == CANCEL)
                elif kind == PING:
                    self.send(PONG, payload)
                elif kind == BYE:
                    break
                elif kind != PONG:
                    sys.stderr.write("The host sent a frame of the unexpected type 0x%02x.\n" % kind)
                    os._exit(1)
        except (EOFError, OSError):
            pass
        if self._busy:
            os._exit(1)
        self._calls.put(None)

    def _receive(self):
        header = self._exactly(5)
        length, kind = struct.unpack(">IB", header)
        if length > MAX_PAYLOAD:
            raise OSError("a frame of %d bytes" % length)
        return kind, self._exactly(length)

    def _exactly(self, size):
        data = self._in.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def send(self, kind, payload):
        with self._sending:
            self._write(kind, payload)

    def log(self, data):
        for start in range(0, len(data), MAX_DATA):
            with self._sending:
                self._write(LOG, struct.pack(">I", self._number) + data[start:start + MAX_DATA])

    def _write(self, kind, payload):
        rest = memoryview(struct.pack(">IB", len(payload), kind) + payload)
        try:
            while rest:
                rest = rest[os.write(self._out, rest):]
        except BrokenPipeError:
            # The node has gone or has given the process up.
            os._exit(1)


def _metadata(payload):
    metadata, at = {}, 6
    texts = []
    for _ in range(2 * struct.unpack_from(">H", payload, 4)[0]):
        size = struct.unpack_from(">H", payload, at)[0]
        texts.append(payload[at + 2:at + 2 + size].decode("utf-8"))
        at += 2 + size
    metadata.update(zip(texts[::2], texts[1::2]))
    return metadata


class _Source(io.RawIOBase):
    """The input of one call: at most the granted bytes wait here."""

    def __init__(self, guest, number):
        super().__init__()
        self.number = number
        self._guest = guest
        self._changed = threading.Condition()
        self._chunks = collections.deque()
        self._ended = self._cancelled = False
        self._read = 0

    def feed(self, data, cancelled=False):
        with self._changed:
            if data is None:
                self._ended = True
                self._cancelled |= cancelled
            else:
                self._chunks.append(memoryview(data))
            self._changed.notify()

    def readable(self):
        return True

    def readinto(self, buffer):
        with self._changed:
            while not self._chunks and not self._ended:
                self._changed.wait()
            if self._cancelled:
                raise Cancelled
            if not self._chunks:
                return 0
            chunk = self._chunks[0]
            size = min(len(chunk), len(buffer))
            buffer[:size] = chunk[:size]
            if size == len(chunk):
                self._chunks.popleft()
            else:
                self._chunks[0] = chunk[size:]
            self._read += size
            grant = self._read if self._read >= GRANT and not self._ended else 0
            self._read -= grant
        if grant:
            self._guest.send(CREDIT, struct.pack(">II", self.number, grant))
        return size


class _Sink(io.RawIOBase):
    """Writes become frames of one call."""

    def __init__(self, guest, kind, number):
        super().__init__()
        self._guest, self._kind, self._number = guest, kind, number

    def writable(self):
        return True

    def write(self, data):
        size = min(len(data), MAX_DATA)
        if size:
            self._guest.send(self._kind, struct.pack(">I", self._number) + bytes(data[:size]))
        return size


class _LogFile(io.RawIOBase):
    def __init__(self, guest):
        super().__init__()
        self._guest = guest

    def writable(self):
        return True

    def write(self, data):
        self._guest.log(bytes(data))
        return len(data)
