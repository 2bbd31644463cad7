/** Networks for sandboxes: leases of network namespaces from a pool, what may go out of them, and how fast. */
@org.osgi.annotation.bundle.Export
@org.osgi.annotation.versioning.Version("0.1.0")
package dev.instar.api.network;
