/**
 * What a crash may leave of what was written, and what a component makes of it.
 *
 * <p>{@link dev.instar.tck.crash.RecordedDisk} writes down what a component does to its directory; {@link dev.instar.tck.crash.CrashStates} builds
 * what a power cut at each moment may leave of it. The model is that of ALICE (T. S. Pillai and others, "All File Systems Are Not Created
 * Equal", OSDI 2014), with a file system that promises no more than POSIX and the atomic rename.
 */
@org.osgi.annotation.bundle.Export
@org.osgi.annotation.versioning.Version("0.1.0")
package dev.instar.tck.crash;
