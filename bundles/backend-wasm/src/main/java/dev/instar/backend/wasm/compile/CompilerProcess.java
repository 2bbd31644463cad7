package dev.instar.backend.wasm.compile;

import java.io.DataInputStream;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * The process that compiles: takes modules from standard input, gives classes to standard output.
 *
 * <p>One thread always waits for the next bytes of the input, also while another compiles: so the end of the node, however it comes, is the end of the
 * input and ends the process at once. (Linux' PR_SET_PDEATHSIG would not do: it is bound to the thread that started the process, not to its
 * process.)
 */
public final class CompilerProcess {
  /** The parser and the class writer are not recursive in a function's size, but a generous stack is cheap for one thread. */
  private static final long STACK = 16L << 20;
  /** Measured: after so many, a translation of the sample takes no shorter. */
  private static final int WARMING = 12;
  /** Warming takes so much longer than it must: some seconds. */
  private static final int RESTING = 3;
  private static final long IDLE_SECONDS = 1;
  private static final long SOON_MILLIS = 200;

  private final OutputStream out;
  private final LinkedBlockingQueue<Frames.Request> requests = new LinkedBlockingQueue<>();

  private CompilerProcess(OutputStream out) {
    this.out = out;
  }

  /** Runs until the end of the input. */
  public static void main(String[] arguments) throws IOException {
    var process = new CompilerProcess(new FileOutputStream(FileDescriptor.out));
    // What a library prints must not come between frames.
    System.setOut(System.err);
    Frames.answer(process.out, 0, Frames.READY, out -> {});
    new Thread(null, process::work, "compiler", STACK).start();
    try (var in = new DataInputStream(new FileInputStream(FileDescriptor.in))) {
      while (true) {
        process.requests.add(Frames.request(in));
      }
    } catch (IOException e) {
      // The node has gone, or has closed the pipe because it needs this process no more.
    } finally {
      Runtime.getRuntime().halt(0);
    }
  }

  private void work() {
    try {
      // Where somebody waits already, warming would make it longer.
      Frames.Request first = requests.poll(SOON_MILLIS, TimeUnit.MILLISECONDS);
      if (first != null) {
        answer(first);
      }
      for (int i = 0; i < WARMING && requests.isEmpty(); i++) {
        long began = System.nanoTime();
        Translator.translate(Translator.parse(Sample.module()), 16, Long.MAX_VALUE);
        // Nobody waits for it. Threads of the node's background, for which its safepoints wait, get next to nothing while this runs.
        Frames.Request soon = requests.poll(RESTING * (System.nanoTime() - began), TimeUnit.NANOSECONDS);
        if (soon != null) {
          answer(soon);
          break;
        }
      }
      while (true) {
        Frames.Request request = requests.poll(IDLE_SECONDS, TimeUnit.SECONDS);
        if (request == null) {
          // The collector gives what a large module took back to the machine.
          System.gc();
          request = requests.take();
        }
        answer(request);
      }
    } catch (Throwable e) {
      System.err.println(e);
      Runtime.getRuntime().halt(1);
    }
  }

  private void answer(Frames.Request request) throws IOException {
    try {
      Code code = Translator.translate(Translator.parse(request.module()), request.functionsPerClass(), request.codeLimit());
      Frames.answer(out, request.number(), Frames.CODE, code::write);
    } catch (Malformed e) {
      Frames.answer(out, request.number(), Frames.MALFORMED, payload -> {
        payload.writeUTF(e.section());
        payload.writeUTF(e.getMessage().substring(0, Math.min(e.getMessage().length(), 1000)));
      });
    } catch (Translator.TooMuchCode e) {
      Frames.answer(out, request.number(), Frames.TOO_MUCH, payload -> {});
    }
  }
}
