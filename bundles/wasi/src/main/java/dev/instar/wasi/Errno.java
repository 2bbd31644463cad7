package dev.instar.wasi;

/**
 * The error codes of WASI preview 1 ({@code errno}), in the order of the specification: the ordinal is the code. {@code TOOBIG} is {@code 2big},
 * which is no name in Java.
 */
public enum Errno {
  SUCCESS, TOOBIG, ACCES, ADDRINUSE, ADDRNOTAVAIL, AFNOSUPPORT, AGAIN, ALREADY, BADF, BADMSG, BUSY, CANCELED,
  CHILD, CONNABORTED, CONNREFUSED, CONNRESET, DEADLK, DESTADDRREQ, DOM, DQUOT, EXIST, FAULT, FBIG,
  HOSTUNREACH, IDRM, ILSEQ, INPROGRESS, INTR, INVAL, IO, ISCONN, ISDIR, LOOP, MFILE, MLINK, MSGSIZE,
  MULTIHOP, NAMETOOLONG, NETDOWN, NETRESET, NETUNREACH, NFILE, NOBUFS, NODEV, NOENT, NOEXEC, NOLCK, NOLINK,
  NOMEM, NOMSG, NOPROTOOPT, NOSPC, NOSYS, NOTCONN, NOTDIR, NOTEMPTY, NOTRECOVERABLE, NOTSOCK, NOTSUP, NOTTY,
  NXIO, OVERFLOW, OWNERDEAD, PERM, PIPE, PROTO, PROTONOSUPPORT, PROTOTYPE, RANGE, ROFS, SPIPE, SRCH, STALE,
  TIMEDOUT, TXTBSY, XDEV, NOTCAPABLE;

  private final ErrnoException failure = new ErrnoException(this);

  /** The exception that carries this code inside the package: one object a code, without a stack trace, because guests cause these at will. */
  ErrnoException failure() {
    return failure;
  }

  /** The value that the guest gets. */
  public int code() {
    return ordinal();
  }
}
