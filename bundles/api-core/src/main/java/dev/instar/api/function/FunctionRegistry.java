package dev.instar.api.function;

import dev.instar.api.Digest;
import java.util.List;
import java.util.Optional;
import org.osgi.annotation.versioning.ProviderType;

/**
 * The functions of this node, durable.
 *
 * <p><b>Life cycle.</b> A version is deployed (checked by the backend that will run it, stored, then activated unless asked
 * not to), answers calls while it is active, and is removed alone or with its function. What has returned from a changing
 * method survives {@code kill -9} and power loss; what has not returned has either happened whole or not at all.
 *
 * <p><b>Threads and cost.</b> All methods may be called from any thread. {@link #find} reads an immutable table and takes no
 * lock: it is on the path of each call. Changes of one function follow one another; those of different functions do not wait
 * for each other's checks.
 *
 * <p><b>Failures</b> are {@link dev.instar.api.InstarException}s with the codes that each method names.
 */
@ProviderType
public interface FunctionRegistry {
  /** The function, or empty. */
  Optional<Function> find(FunctionName name);

  /** All functions, in the order of their names. */
  List<Function> list();

  /**
   * Publishes a new version. Every variant's image must be in the content store and is prepared by a backend first, so that
   * what cannot run is refused here and not at its first call.
   *
   * @param activate whether it answers calls from now on (a function's first version always does)
   * @throws dev.instar.api.InstarException BAD_REQUEST (a label or limit that means nothing here), SECRET_NOT_FOUND, IMAGE_NOT_FOUND, MODULE_REFUSED, COMPILE_LIMIT, BACKEND_UNAVAILABLE,
   *     NO_SPACE, CONFLICT (too many versions)
   */
  FunctionVersion publish(FunctionName name, FunctionSpec spec, boolean activate) throws InterruptedException;

  /** Makes a version the one that answers calls. @throws dev.instar.api.InstarException FUNCTION_NOT_FOUND, VERSION_NOT_FOUND */
  Function activate(FunctionName name, int number);

  /** Activates the version that was active before. @throws dev.instar.api.InstarException FUNCTION_NOT_FOUND, CONFLICT when there is none */
  Function rollBack(FunctionName name);

  /** Removes a version that is not active. @throws dev.instar.api.InstarException FUNCTION_NOT_FOUND, VERSION_NOT_FOUND, CONFLICT when it is active */
  Function removeVersion(FunctionName name, int number);

  /**
   * Removes an image that no function has from the content store, in all its forms.
   *
   * @throws dev.instar.api.InstarException IMAGE_NOT_FOUND, CONFLICT while a version has it, with the member {@code functions}, or calls of one that was removed may still run
   */
  void removeImage(Digest digest) throws InterruptedException;

  /** Removes the function with all its versions; calls that run go on to their end. @throws dev.instar.api.InstarException FUNCTION_NOT_FOUND */
  void remove(FunctionName name);
}
