package dev.instar.logs;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(id = BoundedLogs.PID, name = "Instar function logs",
    description = "How much is kept of what functions write to standard error.")
@interface LogsConfig {
  @AttributeDefinition(name = "File size",
      description = "Bytes of one function's log file. When it is full it becomes the old one, of which there is one.",
      min = "4096", max = "1073741824")
  long file$_$bytes() default 1 << 20;

  @AttributeDefinition(name = "Memory of one function",
      description = "Bytes of newest entries of one function that are kept in memory; older ones are read from its file.",
      min = "4096", max = "1073741824")
  long function$_$memory$_$bytes() default 256 << 10;

  @AttributeDefinition(name = "Memory of all functions", description = "Bytes of newest entries of all functions that are kept in memory.",
      min = "65536", max = "1099511627776")
  long total$_$memory$_$bytes() default 32 << 20;

  @AttributeDefinition(name = "Queue",
      description = "Bytes of entries that wait for the disk. Beyond them entries are not written to the files, and counted there.",
      min = "65536", max = "1099511627776")
  long queue$_$bytes() default 8 << 20;
}
