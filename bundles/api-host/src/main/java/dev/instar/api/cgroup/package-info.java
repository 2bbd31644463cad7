/**
 * cgroups: what the kernel holds the processes of one sandbox to, and counts for them.
 *
 * <pre>
 * CgroupManager      one for the node: what this host can do, and who has what
 *   CgroupLease      the cgroup of one sandbox, lent by the manager, closed by the scheduler
 *     CgroupLimits   what it is held to      CgroupUsage   what it has used, and what it was refused
 * </pre>
 */
@org.osgi.annotation.bundle.Export
@org.osgi.annotation.versioning.Version("0.1.0")
package dev.instar.api.cgroup;
