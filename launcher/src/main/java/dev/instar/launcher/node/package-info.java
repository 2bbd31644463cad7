/** The start and the end of a node: the framework, its bundles, the checks before and the wait until it answers. */
package dev.instar.launcher.node;
