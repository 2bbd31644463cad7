package dev.instar.images;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(id = ContentStore.PID, name = "Instar images",
    description = "How much an uploaded bundle (.tgz) may hold. Applies to uploads from the change on.")
@interface ImagesConfig {
  @AttributeDefinition(name = "Unpacked size", description = "Bytes of one bundle when it is unpacked, its tar headers included.", min = "65536",
      max = "1099511627776")
  long max$_$unpacked$_$bytes() default 256L << 20;

  @AttributeDefinition(name = "Entries", description = "Files, directories and links in one bundle.", min = "1", max = "10000000")
  int max$_$entries() default 10_000;

  @AttributeDefinition(name = "Name length", description = "Bytes of one file name.", min = "1", max = "255")
  int max$_$name$_$bytes() default 255;

  @AttributeDefinition(name = "Depth", description = "Directories within each other.", min = "1", max = "512")
  int max$_$depth() default 32;

  @AttributeDefinition(name = "Compression ratio", description = "Unpacked bytes by packed ones, beyond the first 16 MiB.", min = "2", max = "2000")
  int max$_$ratio() default 200;
}
