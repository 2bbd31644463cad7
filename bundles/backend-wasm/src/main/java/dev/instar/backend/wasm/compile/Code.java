package dev.instar.backend.wasm.compile;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * The JVM bytecode of one module.
 *
 * @param classes bytecode by class name (with dots), in the order in which it must be loaded; the machine's own class is the last
 * @param interpreted indices of the functions that are not compiled
 */
public record Code(Map<String, byte[]> classes, Set<Integer> interpreted) {
  /** The machine's own class. */
  public static final String MACHINE = com.dylibso.chicory.compiler.internal.Compiler.DEFAULT_CLASS_NAME;

  /** Bytes of all classes together. */
  public long bytes() {
    return classes.values().stream().mapToLong(c -> c.length).sum();
  }

  /** Writes it so that {@link #read} finds it again; the same code always as the same bytes. */
  public void write(DataOutputStream out) throws IOException {
    out.writeInt(interpreted.size());
    for (int function : new TreeSet<>(interpreted)) {
      out.writeInt(function);
    }
    out.writeInt(classes.size());
    for (var entry : classes.entrySet()) {
      out.writeUTF(entry.getKey());
      out.writeInt(entry.getValue().length);
      out.write(entry.getValue());
    }
  }

  /**
   * Reads it from bytes that are all there: a count is believed when so many bytes follow.
   *
   * @throws IOException when it is not in the form that {@link #write} gives it
   */
  public static Code read(DataInputStream in) throws IOException {
    Set<Integer> interpreted = new TreeSet<>();
    for (int n = count(in, 4); n > 0; n--) {
      interpreted.add(in.readInt());
    }
    Map<String, byte[]> classes = new LinkedHashMap<>();
    for (int n = count(in, 6); n > 0; n--) {
      String name = in.readUTF();
      if (classes.put(name, in.readNBytes(count(in, 1))) != null) {
        throw new IOException("a class is there twice");
      }
    }
    return new Code(classes, interpreted);
  }

  private static int count(DataInputStream in, int smallest) throws IOException {
    int n = in.readInt();
    if (n < 0 || (long) n * smallest > in.available()) {
      throw new IOException("it claims more than there is");
    }
    return n;
  }
}
