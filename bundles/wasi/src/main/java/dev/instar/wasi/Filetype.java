package dev.instar.wasi;

/** {@code filetype}, in the order of the specification: the ordinal is the value. */
enum Filetype {
  UNKNOWN, BLOCK_DEVICE, CHARACTER_DEVICE, DIRECTORY, REGULAR_FILE, SOCKET_DGRAM, SOCKET_STREAM, SYMBOLIC_LINK;

  byte value() {
    return (byte) ordinal();
  }
}
