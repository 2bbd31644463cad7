package dev.instar.api;

/**
 * The stable codes of everything that can go wrong for a user. A code never changes its meaning; new ones may come.
 * Over HTTP a failure is an {@code application/problem+json} document (RFC 9457) whose {@code type} is
 * {@code urn:instar:error:<code>}, with the status given here.
 */
public enum ErrorCode {
  /** A user, function or version name breaks the rules of {@link dev.instar.api.function.FunctionName}. */
  BAD_NAME("bad-name", 400, "The name is not valid"),
  /** A parameter, header or path of the request is malformed. */
  BAD_REQUEST("bad-request", 400, "The request is malformed"),
  /** The body is absent, truncated, or not what the operation takes. */
  BAD_BODY("bad-body", 400, "The body is not valid"),
  /** The request has no credential, or one that does not hold, where one is needed. */
  UNAUTHENTICATED("unauthenticated", 401, "A credential is needed"),
  /** What was asked is not allowed to the one who asks, or by the node's configuration. */
  FORBIDDEN("forbidden", 403, "Not allowed"),
  /** A web page of another site has made a browser send the request. */
  CROSS_SITE("cross-site", 403, "Requests of other sites are refused"),
  /** No route has this path. */
  ROUTE_NOT_FOUND("route-not-found", 404, "There is nothing at this path"),
  /** No function has this name. */
  FUNCTION_NOT_FOUND("function-not-found", 404, "The function does not exist"),
  /** The function has no such version. */
  VERSION_NOT_FOUND("version-not-found", 404, "The version does not exist"),
  /** The content store has no such digest. */
  IMAGE_NOT_FOUND("image-not-found", 404, "The image does not exist"),
  /** The snapshot store has no such layer, or the layer no such file; the member {@code layer} gives the layer. */
  SNAPSHOT_NOT_FOUND("snapshot-not-found", 404, "The snapshot does not exist"),
  /** The user has no secret of this name; the member {@code secret} gives it. */
  SECRET_NOT_FOUND("secret-not-found", 404, "The secret does not exist"),
  /** The node has no such bundle. */
  BUNDLE_NOT_FOUND("bundle-not-found", 404, "The bundle does not exist"),
  /** The distribution has no such feature, and none of that name was applied. */
  FEATURE_NOT_FOUND("feature-not-found", 404, "The feature does not exist"),
  /** No change of the node's bundles has this id, or it has been forgotten. */
  DEPLOYMENT_NOT_FOUND("deployment-not-found", 404, "The deployment does not exist"),
  /** The node has no backend of this name. */
  BACKEND_NOT_FOUND("backend-not-found", 404, "The backend does not exist"),
  /** No bundle of the node takes a configuration of this PID; the member {@code pid} gives it. */
  CONFIG_NOT_FOUND("config-not-found", 404, "The configuration does not exist"),
  /** Nobody of this name has a token. */
  USER_NOT_FOUND("user-not-found", 404, "The user does not exist"),
  /** The path is known but not for this method; the Allow header names those that it takes. */
  METHOD_NOT_ALLOWED("method-not-allowed", 405, "The method is not allowed here"),
  /** The state of the resource does not allow this now. */
  CONFLICT("conflict", 409, "The state does not allow this"),
  /** The snapshot was made for another backend, version, machine or image than the one that asks for it. */
  SNAPSHOT_MISMATCH("snapshot-mismatch", 409, "The snapshot does not fit"),
  /** A change of bundles would stop a part that stays for as long as the node runs; the member {@code bundle} names it. */
  BUNDLE_STAYS("bundle-stays", 409, "The bundle stays while the node runs"),
  /** The request line, headers or body came more slowly than the listener takes them. */
  TOO_SLOW("too-slow", 408, "The request came too slowly"),
  /** A body or name is over its limit; the member {@code limitBytes} gives it. */
  TOO_LARGE("too-large", 413, "Too large"),
  /** A gRPC call came to a function that takes none. */
  GRPC_UNSUPPORTED("grpc-unsupported", 415, "The function takes no gRPC calls"),
  /** The request line and headers are over their limit; the member {@code limitBytes} gives it. */
  HEADER_TOO_LARGE("header-too-large", 431, "The request's headers are too large"),
  /** The artifact is neither a WebAssembly module, nor a bundle, an executable or a container image. */
  UNSUPPORTED_ARTIFACT("unsupported-artifact", 422, "The artifact is of no supported kind"),
  /** A module is malformed, or imports what no backend offers, or an image cannot be run as it says or its labels say; the detail names the section, import, program or label. */
  MODULE_REFUSED("module-refused", 422, "The module or image was refused"),
  /** Compiling a module took more time or memory than it may; the members {@code limit} and {@code value} say which and how much. */
  COMPILE_LIMIT("compile-limit", 422, "The module takes too much to compile"),
  /** An archive holds what is never unpacked: escapes, links out, devices, or more than its limits. */
  ARCHIVE_REFUSED("archive-refused", 422, "The archive was refused"),
  /** A part of a container image has other bytes than its digest says; the members {@code digest} and {@code found} give both. */
  DIGEST_MISMATCH("digest-mismatch", 422, "A digest does not match"),
  /** What should be deployed is no whole jar, no OSGi bundle, or no feature. */
  BUNDLE_REFUSED("bundle-refused", 422, "The bundle was refused"),
  /** A bundle needs what the node has not got; the member {@code missing} lists it. */
  BUNDLE_UNRESOLVED("bundle-unresolved", 422, "The bundle does not resolve"),
  /** A bundle did not start, or did not offer what the one before it did; what was there before is there again. */
  BUNDLE_FAILED("bundle-failed", 422, "The bundle does not start"),
  /** A configuration does not fit what its bundle declares; the members {@code pid}, {@code key}, {@code value} and {@code allowed} say what, {@code problems} all of it. */
  CONFIG_REFUSED("config-refused", 422, "The configuration was refused"),
  /** A bundle is not signed by a signer that this node trusts, or is not what was signed. */
  SIGNATURE_REFUSED("signature-refused", 422, "The bundle's signature was refused"),
  /** The function's own concurrency and its queue are used up. */
  FUNCTION_BUSY("function-busy", 429, "The function is at its limit"),
  /** The address of the caller has sent too many credentials that do not hold. */
  TOO_MANY_ATTEMPTS("too-many-attempts", 429, "Too many wrong credentials"),
  /** The Host of the request is no name of this node. */
  WRONG_HOST("wrong-host", 421, "This is not the host that was asked for"),
  /** The function's code did something that its sandbox forbids or that cannot go on (a trap). */
  FUNCTION_TRAPPED("function-trapped", 502, "The function trapped"),
  /** The function ended by itself with a status other than zero; the member {@code exitCode} gives it. */
  FUNCTION_FAILED("function-failed", 502, "The function reported a failure"),
  /** The sandbox ended without a word (its process died). */
  SANDBOX_CRASHED("sandbox-crashed", 502, "The sandbox crashed"),
  /** A container runs, but nothing in it came to listen on the function's port in time; the member {@code port} gives it. */
  PORT_NOT_OPENED("port-not-opened", 502, "The function does not listen"),
  /**
   * The function asked for more memory than its limit allows; the member {@code limitBytes} gives it where it is the function's own, {@code peakBytes} the most
   * that it had, where that was measured.
   */
  OUT_OF_MEMORY("out-of-memory", 502, "The function ran out of memory"),
  /** The function asked for more elements in its tables than its limit allows; the member {@code limitCount} gives it. */
  OUT_OF_TABLES("out-of-tables", 502, "The function ran out of table elements"),
  /** The function called deeper than its stack; the member {@code limitBytes} gives the stack's size where it is known. */
  STACK_OVERFLOW("stack-overflow", 502, "The function used up its stack"),
  /** The function failed after it had been refused a descriptor; the member {@code limitCount} gives the limit. */
  OUT_OF_FILES("out-of-files", 502, "The function had too many files open"),
  /** The function failed after it had filled its files; the member {@code limitBytes} gives the limit. */
  FILES_FULL("files-full", 502, "The function wrote too much to its files"),
  /** The function failed after it had made too many files; the member {@code limitCount} gives the limit. */
  TOO_MANY_FILES("too-many-files", 502, "The function made too many files"),
  /** The function was refused a process or thread, because it had as many as its limit allows; the member {@code limitCount} gives it. */
  TOO_MANY_PROCESSES("too-many-processes", 502, "The function made too many processes"),
  /** The function wrote more than its limit allows; the member {@code limitBytes} gives it. */
  OUTPUT_TOO_LARGE("output-too-large", 502, "The function's output is too large"),
  /** The function asked to chain to others, which this node does not offer. */
  CHAINING_UNAVAILABLE("chaining-unavailable", 502, "Chained calls are not offered"),
  /** The node is at its limit of sandboxes and waiting calls. */
  NODE_BUSY("node-busy", 503, "The node is at its limit"),
  /** No backend that can run the function is here at the moment. */
  BACKEND_UNAVAILABLE("backend-unavailable", 503, "No backend for this function"),
  /** The function needs a network of its own, and this host does not let the node make one; the detail says what is missing. */
  NETWORK_UNAVAILABLE("network-unavailable", 503, "No network for this function"),
  /** A secret that the function is deployed with is not there any more, or is damaged; the member {@code secret} gives its name. */
  SECRET_MISSING("secret-missing", 503, "A secret of the function is missing"),
  /** The node (or the part asked) is stopping or not ready yet. */
  NOT_READY("not-ready", 503, "The node is not ready"),
  /** The call took longer than its time-out. */
  TIMED_OUT("timed-out", 504, "The call timed out"),
  /** The call was in its sandbox for longer than its run time; the member {@code limitMillis} gives it. */
  RAN_TOO_LONG("ran-too-long", 504, "The function ran too long"),
  /** The caller went away before the call had ended. */
  CALLER_GONE("caller-gone", 499, "The caller went away"),
  /** What is stored fails its checksum; it was set aside. */
  DAMAGED("damaged", 500, "Stored data is damaged"),
  /** A fault of the node itself; its log has more under the request's id. */
  INTERNAL("internal", 500, "The node failed"),
  /** The images of the node, or of a user, take as much room as they may; the members {@code limit} and {@code value} say which bound and how much. */
  IMAGES_FULL("images-full", 507, "No room for further images"),
  /** The data directory's file system is full. */
  NO_SPACE("no-space", 507, "No space left");

  private final String code;
  private final int status;
  private final String title;

  ErrorCode(String code, int status, String title) {
    this.code = code;
    this.status = status;
    this.title = title;
  }

  /** The stable code, kebab-case. */
  public String code() {
    return code;
  }

  /** The HTTP status that goes with it (RFC 9110; 499 never reaches a client). */
  public int status() {
    return status;
  }

  /** A short title that is the same at each occurrence (RFC 9457, section 3.1.3). */
  public String title() {
    return title;
  }
}
