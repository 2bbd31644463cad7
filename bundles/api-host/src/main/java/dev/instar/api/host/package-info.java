/** What the kernel of a Linux host does for bundles of the node. The holder of the native code behind it is never swapped. */
@org.osgi.annotation.bundle.Export
@org.osgi.annotation.versioning.Version("0.1.0")
package dev.instar.api.host;
