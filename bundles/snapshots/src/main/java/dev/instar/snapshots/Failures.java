package dev.instar.snapshots;

import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.util.Map;

/** Makes the errors of the store. */
final class Failures {
  private Failures() {}

  static InstarException notFound(Digest layer) {
    return new InstarException(ErrorCode.SNAPSHOT_NOT_FOUND, "There is no snapshot layer " + layer + "; initialise the function anew.", member(layer));
  }

  static InstarException mismatch(Digest layer, String how) {
    return new InstarException(ErrorCode.SNAPSHOT_MISMATCH, "The snapshot layer " + layer + " " + how + "; initialise the function anew.", member(layer));
  }

  static InstarException damaged(Digest layer, String how) {
    return new InstarException(ErrorCode.DAMAGED, "The snapshot layer " + layer + " is damaged: " + how + ". It was set aside; initialise the function anew.",
        member(layer));
  }

  static InstarException conflict(Digest layer, String how) {
    return new InstarException(ErrorCode.CONFLICT, "The snapshot layer " + layer + " " + how + ".", member(layer));
  }

  static InstarException refused(String how) {
    return new InstarException(ErrorCode.ARCHIVE_REFUSED, "The archive of snapshots " + how + ".");
  }

  static InstarException badRequest(String detail) {
    return new InstarException(ErrorCode.BAD_REQUEST, detail);
  }

  /** The node's own disk failed us. */
  static InstarException failed(String what, IOException e) {
    ErrorCode code = DurableFiles.isNoSpace(e) ? ErrorCode.NO_SPACE : ErrorCode.INTERNAL;
    return new InstarException(Problem.of(code, what + ": " + e.getMessage()), e);
  }

  private static Map<String, Object> member(Digest layer) {
    return Map.of("layer", layer.value());
  }
}
