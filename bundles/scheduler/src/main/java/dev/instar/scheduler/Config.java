package dev.instar.scheduler;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** Keys are dash-separated in the file: Declarative Services maps {@code $_$} to a dash. */
@ObjectClassDefinition(name = "Instar scheduler",
    description = "How many sandboxes live, how long idle ones stay, how many calls wait and for how long.")
@interface Config {
  String PID = "dev.instar.scheduler";

  @AttributeDefinition(name = "Sandboxes of the node", min = "1", max = "100000",
      description = "Sandboxes alive at one time on this node, idle ones included."
          + " At the limit the oldest idle sandbox of another function makes room.")
  int max$_$sandboxes() default 256;

  @AttributeDefinition(name = "Sandboxes per backend", min = "1", max = "100000",
      description = "Sandboxes alive at one time in one backend, idle ones included.")
  int max$_$sandboxes$_$per$_$backend() default 256;

  @AttributeDefinition(name = "Idle sandboxes of the node", min = "0", max = "100000",
      description = "Idle sandboxes kept at one time on this node; the longest idle go first.")
  int max$_$idle() default 128;

  @AttributeDefinition(name = "Idle sandboxes per function", min = "0", max = "10000",
      description = "Idle sandboxes kept at one time for one function version.")
  int max$_$idle$_$per$_$function() default 32;

  @AttributeDefinition(name = "Idle time in seconds", min = "1", max = "86400", description = "How long a sandbox may be idle before it is closed.")
  int idle$_$seconds() default 300;

  @AttributeDefinition(name = "Freezing time in seconds", min = "0", max = "86400",
      description = "How long a sandbox is idle before what runs in it is stopped, where its backend can do that, until the next call lets it go on; 0: never.")
  int freeze$_$seconds() default 10;

  @AttributeDefinition(name = "Memory of sandboxes that were started ahead in MiB", min = "0", max = "1048576",
      description = "The memory limits, together, of sandboxes that were started before they are called, until they are; half of it for the functions of one user. 0: none is.")
  int ready$_$mib() default 1024;

  @AttributeDefinition(name = "Idle time of replaced versions in seconds", min = "1", max = "86400",
      description = "The same for versions that are no longer active; only calls that name them need them.")
  int idle$_$seconds$_$replaced() default 10;

  @AttributeDefinition(name = "Prepared time in seconds", min = "1", max = "2592000",
      description = "How long what was prepared for a version (compiled code, unpacked files) is kept without a sandbox or a call.")
  int prepared$_$seconds() default 3600;

  @AttributeDefinition(name = "Prepared images in MiB", min = "1", max = "1048576",
      description = "Bytes of the images (each counts 64 KiB at least) that are kept prepared; past it goes what has no sandbox, the longest unused"
          + " first. Prepared WebAssembly takes about five times its module's bytes.")
  int prepared$_$mib() default 32;

  @AttributeDefinition(name = "Waiting calls per function", min = "1", max = "100000",
      description = "Calls of one function version that may wait; the next is refused with function-busy (429).")
  int queue$_$per$_$function() default 1024;

  @AttributeDefinition(name = "Waiting calls of the node", min = "1", max = "1000000",
      description = "Calls that may wait on this node; the next is refused with node-busy (503).")
  int queue() default 4096;

  @AttributeDefinition(name = "A user's share of the queue in percent", min = "1", max = "100",
      description = "How much of the node's queue the calls of one user's functions may take, so that a burst for one leaves room for others."
          + " As many of his versions may wait to be prepared.")
  int queue$_$percent$_$per$_$user() default 50;

  @AttributeDefinition(name = "Waiting time in milliseconds", min = "0", max = "3600000",
      description = "How long a call waits for a sandbox or a thread, but never past its own time-out.")
  int queue$_$wait$_$ms() default 60_000;

  @AttributeDefinition(name = "In-process threads", min = "0", max = "1024",
      description = "Calls of in-process functions that run at one time, and of one user; 0: as many as there are processors. As many again"
          + " are in reserve for users none of whose calls runs. Sixteen times as many run in the background.")
  int in$_$process$_$threads() default 0;

  @AttributeDefinition(name = "Waiting in-process threads", min = "0", max = "10000",
      description = "In-process calls that may wait (for their caller's bytes, or asleep) without counting as running, half of them of one"
          + " user. Past it a slow caller holds a processor's place.")
  int in$_$process$_$waiting() default 256;

  @AttributeDefinition(name = "Largest stack of in-process threads in MiB", min = "1", max = "256",
      description = "The most that a function's limit 'stack' gets: a pause of the whole node can last 10 ms for each, while a function overflows it. Takes effect "
          + "for calls that start later.")
  int in$_$process$_$stack$_$mib() default 4;

  @AttributeDefinition(name = "Preparing threads", min = "1", max = "256",
      description = "Versions that are prepared (compiled, unpacked, initialised) at one time. As many again are in reserve for users none of whose"
          + " versions is being prepared.")
  int prepare$_$threads() default 2;

  @AttributeDefinition(name = "Preparing time in seconds", min = "1", max = "3600", description = "How long preparing one version may take.")
  int prepare$_$seconds() default 60;

  @AttributeDefinition(name = "Prepare ahead",
      description = "After a start of the node, functions whose initialised state is stored are prepared before they are called, the most recently used states first, as far"
          + " as prepared-mib goes: their first calls are quicker.")
  boolean prepare$_$ahead() default true;

  @AttributeDefinition(name = "Wait for a backend in milliseconds", min = "0", max = "600000",
      description = "How long a call waits while its function's only backend is being replaced, before it gets backend-unavailable (503).")
  int backend$_$wait$_$ms() default 10_000;

  @AttributeDefinition(name = "Ramp time in milliseconds", min = "0", max = "30000",
      description = "How long calls take to move from a backend to its next version, while the code of that is compiled; where there are few calls, all move at once.")
  int ramp$_$ms() default 2000;

  @AttributeDefinition(name = "Drain time in milliseconds", min = "0", max = "3600000",
      description = "How long running calls may go on when their backend or the scheduler is replaced; then they are killed.")
  int drain$_$ms() default 30_000;

  @AttributeDefinition(name = "Longest call in seconds", min = "1", max = "86400",
      description = "How long a call may last at most, whatever time-out its function has.")
  int max$_$call$_$seconds() default 900;
}
