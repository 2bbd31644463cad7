package dev.instar.api.invocation;

import java.time.Duration;
import java.util.Optional;

/**
 * Moves calls from one backend to another while they run.
 *
 * @param from which backend runs them now
 * @param to which one is to run them
 * @param ramp how long it takes until {@code to} gets every new call; zero: at once
 * @param drain how long calls may go on in {@code from} after that, before they are killed; empty: to their end
 */
public record BackendMove(BackendScope scope, String from, String to, Duration ramp, Optional<Duration> drain) {}
