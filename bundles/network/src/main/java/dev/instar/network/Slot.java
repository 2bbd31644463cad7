package dev.instar.network;

import java.nio.file.Path;

/**
 * A namespace with its interface.
 *
 * @param number names what is made for it; its address comes with it
 * @param block where its address is from
 * @param address of the guest
 * @param port the interface on the bridge
 * @param namespace where its namespace is bound
 */
record Slot(int number, Block block, int address, String port, Path namespace) {}
