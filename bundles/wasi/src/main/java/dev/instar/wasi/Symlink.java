package dev.instar.wasi;

import java.nio.charset.StandardCharsets;

/** A symbolic link; its target is data until a path is resolved through it. */
final class Symlink extends Inode {
  final String target;

  Symlink(LowerTree.Link link) {
    super(link.attributes());
    this.target = link.target();
  }

  @Override
  Filetype type() {
    return Filetype.SYMBOLIC_LINK;
  }

  @Override
  long size() {
    return target.getBytes(StandardCharsets.UTF_8).length;
  }
}
