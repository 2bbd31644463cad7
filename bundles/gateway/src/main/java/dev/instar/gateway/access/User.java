package dev.instar.gateway.access;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import java.time.Instant;
import java.util.Collections;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * Somebody with a token.
 *
 * @param token the SHA-256 of the token. No salt: a salt keeps one table of guesses from serving for many passwords, and of 256 random bits there is no table
 * @param upload for which {@code <user>} it may publish, change, look at and remove functions, and read logs
 * @param call for which {@code <user>} it may call functions
 */
public record User(String name, Digest token, SortedSet<String> upload, SortedSet<String> call, Instant created) {
  private static final int NAMES = 100;

  /** @throws InstarException BAD_NAME or BAD_REQUEST when a name or the number of names breaks the rules */
  public User {
    upload = checked(upload);
    call = checked(call);
    new FunctionName(name, "any");
  }

  private static SortedSet<String> checked(SortedSet<String> names) {
    if (names.size() > NAMES) {
      throw new InstarException(ErrorCode.BAD_REQUEST, "A user may act for " + NAMES + " names at most; make another for the rest.");
    }
    names.forEach(name -> new FunctionName(name, "any"));
    return Collections.unmodifiableSortedSet(new TreeSet<>(names));
  }
}
