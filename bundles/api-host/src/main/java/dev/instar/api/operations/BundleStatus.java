package dev.instar.api.operations;

/**
 * A bundle of the node.
 *
 * @param name its symbolic name
 * @param state in words of the OSGi life cycle, lower case
 * @param startLevel at which it starts
 * @param origin where it is from: {@code distribution}, or who deployed it ({@code api}, {@code file NAME}, {@code feature NAME})
 * @param stays why it cannot be replaced while the node runs; empty when it can
 */
public record BundleStatus(long id, String name, String version, String state, int startLevel, String origin, String stays) {}
