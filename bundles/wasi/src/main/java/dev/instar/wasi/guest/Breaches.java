package dev.instar.wasi.guest;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.wasi.FileQuota;
import dev.instar.wasi.Shortage;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Names the limit that a guest died of. WebAssembly and WASI tell a guest that it gets no more and leave it to the guest what to do; most then
 * abort. So a guest that ends with a trap of the kinds that a lack leads to, or with a status, after it was refused something and had not got
 * it since, is said to have died of that; its own end is told beside it, for where that is wrong.
 */
public final class Breaches {
  /** An abort is {@code unreachable}; who does not look at what {@code malloc} or {@code memory.grow} gave comes to the others. */
  private static final Set<String> OF_A_LACK = Set.of("unreachable", "out of bounds memory access", "out of bounds table access", "undefined element",
      "null reference", "uncaught exception");

  private Breaches() {}

  /** What was refused. */
  public sealed interface Breach {}

  /** @param bytes the limit */
  public record Memory(long bytes) implements Breach {}

  /** @param elements the limit */
  public record Tables(int elements) implements Breach {}

  /** @param quota the limits */
  public record Files(Shortage shortage, FileQuota quota) implements Breach {}

  /**
   * The failure as it is told.
   *
   * @param failure what a guest has ended with
   * @param refused what it was refused last
   */
  public static InstarException of(InstarException failure, Optional<Breach> refused) {
    Problem told = failure.problem();
    boolean mayBe = switch (told.code()) {
      case FUNCTION_FAILED -> true;
      case FUNCTION_TRAPPED -> told.members().get("trap") instanceof String trap && OF_A_LACK.contains(trap);
      default -> false;
    };
    return mayBe ? refused.map(breach -> new InstarException(with(told, problem(breach, told.detail() + " Before that, ")), failure)).orElse(failure)
        : failure;
  }

  /** With what the failure alone would tell a program. */
  private static Problem with(Problem told, Problem breach) {
    Map<String, Object> members = new HashMap<>(told.members());
    members.putAll(breach.members());
    return new Problem(breach.code(), breach.detail(), members, breach.retryAfter());
  }

  private static Problem problem(Breach breach, String before) {
    return switch (breach) {
      case Memory(long bytes) -> of(ErrorCode.OUT_OF_MEMORY, before + "it was refused memory beyond its limit of " + bytes + " bytes",
          "memory", "--memory", "limitBytes", bytes);
      case Tables(int elements) -> tables(elements, before + "it was refused elements for its tables: ");
      case Files(Shortage shortage, FileQuota quota) -> switch (shortage) {
        case DESCRIPTORS -> of(ErrorCode.OUT_OF_FILES, before + "it was refused a descriptor beyond its limit of " + quota.descriptors() + " open at once",
            "openFiles", "--open-files", "limitCount", quota.descriptors());
        case BYTES, SIZE -> of(ErrorCode.FILES_FULL, before + "it was refused room in its files beyond its limit of " + quota.bytes() + " bytes",
            "fileBytes", "--file-bytes, up to the node's file-bytes", "limitBytes", quota.bytes());
        case INODES -> of(ErrorCode.TOO_MANY_FILES, before + "it was refused a new file beyond its limit of " + quota.inodes(),
            "madeFiles", "--made-files", "limitCount", quota.inodes());
        case NODE -> Problem.of(ErrorCode.NODE_BUSY,
            before + "it was refused a file because the functions of this node together use up what they may; try again later.")
            .retryAfter(MemoryBudget.SOON);
      };
    };
  }

  /** That of tables that are too large. */
  public static Problem tables(int elements, String before) {
    return of(ErrorCode.OUT_OF_TABLES, before + "the limit is " + elements + " in all", "tables", "--tables, up to the node's table-elements", "limitCount", elements);
  }

  private static Problem of(ErrorCode code, String detail, String limit, String option, String unit, Number value) {
    return Problem.of(code, detail + ". Raise its limit '" + limit + "' (" + option + ") if it needs more.", Map.of("limit", limit, unit, value));
  }
}
