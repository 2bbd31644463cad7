/** Lends cgroups to sandboxes. See {@link dev.instar.api.cgroup}. */
package dev.instar.cgroups;
