package dev.instar.backend.wasmtime;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(name = "Instar backend: wasmtime", description = "Bounds of what WebAssembly functions on wasmtime may ask of the node.")
@interface WasmtimeConfig {
  @AttributeDefinition(name = "Instances", description = "Calls that may run or wait at one time; each place reserves 8 GiB of address space, and keeps up to "
      + "512 KiB of memory once it was used. Counts at the start of the bundle.", min = "1", max = "2000")
  int instances() default 512;

  @AttributeDefinition(name = "Code cache", description = "Bytes of machine code that are kept on disk; what was used least recently goes first.", min = "0",
      max = "1099511627776")
  long code$_$cache$_$bytes() default 4L << 30;

  @AttributeDefinition(name = "Compile threads", description = "Modules that are compiled at one time, each in a process of its own.", min = "1", max = "64")
  int compile$_$threads() default 1;

  @AttributeDefinition(name = "Compile time", description = "Seconds of processor time that compiling one module may take; by the clock it may take four times as long. "
      + "Past it the compiling process is killed and the module refused with compile-limit (422).", min = "1", max = "3600")
  int compile$_$seconds() default 60;

  @AttributeDefinition(name = "Compile memory", description = "MiB that compiling one module may take. A module that needs more is refused with compile-limit (422).",
      min = "64", max = "65536")
  int compile$_$memory$_$mib() default 1024;

  @AttributeDefinition(name = "Initialisation time", description = "Seconds that a module's start function, _initialize and _faasm_zygote may take together, but never"
      + " longer than the function's time-out.", min = "1", max = "3600")
  int initialise$_$seconds() default 10;

  @AttributeDefinition(name = "Guest memory", description = "Bytes of the machine's memory, beside the Java heap, that all functions on wasmtime together may use "
      + "for their linear memories; 0: half of what the machine has beside the heap.", min = "0", max = "1099511627776")
  long guest$_$memory$_$bytes() default 0;

  @AttributeDefinition(name = "Module size", description = "Bytes of a module.", min = "8", max = "1073741824")
  long module$_$bytes() default 64L << 20;

  @AttributeDefinition(name = "Table elements", description = "Elements of a module's tables.", min = "1", max = "10000000")
  int table$_$elements() default 1_000_000;

  @AttributeDefinition(name = "File bytes", description = "Bytes that a sandbox may write to its files; the first 2 MiB are kept in memory, the rest on disk.", min = "0",
      max = "2147483639")
  long file$_$bytes() default 64L << 20;
}
