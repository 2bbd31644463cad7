package dev.instar.wasi.guest;

import dev.instar.wasi.Wasi;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What an initialisation has taken that is another each time, and must not be the same in all instances of its state. */
public final class Uniqueness {
  /** The export that makes a new instance differ from others of the same state. */
  public static final String RESEED = "instar_reseed";

  private Uniqueness() {}

  /** In words; nothing when it has taken nothing. */
  public static List<String> drawn(Wasi wasi) {
    List<String> drew = new ArrayList<>();
    if (wasi.drewRandom()) {
      drew.add("drew random numbers");
    }
    if (wasi.readClock()) {
      drew.add("read a clock");
    }
    return drew;
  }

  /** What is done about it, for people. @param reseeds whether the module exports {@link #RESEED} */
  public static Optional<String> describe(List<String> drew, boolean reseeds) {
    String what = "its initialisation " + String.join(" and ", drew);
    if (reseeds) {
      return Optional.of(RESEED + " runs before each call" + (drew.isEmpty() ? "" : "; " + what));
    }
    return drew.isEmpty() ? Optional.empty() : Optional.of(what + "; to be initialised once, do that in the call or export " + RESEED);
  }
}
