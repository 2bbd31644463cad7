package dev.instar.network;

import dev.instar.api.data.DurableFiles;
import dev.instar.api.data.NodeMark;
import java.io.IOException;
import java.io.StringReader;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Properties;

/**
 * One start of this bundle: what it makes on the host bears the node's mark and its own letter, so that a bundle and its successor can be there together. The
 * mark is made once for a data directory. A name of an interface has at most 15 characters.
 */
final class Generation {
  private static final String LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz";
  private static final int MARK_LENGTH = 5;
  private static final String MARK = "mark";
  private static final String FILE = "generation-";
  private static final String BLOCK = "block-";
  private static final String LETTER = "letter";
  private static final String PROCESS = "process";
  /** Where the host has booted anew nothing is left. */
  private static final String THIS = NodeMark.thisRun();

  private final Path area;
  private final String mark;
  private final String letter;

  private Generation(Path area, String mark, String letter) {
    this.area = area;
    this.mark = mark;
    this.letter = letter;
  }

  /** The node's mark, made where there is none. */
  static String mark(Path area) throws IOException {
    Path file = area.resolve(MARK);
    if (Files.exists(file)) {
      String mark = Files.readString(file).strip();
      if (mark.matches("[0-9a-z]{" + MARK_LENGTH + "}")) {
        return mark;
      }
      throw new IOException(file + " holds no mark; remove it, and what of interfaces, namespaces and tables bears the former one");
    }
    StringBuilder mark = new StringBuilder();
    SecureRandom random = new SecureRandom();
    for (int i = 0; i < MARK_LENGTH; i++) {
      mark.append(LETTERS.charAt(random.nextInt(LETTERS.length())));
    }
    DurableFiles.write(file, mark.toString().getBytes(StandardCharsets.UTF_8));
    return mark.toString();
  }

  /** A letter that no other of this process has. Sweep before. */
  static Generation begin(Path area) throws IOException {
    String mark = mark(area);
    for (int i = 0; i < LETTERS.length(); i++) {
      Generation generation = new Generation(area, mark, LETTERS.substring(i, i + 1));
      Properties properties = new Properties();
      properties.setProperty(PROCESS, THIS);
      if (reserve(generation.file(), properties)) {
        return generation;
      }
    }
    throw new IOException("the " + LETTERS.length() + " generations before this one all have leases that are open");
  }

  /** Letters of a process that is no more. The data directory's lock says that none of them runs. */
  static List<Generation> killed(Path area) throws IOException {
    String mark = mark(area);
    List<Generation> killed = new ArrayList<>();
    try (var files = Files.newDirectoryStream(area, FILE + "?")) {
      for (Path file : files) {
        if (!THIS.equals(read(file).getProperty(PROCESS))) {
          killed.add(new Generation(area, mark, file.getFileName().toString().substring(FILE.length())));
        }
      }
    }
    return killed;
  }

  /** After the sweep of {@link #killed}: where no generation is, nothing is reserved, whatever a kill between two files has left. */
  static void tidy(Path area) throws IOException {
    try (var generations = Files.newDirectoryStream(area, FILE + "?"); var blocks = Files.newDirectoryStream(area, BLOCK + "*")) {
      if (!generations.iterator().hasNext()) {
        DurableFiles.sweep(area);
        for (Path block : blocks) {
          Files.delete(block);
        }
      }
    }
  }

  /** Others of this process: predecessors with leases that are open, or about to stop. */
  List<Generation> siblings() throws IOException {
    List<Generation> siblings = new ArrayList<>();
    try (var files = Files.newDirectoryStream(area, FILE + "?")) {
      for (Path file : files) {
        if (!file.equals(file())) {
          siblings.add(new Generation(area, mark, file.getFileName().toString().substring(FILE.length())));
        }
      }
    }
    return siblings;
  }

  /** Takes a block of addresses that no other has. */
  Optional<Block> reserve(List<Block> blocks) throws IOException {
    for (Block block : blocks) {
      Properties properties = new Properties();
      properties.setProperty(LETTER, letter);
      // Who reserves first and looks then may find that another one does so, too, but never that he has it alone and has not.
      if (reserve(blockFile(block.range()), properties)) {
        if (isAlone(block.range())) {
          return Optional.of(block);
        }
        Files.delete(blockFile(block.range()));
      }
    }
    return Optional.empty();
  }

  /** Gives a block back that could not be used. */
  void release(Block block) throws IOException {
    Files.deleteIfExists(blockFile(block.range()));
  }

  private Path blockFile(Range range) {
    return area.resolve(BLOCK + range.toString().replace('/', '-'));
  }

  /** A predecessor may have been configured with other networks. */
  private boolean isAlone(Range range) throws IOException {
    try (var files = Files.newDirectoryStream(area, BLOCK + "*-*")) {
      for (Path file : files) {
        Range other = Range.parse(file.getFileName().toString().substring(BLOCK.length()).replace('-', '/'));
        if (!other.equals(range) && other.overlaps(range)) {
          return false;
        }
      }
    }
    return true;
  }

  private static boolean reserve(Path file, Properties content) throws IOException {
    try {
      Files.createFile(file);
    } catch (FileAlreadyExistsException e) {
      return false;
    }
    write(file, content);
    return true;
  }

  /** Nothing of it is on the host any more. */
  void end() throws IOException {
    try (var files = Files.newDirectoryStream(area, BLOCK + "*")) {
      for (Path file : files) {
        if (letter.equals(read(file).getProperty(LETTER))) {
          Files.delete(file);
        }
      }
    }
    Files.deleteIfExists(file());
  }

  /** What stays open when this bundle goes: for its successor. */
  void keep(Properties leases) throws IOException {
    leases.setProperty(PROCESS, THIS);
    write(file(), leases);
  }

  /** What generations of this process have kept, each for itself. */
  static List<Properties> kept(Path area) throws IOException {
    List<Properties> all = new ArrayList<>();
    try (var files = Files.newDirectoryStream(area, FILE + "?")) {
      for (Path file : files) {
        Properties properties = read(file);
        if (THIS.equals(properties.remove(PROCESS))) {
          all.add(properties);
        }
      }
    }
    return all;
  }

  private Path file() {
    return area.resolve(FILE + letter);
  }

  private static Properties read(Path file) throws IOException {
    Properties properties = new Properties();
    properties.load(new StringReader(Files.readString(file)));
    return properties;
  }

  private static void write(Path file, Properties properties) throws IOException {
    StringWriter text = new StringWriter();
    properties.store(text, null);
    DurableFiles.write(file, text.toString().getBytes(StandardCharsets.UTF_8));
  }

  String mark() {
    return mark;
  }

  /** Of names of interfaces and namespaces. */
  String prefix() {
    return "i" + mark + letter;
  }

  String bridge(Block block) {
    return bridges() + block.index();
  }

  /** What the names of all its bridges begin with. */
  String bridges() {
    return prefix() + "b";
  }

  String port(int slot) {
    return prefix() + "v" + slot;
  }

  Path namespace(int slot) {
    return NAMESPACES.resolve(prefix() + "-" + slot);
  }

  /** Of tables and chains of the firewall. */
  String table() {
    return "instar_" + mark + letter;
  }

  /** Whether a name of an interface, or of a file in {@link #NAMESPACES}, is one of this generation's. */
  boolean owns(String name) {
    return name.matches(prefix() + "[bv-][0-9]+");
  }

  /** Where {@code ip netns} looks. */
  static final Path NAMESPACES = Path.of("/run/netns");
}
