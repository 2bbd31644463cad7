/**
 * {@code instar bench}: what a node does, measured from outside and beside the servers that it is compared with.
 *
 * <pre>
 *   BenchCommand ── HttpBench ── Servers        a node, a bare Jetty, workerd: processes of their own
 *                       ├─────── LoadGenerator  connections and the check of every answer, on one thread of this process
 *                       ├─────── CpuTime        what a server's processes used meanwhile
 *                       └─────── Report         medians, spreads, ratios
 * </pre>
 */
package dev.instar.bench;
