package dev.instar.wasi.writeback;

import java.util.BitSet;
import java.util.List;
import java.util.Optional;

/**
 * What an instance can have changed.
 *
 * @param memory the linear memory, if there is one; {@link Writeback} writes its size, {@link WholeModule} what it holds
 * @param globals values of the module's own globals
 * @param tables of each table the indices of the functions in it
 * @param leftData which data segments have not been dropped; of active ones it says nothing, since they are dropped by the instantiation
 * @param leftElements which element segments have not been dropped, in the same way
 */
public record ModuleState(Optional<Linear> memory, List<Bits> globals, List<int[]> tables, BitSet leftData, BitSet leftElements) {
  /** The null reference, in globals and tables. */
  public static final int NULL = -1;
  /** In globals and tables: something that is not the instance's own. */
  public static final int FOREIGN = -2;
  /** Bytes of a page of WebAssembly. */
  public static final int PAGE = 64 << 10;

  /**
   * What a global holds: a number's bits, a function's index or {@link #NULL}.
   *
   * @param low the lower 64 bits
   * @param high of a vector, the upper 64 bits
   */
  public record Bits(long low, long high) {}

  /** The bytes of a linear memory. */
  public interface Linear {
    /** How many pages of WebAssembly it has. */
    int pages();

    /** A copy of some of them. */
    byte[] read(int address, int length);
  }
}
