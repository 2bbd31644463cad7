package dev.instar.backend.wasm.wasi;

/** Bytes of the node's memory that may be used. */
public interface ByteBudget {
  /** Takes so many bytes, or none and says false. */
  boolean take(long bytes);

  /** Gives back what was taken. */
  void give(long bytes);
}
