package dev.instar.cgroups;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** Keys are dash-separated in the file: Declarative Services maps {@code $_$} to a dash. */
@ObjectClassDefinition(name = "Instar cgroups", description = "Where the cgroups of sandboxes are, how many are made ahead, and what a sandbox is held to whose function says nothing of it.")
@interface Config {
  String PID = "dev.instar.cgroups";

  @AttributeDefinition(name = "Parent", description = "The cgroup below which sandboxes have theirs, as a path from the root of each hierarchy, e.g. /instar;"
      + " made if it is missing. Empty: the one that the node itself is in. Takes effect for sandboxes that start later.")
  String parent() default "";

  @AttributeDefinition(name = "Pool", min = "0", max = "1024", description = "Empty cgroups that are made ahead of the starts that take them.")
  int pool() default 16;

  @AttributeDefinition(name = "Processor time in thousandths", min = "0", max = "1000000",
      description = "Thousandths of a processor that a sandbox may use: 500 is half of one, 2000 is two. 0: no limit. A function's limit 'cpu' wins.")
  int cpu() default 0;

  @AttributeDefinition(name = "CPU period in microseconds", min = "1000", max = "1000000",
      description = "The time over which processor time is measured out. A shorter one spreads the waits of a sandbox that is at its limit, and costs the kernel more.")
  int cpu$_$period$_$us() default 100_000;

  @AttributeDefinition(name = "Processor weight", min = "1", max = "10000",
      description = "The share of a sandbox where more want processors than there are. A function's limit 'cpuWeight' wins.")
  int cpu$_$weight() default 100;

  @AttributeDefinition(name = "Processors", description = "The processors that sandboxes run on, e.g. 0-2,5; empty: all that the parent has. A function's limit 'cpuset' wins.")
  String cpuset() default "";

  @AttributeDefinition(name = "Processes", min = "0", max = "1000000",
      description = "Processes and threads that a sandbox may have at one time; 0: no limit. A function's limit 'processes' wins.")
  int processes() default 512;

  @AttributeDefinition(name = "Disk weight", min = "0", max = "10000",
      description = "The share of a sandbox where many want a disk, on hosts whose kernel has that; 0: the kernel's usual one. A function's limit 'ioWeight' wins.")
  int io$_$weight() default 0;
}
