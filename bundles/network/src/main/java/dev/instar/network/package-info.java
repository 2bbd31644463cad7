/**
 * A pool of network namespaces. {@link dev.instar.network.Node} knows what on the host is ours, by its mark; {@link dev.instar.network.Pool} has the slots;
 * {@link dev.instar.network.Wiring} makes them by netlink; a {@link dev.instar.network.Firewall} says what may go where.
 */
package dev.instar.network;
