package dev.instar.api.sandbox;

import dev.instar.api.function.FunctionVersion;
import dev.instar.api.function.Image;
import dev.instar.api.function.Variant;
import java.time.Instant;
import java.util.Objects;

/**
 * @param version the version to prepare, with its limits and environment
 * @param variant the one of its variants that this backend is to run
 * @param image the variant's image on disk; stays there until the prepared function is closed
 * @param deadline when to give up
 * @param room whom to ask when preparing needs what is used up; on any thread, until prepare has ended
 */
public record PrepareRequest(FunctionVersion version, Variant variant, Image image, Instant deadline, StartContext.Room room) {
  public PrepareRequest {
    Objects.requireNonNull(room);
  }

  /** With {@link StartContext.Room#NONE}. */
  public PrepareRequest(FunctionVersion version, Variant variant, Image image, Instant deadline) {
    this(version, variant, image, deadline, StartContext.Room.NONE);
  }
}
