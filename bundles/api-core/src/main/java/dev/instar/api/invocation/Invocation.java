package dev.instar.api.invocation;

import dev.instar.api.function.FunctionName;
import java.io.OutputStream;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A call that is to be made.
 *
 * @param id unique on this node; in the answer, the logs and the traces
 * @param function whom to call
 * @param version which version; empty: the active one
 * @param input the body
 * @param output where the answer goes, as it comes. The invoker enforces the function's output limit around it. Bytes may
 *     have been written although the outcome is a failure: the owner of the stream decides what is shown.
 * @param timeout shorter than the function's own, where the caller wants that
 * @param forceCold a sandbox that has served no call before is wanted (for measurement)
 * @param rpc for a gRPC call what it has beside its messages
 */
public record Invocation(String id, FunctionName function, OptionalInt version, CallInput input, OutputStream output,
    Optional<Duration> timeout, boolean forceCold, Optional<Rpc> rpc) {
  public Invocation {
    Objects.requireNonNull(id);
    Objects.requireNonNull(function);
    Objects.requireNonNull(version);
    Objects.requireNonNull(input);
    Objects.requireNonNull(output);
    Objects.requireNonNull(timeout);
    Objects.requireNonNull(rpc);
  }

  /** One that is no gRPC call. */
  public Invocation(String id, FunctionName function, OptionalInt version, CallInput input, OutputStream output, Optional<Duration> timeout, boolean forceCold) {
    this(id, function, version, input, output, timeout, forceCold, Optional.empty());
  }
}
