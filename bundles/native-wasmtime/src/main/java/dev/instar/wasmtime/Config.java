package dev.instar.wasmtime;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(name = "Instar native library: wasmtime", description = "Where the wasmtime library is.")
@interface Config {
  @AttributeDefinition(name = "Library", description = "Path of libwasmtime.so, version 50; empty: it is looked for in the data directory's folder native, "
      + "in the usual library directories, and in the site-packages of Python 3.")
  String library() default "";
}
