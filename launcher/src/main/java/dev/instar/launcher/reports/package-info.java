/** What {@code instar test} says at its end. */
package dev.instar.launcher.reports;
