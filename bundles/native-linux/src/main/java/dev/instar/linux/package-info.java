/** Holds the native code for what a Linux kernel does. Its services are all that bundles see of it. */
package dev.instar.linux;
