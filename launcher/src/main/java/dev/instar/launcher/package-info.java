/** The command {@code instar}: its entry, the distribution it starts from, and how it ends. */
package dev.instar.launcher;
