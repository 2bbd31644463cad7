/** The commands, one class each, and what they share: the client of a node, arguments, output. */
package dev.instar.launcher.cli;
