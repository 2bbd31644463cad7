package dev.instar.logs;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.function.Consumer;

/**
 * Makes lines of bytes as they come. A line ends with {@code \n} (a {@code \r} before it goes too) or is cut after {@value #LINE_BYTES}
 * bytes, where possible between two characters. Bytes that are no UTF-8 become U+FFFD.
 */
final class LineSplitter {
  static final int LINE_BYTES = 8 << 10;
  /** Most lines are short: grown only for those that are not. */
  private static final int FIRST_BYTES = 256;

  private final Consumer<String> lines;
  private byte[] line = new byte[FIRST_BYTES];
  private int filled;
  /** Whether what is in the buffer goes on a line that was cut: an end of line that follows at once ends that one. */
  private boolean cut;

  LineSplitter(Consumer<String> lines) {
    this.lines = lines;
  }

  void write(byte[] bytes, int offset, int length) {
    int end = offset + length;
    for (int at = offset; at < end;) {
      int stop = at;
      int room = Math.min(end, at + LINE_BYTES - filled);
      while (stop < room && bytes[stop] != '\n') {
        stop++;
      }
      append(bytes, at, stop - at);
      at = stop;
      if (at < end && bytes[at] == '\n') {
        int text = filled > 0 && line[filled - 1] == '\r' ? filled - 1 : filled;
        if (text > 0 || !cut) {
          emit(text);
        }
        filled = 0;
        cut = false;
        at++;
      } else if (filled == LINE_BYTES) {
        int boundary = boundary();
        emit(boundary);
        System.arraycopy(line, boundary, line, 0, filled - boundary);
        filled -= boundary;
        cut = true;
      }
    }
  }

  /** Makes a line of what is left, if anything is. */
  void end() {
    if (filled > 0) {
      emit(filled);
      filled = 0;
    }
  }

  private void append(byte[] bytes, int offset, int length) {
    if (filled + length > line.length) {
      line = Arrays.copyOf(line, Math.min(LINE_BYTES, Math.max(filled + length, line.length * 2)));
    }
    System.arraycopy(bytes, offset, line, filled, length);
    filled += length;
  }

  private void emit(int length) {
    lines.accept(new String(line, 0, length, StandardCharsets.UTF_8));
  }

  /** Before a character of which the last bytes have not come yet, or a {@code \r} that may end the line; at the end where there is none. */
  private int boundary() {
    if (line[filled - 1] == '\r') {
      return filled - 1;
    }
    for (int back = 1; back <= 3; back++) {
      int b = line[filled - back] & 0xff;
      if (b < 0x80) {
        return filled;
      }
      if (b >= 0xc0) {
        int needs = b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2;
        return needs > back ? filled - back : filled;
      }
    }
    return filled;
  }
}
