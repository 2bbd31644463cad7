package dev.instar.api.sandbox;

import java.time.Instant;

/**
 * @param sandboxId unique on this node; names directories, processes and log lines of the sandbox
 * @param deadline when the start must have ended
 * @param log where the function's own words go while it initialises
 */
public record StartContext(String sandboxId, Instant deadline, GuestLog log) {}
