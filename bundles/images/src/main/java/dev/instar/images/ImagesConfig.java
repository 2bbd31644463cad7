package dev.instar.images;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

@ObjectClassDefinition(id = ContentStore.PID, name = "Instar images",
    description = "How much an uploaded bundle (.tgz) or container image may hold. Applies to uploads from the change on.")
@interface ImagesConfig {
  /** Beyond the ranges that distributions and container engines give to users of their own. */
  int FIRST_ID = 1_900_000_000;

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

  @AttributeDefinition(name = "Unpacked size of a container image", description = "Bytes of all layers of one image when they are unpacked.",
      min = "65536", max = "1099511627776")
  long max$_$container$_$bytes() default 4L << 30;

  @AttributeDefinition(name = "Entries of a container image", description = "Files, directories and links in all layers of one image.", min = "1",
      max = "10000000")
  int max$_$container$_$entries() default 200_000;

  @AttributeDefinition(name = "First id of containers", min = "65536", max = "2147418112",
      description = "The user and group of the host that is root in containers of a node that runs as root; the 65535 after it are the others. "
          + "Nobody else of the host may have these; where another node has, this one takes the next ones that are free.")
  int first$_$container$_$id() default FIRST_ID;

  @AttributeDefinition(name = "Bytes of all images", description = "Bytes of all images together, packed and unpacked.", min = "65536", max = "1125899906842624")
  long max$_$total$_$bytes() default 64L << 30;

  @AttributeDefinition(name = "Files of all images", description = "Files, directories and links of all images together, unpacked.", min = "1", max = "1000000000")
  long max$_$total$_$files() default 4_000_000;

  @AttributeDefinition(name = "Bytes of a user's images", description = "The same bytes for the images that came first for one user.", min = "65536", max = "1125899906842624")
  long max$_$user$_$bytes() default 16L << 30;

  @AttributeDefinition(name = "Files of a user's images", description = "The same files for the images that came first for one user.", min = "1", max = "1000000000")
  long max$_$user$_$files() default 1_000_000;
}
