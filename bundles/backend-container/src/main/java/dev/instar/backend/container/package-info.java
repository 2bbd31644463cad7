/**
 * Functions in Linux containers.
 *
 * <pre>
 * ContainerBackend       the service: probes the host, prepares versions
 *   PreparedContainer    an image ready to run: its command, its specification, the files that the node adds to it
 *     Container          one container that runs: its processes, its end
 *       CallSandbox      one program for each call, its standard streams are input and answer
 *       HttpSandbox      a server that stays, and gets each call as a request
 *       FramedSandbox    an interpreter that has loaded the function, and gets each call as frames
 * </pre>
 * An OCI runtime makes the containers ({@link dev.instar.backend.container.OciRuntime}); {@link dev.instar.backend.container.Specification} writes what it is told.
 */
package dev.instar.backend.container;
