/** Bundles and features that come, go and are replaced while the node runs. */
package dev.instar.operations.deploy;
