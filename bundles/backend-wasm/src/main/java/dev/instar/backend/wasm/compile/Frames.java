package dev.instar.backend.wasm.compile;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * What goes over the pipes between the node and a compiling process. Numbers are big-endian.
 *
 * <pre>
 *   request: magic (int) · number (long) · functions per class (int) · code limit (long) · length (int) · module
 *   answer:  magic (int) · number (long) · kind (byte) · length (int) · payload · SHA-256 of all before it
 * </pre>
 * An answer bears the number of its request; the first answer, {@code READY}, has the number 0. One request is under way at a time.
 */
final class Frames {
  private static final int MAGIC = 0x49435750;
  private static final int CHECKSUM = 32;
  /** More than a module may have by any configuration. */
  private static final int MOST_MODULE = 1 << 30;

  static final byte READY = 0;
  static final byte CODE = 1;
  static final byte MALFORMED = 2;
  static final byte TOO_MUCH = 3;

  private Frames() {}

  /** What came is not what this protocol has. */
  static final class Nonsense extends IOException {
    private static final long serialVersionUID = 1;

    Nonsense(String what) {
      super(what);
    }
  }

  /**
   * @param number of the request, over 0
   * @param functionsPerClass a power of two
   * @param codeLimit bytes of bytecode that the answer may hold
   */
  record Request(long number, int functionsPerClass, long codeLimit, byte[] module) {}

  /** @param kind one of {@link #READY}, {@link #CODE}, {@link #MALFORMED}, {@link #TOO_MUCH} */
  record Answer(byte kind, byte[] payload) {
    DataInputStream in() {
      return new DataInputStream(new ByteArrayInputStream(payload));
    }
  }

  static void request(OutputStream stream, Request request) throws IOException {
    var out = new DataOutputStream(stream);
    out.writeInt(MAGIC);
    out.writeLong(request.number());
    out.writeInt(request.functionsPerClass());
    out.writeLong(request.codeLimit());
    out.writeInt(request.module().length);
    out.write(request.module());
    out.flush();
  }

  static Request request(DataInputStream in) throws IOException {
    if (in.readInt() != MAGIC) {
      throw new IOException("no request");
    }
    long number = in.readLong();
    int functionsPerClass = in.readInt();
    long codeLimit = in.readLong();
    return new Request(number, functionsPerClass, codeLimit, exactly(in, in.readInt(), MOST_MODULE));
  }

  /** Writes the payload of an answer. */
  interface Payload {
    void write(DataOutputStream out) throws IOException;
  }

  static void answer(OutputStream stream, long number, byte kind, Payload payload) throws IOException {
    var body = new ByteArrayOutputStream();
    payload.write(new DataOutputStream(body));
    var frame = new ByteArrayOutputStream(body.size() + 64);
    var out = new DataOutputStream(frame);
    out.writeInt(MAGIC);
    out.writeLong(number);
    out.writeByte(kind);
    out.writeInt(body.size());
    body.writeTo(out);
    byte[] bytes = frame.toByteArray();
    stream.write(bytes);
    stream.write(sha256().digest(bytes));
    stream.flush();
  }

  /**
   * Reads the answer to a request. Takes memory only for bytes that have come.
   *
   * @param most bytes of a payload
   * @throws Nonsense when it is no answer to this request, too long, or its checksum does not match
   */
  static Answer answer(InputStream stream, long number, int most) throws IOException {
    var in = new DataInputStream(stream);
    var header = new ByteArrayOutputStream();
    var copy = new DataOutputStream(header);
    int magic = in.readInt();
    long answered = in.readLong();
    byte kind = in.readByte();
    int length = in.readInt();
    if (magic != MAGIC || answered != number) {
      throw new Nonsense("it answered something else");
    }
    if (kind < READY || kind > TOO_MUCH || kind == READY != (number == 0)) {
      throw new Nonsense("its answer is of the unknown kind " + kind);
    }
    byte[] payload = exactly(in, length, most);
    copy.writeInt(magic);
    copy.writeLong(answered);
    copy.writeByte(kind);
    copy.writeInt(length);
    MessageDigest sha256 = sha256();
    sha256.update(header.toByteArray());
    sha256.update(payload);
    if (!MessageDigest.isEqual(sha256.digest(), exactly(in, CHECKSUM, CHECKSUM))) {
      throw new Nonsense("the checksum of its answer does not match");
    }
    return new Answer(kind, payload);
  }

  private static byte[] exactly(DataInputStream in, int length, int most) throws IOException {
    if (length < 0 || length > most) {
      throw new Nonsense("a frame claims " + Integer.toUnsignedLong(length) + " bytes; " + most + " are allowed");
    }
    byte[] bytes = in.readNBytes(length);
    if (bytes.length < length) {
      throw new EOFException("it ended in the middle of a frame");
    }
    return bytes;
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }
}
