package dev.instar.api.secret;

import java.time.Instant;

/**
 * What may be told of a secret.
 *
 * @param user whose it is
 * @param name its name among the user's
 * @param size bytes of its value
 * @param updated when its value was put
 */
public record SecretInfo(String user, String name, long size, Instant updated) {}
