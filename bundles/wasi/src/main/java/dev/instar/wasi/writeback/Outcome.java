package dev.instar.wasi.writeback;

/** What became of writing a state back. */
public sealed interface Outcome {
  /**
   * What the function's module becomes: it begins in the state, but for what its memory holds.
   *
   * @param module its bytes
   */
  record Written(byte[] module) implements Outcome {}

  /**
   * No module can begin in the state: its function is to be initialised anew each time a node starts.
   *
   * @param reason for programs
   * @param detail for people: a sentence without its end, in printable ASCII
   */
  record Inexpressible(Reason reason, String detail) implements Outcome {
    /** Of an initialisation that must not be shared. */
    public static final Inexpressible DRAWN = new Inexpressible(Reason.DRAWN,
        "its initialisation draws random numbers or reads a clock, which must not repeat, and the module exports no instar_reseed");
    /** Of one that has left more than what a module can have. */
    public static final Inexpressible FILES = new Inexpressible(Reason.FILES, "its initialisation has opened or written files, which no module can hold");
  }

  /** Why a state has no module. */
  enum Reason {
    /** A memory, table, global or tag is imported: what it holds is somebody else's. */
    IMPORTED_STATE,
    /** More than one memory, or one that is shared or has 64-bit addresses. */
    MEMORY_KIND,
    /** A table with 64-bit addresses or of a type that is not known. */
    TABLE_KIND,
    /** A global or table holds a reference to something of the host, to an exception, or to a function of another instance. */
    HOST_REFERENCE,
    /** Files were written or opened. */
    FILES,
    /** Random numbers were drawn or a clock was read, and nothing makes an instance of the state differ from the next. */
    DRAWN,
    /** Each exported function constructs all static objects before it runs, so that those of the state would be constructed again. */
    CONSTRUCTING_EXPORTS,
    /** The module would have more bytes, segments or elements than a module may have. */
    TOO_LARGE,
    /** The module has a form that is not understood. */
    UNREADABLE
  }
}
