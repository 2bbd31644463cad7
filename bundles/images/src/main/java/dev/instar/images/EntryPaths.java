package dev.instar.images;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * What is asked of the paths that entries of archives have and link to.
 *
 * @param backslashes whether a name may have a backslash, which some take for a separator
 */
record EntryPaths(ArchiveLimits limits, boolean backslashes) {
  /** PATH_MAX is 4096 on Linux, the data directory's own path included. */
  private static final int BYTES = 2048;

  /** The names on the way of a relative path that stays below where it begins. */
  List<String> segments(String entry, String path) {
    checkCharacters(entry, path);
    if (path.startsWith("/")) {
      throw Refusal.entry(entry, path.equals(entry) ? "is an absolute path" : "links to the absolute path '" + Refusal.shown(path) + "'");
    }
    if (path.getBytes(StandardCharsets.UTF_8).length > BYTES) {
      throw Refusal.entry(entry, "has a path of more than " + BYTES + " bytes");
    }
    List<String> segments = new ArrayList<>();
    for (String segment : path.split("/")) {
      if (segment.isEmpty() || segment.equals(".")) {
        continue;
      }
      if (segment.equals("..")) {
        throw Refusal.entry(entry, "has '..' in its path");
      }
      if (segment.getBytes(StandardCharsets.UTF_8).length > limits.nameBytes()) {
        throw Refusal.entry(entry, "has a name of more than " + limits.nameBytes() + " bytes");
      }
      segments.add(segment);
    }
    if (segments.size() > limits.depth()) {
      throw Refusal.entry(entry, "is more than " + limits.depth() + " directories deep");
    }
    return segments;
  }

  /** Refuses what no symbolic link may say, wherever it leads. */
  void checkTarget(String entry, String target) {
    checkCharacters(entry, target);
    if (target.isEmpty()) {
      throw Refusal.entry(entry, "is a link to nothing");
    }
    if (target.getBytes(StandardCharsets.UTF_8).length > BYTES) {
      throw Refusal.entry(entry, "is a link to more than " + BYTES + " bytes of path");
    }
  }

  private void checkCharacters(String entry, String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '\\' && !backslashes) {
        throw Refusal.entry(entry, "has a backslash in its path");
      }
      if (Character.isISOControl(c)) {
        throw Refusal.entry(entry, "has a control character in its path");
      }
    }
  }
}
