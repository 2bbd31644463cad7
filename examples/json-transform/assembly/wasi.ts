// The three WASI preview 1 calls this function needs, and thin wrappers.

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_read")
declare function fd_read(fd: i32, vectors: usize, count: i32, done: usize): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_write")
declare function fd_write(fd: i32, vectors: usize, count: i32, done: usize): i32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "proc_exit")
declare function proc_exit(code: i32): void;

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;

const INTERRUPTED = 27; // errno EINTR
const TRY_AGAIN = 6; // errno EAGAIN

// One vector (address, length), then the place for the count of bytes.
const VECTOR = memory.data(12);
const DONE = VECTOR + 8;

/** The next bytes of stdin, at most `size`: how many, 0 at the end, -1 on an error. */
export function readInput(to: usize, size: i32): i32 {
  while (true) {
    store<u32>(VECTOR, <u32>to);
    store<u32>(VECTOR, <u32>size, 4);
    const error = fd_read(STDIN, VECTOR, 1, DONE);
    if (error == 0) return load<i32>(DONE);
    if (error != INTERRUPTED && error != TRY_AGAIN) return -1;
  }
}

function writeText(fd: i32, text: string): bool {
  const bytes = String.UTF8.encode(text);
  let at = changetype<usize>(bytes);
  let left = bytes.byteLength;
  while (left > 0) {
    store<u32>(VECTOR, <u32>at);
    store<u32>(VECTOR, <u32>left, 4);
    const error = fd_write(fd, VECTOR, 1, DONE);
    if (error == INTERRUPTED || error == TRY_AGAIN) continue;
    if (error != 0) return false;
    const put = load<i32>(DONE);
    if (put == 0) return false;
    at += put;
    left -= put;
  }
  return true;
}

export function writeOutput(text: string): bool {
  return writeText(STDOUT, text);
}

/** The message goes to stderr, and the program ends with code 1. */
export function fail(message: string): void {
  writeText(STDERR, "json-transform: " + message + "\n");
  proc_exit(1);
}

/** Takes the place of the compiler's imported abort (out of memory, a bug). */
export function onAbort(message: string, file: string, line: u32, column: u32): void {
  // The compiler passes null where there is no message.
  const known = changetype<usize>(message) != 0;
  writeText(STDERR, "json-transform: aborted: " + (known ? message : "no message") + "\n");
  proc_exit(2);
}
