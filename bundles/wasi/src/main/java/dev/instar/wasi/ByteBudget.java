package dev.instar.wasi;

/** Bytes of the node's memory that may be used. */
public interface ByteBudget {
  /** No bound but that of the heap. */
  ByteBudget UNLIMITED = new ByteBudget() {
    @Override
    public boolean take(long bytes) {
      return true;
    }

    @Override
    public void give(long bytes) {}
  };

  /** Takes so many bytes, or none and says false. */
  boolean take(long bytes);

  /** Gives back what was taken. */
  void give(long bytes);
}
