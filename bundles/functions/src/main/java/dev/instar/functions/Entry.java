package dev.instar.functions;

import dev.instar.api.function.Function;

/**
 * A function and what only the registry needs to know of it.
 *
 * @param function as users see it
 * @param next the number of the next version; never goes down, so that a removed version's number is not given again
 */
record Entry(Function function, int next) {}
