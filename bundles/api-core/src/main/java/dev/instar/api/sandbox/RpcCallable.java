package dev.instar.api.sandbox;

import dev.instar.api.invocation.Rpc;
import org.osgi.annotation.versioning.ConsumerType;

/** A sandbox whose function may speak gRPC. Whether it does shows when it is called. */
@ConsumerType
public interface RpcCallable {
  /**
   * Makes one gRPC call and returns when the function has answered, with whatever {@code grpc-status}. Like {@link Sandbox#call} in all else.
   *
   * @param call its input and output are gRPC's framed messages; output is passed on as it comes
   * @param rpc what there is beside them
   * @throws dev.instar.api.InstarException as {@link Sandbox#call}; FUNCTION_FAILED with the member {@code status} when the function answers with a
   *     status of HTTP that is not 200; GRPC_UNSUPPORTED when it turns out to speak no HTTP/2
   */
  void call(Call call, Rpc rpc) throws InterruptedException;
}
