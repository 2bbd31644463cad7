package dev.instar.api.guest;

/**
 * Numbers of frames on the wire, with the bounds of their payloads. 0x30 to 0x3f are kept for chained calls, 0x40 to 0x4f for microVMs (reseed,
 * clock).
 */
enum FrameType {
  HELLO(0x01, 8, 8),
  READY(0x02, 0, 0),
  PING(0x03, 8, 8),
  PONG(0x04, 8, 8),
  BYE(0x05, 0, Frame.MAX_TEXT),
  CALL(0x10, 6, Frame.MAX_PAYLOAD),
  INPUT(0x11, 5, Frame.MAX_PAYLOAD),
  INPUT_END(0x12, 4, 4),
  CANCEL(0x13, 4, 4),
  CREDIT(0x14, 8, 8),
  OUTPUT(0x20, 5, Frame.MAX_PAYLOAD),
  LOG(0x21, 5, Frame.MAX_PAYLOAD),
  RESULT(0x22, 9, 9 + Frame.MAX_TEXT);

  private static final FrameType[] BY_NUMBER = new FrameType[256];

  static {
    for (FrameType type : values()) {
      BY_NUMBER[type.number] = type;
    }
  }

  final int number;
  final int least;
  final int most;

  FrameType(int number, int least, int most) {
    this.number = number;
    this.least = least;
    this.most = most;
  }

  static FrameType of(int number) throws FrameException {
    FrameType type = BY_NUMBER[number];
    if (type == null) {
      throw new FrameException("a frame has the unknown type 0x%02x".formatted(number));
    }
    return type;
  }
}
