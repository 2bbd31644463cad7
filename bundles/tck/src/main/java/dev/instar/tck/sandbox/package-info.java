/**
 * The conformance suite of {@link dev.instar.api.sandbox.SandboxBackend}: extend {@link dev.instar.tck.sandbox.SandboxBackendSuite}, supply the
 * backend and its {@link dev.instar.tck.sandbox.Fixtures}.
 */
@org.osgi.annotation.bundle.Export
@org.osgi.annotation.versioning.Version("0.1.0")
package dev.instar.tck.sandbox;
