package dev.instar.api.snapshot;

import java.time.Duration;

/**
 * What a collection removes.
 *
 * @param unusedFor layers that nobody holds go when they have not been used for so long
 * @param budgetBytes what all layers together may take on the disk; past it go first those that nobody holds, then the others, the longest
 *     unused first
 */
public record GcPolicy(Duration unusedFor, long budgetBytes) {}
