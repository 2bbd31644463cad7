package dev.instar.gateway.access;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.api.Digest;
import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.data.ChecksummedDocument;
import dev.instar.api.data.DurableFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The node's credentials, in its data directory: the administrator's token in {@value #TOKEN}, made at the first start, and the users in {@value #USERS},
 * with the sums of their tokens. Nothing of a token gets into a log, an error or an answer, but for the one in which a user's fresh token is told.
 *
 * <p>Any thread may call. While a gateway is being replaced there are two of these for one directory; each sees at its next use what the other has
 * changed, for a look at the file's attributes with each token that is asked for.
 */
public final class Credentials {
  /** The file with the administrator's token, for the node's user alone. */
  public static final String TOKEN = "admin.token";
  static final String USERS = "users.json";
  static final int MOST_USERS = 10_000;
  /** No {@link #stamp} of a file is this. */
  private static final String UNREAD = "unread";

  private static final Logger LOG = LoggerFactory.getLogger(Credentials.class);
  private static final Set<PosixFilePermission> OTHERS = EnumSet.of(PosixFilePermission.GROUP_READ, PosixFilePermission.GROUP_WRITE, PosixFilePermission.OTHERS_READ,
      PosixFilePermission.OTHERS_WRITE);
  // As many users as there may be, with as many names as each may have, and escapes to spare.
  private static final ObjectMapper JSON = JsonMapper.builder(JsonFactory.builder().streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(8).build()).build()).build();

  /** Replaced whole. */
  private record Known(Map<String, User> byName, Map<Digest, User> byToken, String stamp) {
    /** @param stamp of the file that they are in */
    static Known of(Map<String, User> users, String stamp) {
      Map<Digest, User> byToken = new HashMap<>();
      users.values().forEach(user -> byToken.put(user.token(), user));
      return new Known(new TreeMap<>(users), byToken, stamp);
    }
  }

  private final Path directory;
  private final Digest administrator;
  private volatile Known known;

  private Credentials(Path directory, Digest administrator, Known known) {
    this.directory = directory;
    this.administrator = administrator;
    this.known = known;
  }

  /** A user and the token that nobody will be told again. */
  public record Added(User user, String token) {
    /** Without the token. */
    @Override
    public String toString() {
      return user.toString();
    }
  }

  /**
   * Reads them, and makes the administrator's token where there is none that holds.
   *
   * @param directory the node's data directory
   */
  public static Credentials open(Path directory) throws IOException {
    return new Credentials(directory, administrator(directory.resolve(TOKEN)), known(directory.resolve(USERS)));
  }

  /** What cannot be read is tried again with each user's token, and keeps nobody from the administrator's. */
  private static Known known(Path file) {
    try {
      return users(file);
    } catch (IOException e) {
      LOG.error("The users cannot be read from {} ({}): no user's token holds until that is mended. Make it a file that the node's user may read, or move it away and add the users again.", file,
          e.toString());
      return Known.of(Map.of(), UNREAD);
    }
  }

  private static Digest administrator(Path file) throws IOException {
    if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      PosixFileAttributes attributes = Files.readAttributes(file, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      String why = "";
      if (!attributes.isRegularFile()) {
        why = "is no file";
      } else if (attributes.permissions().stream().anyMatch(OTHERS::contains)) {
        why = "could be read or written by other users of this machine";
      } else {
        String token = attributes.size() > 4096 ? "" : Files.readString(file, StandardCharsets.ISO_8859_1).strip();
        if (Token.valid(token)) {
          return Token.digest(token);
        }
        why = "holds no token (32 characters or more of A-Z a-z 0-9 . _ ~ + / -)";
      }
      LOG.warn("{} {}: the token in it does not hold, a new one was made.", file, why);
    }
    String fresh = Token.fresh("admin");
    DurableFiles.write(file, (fresh + "\n").getBytes(StandardCharsets.US_ASCII));
    return Token.digest(fresh);
  }

  /** Tells one state of the file from every other: each is another file, renamed to its place. */
  private static String stamp(Path file) throws IOException {
    try {
      BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      return attributes.fileKey() + " " + attributes.lastModifiedTime() + " " + attributes.size();
    } catch (NoSuchFileException e) {
      return "";
    }
  }

  private static Known users(Path file) throws IOException {
    String stamp = stamp(file);
    if (stamp.isEmpty()) {
      return Known.of(Map.of(), stamp);
    }
    try {
      Map<String, User> users = new TreeMap<>();
      for (JsonNode each : JSON.readTree(ChecksummedDocument.read(file)).path("users")) {
        User user = new User(each.path("name").asText(), new Digest(each.path("token").asText()), names(each.path("upload")), names(each.path("call")),
            Instant.parse(each.path("created").asText()));
        users.put(user.name(), user);
      }
      return Known.of(users, stamp);
    } catch (ChecksummedDocument.DamagedException | JsonProcessingException | InstarException | DateTimeException e) {
      Path aside = file.resolveSibling("users-damaged.json");
      DurableFiles.move(file, aside);
      LOG.error("{} is damaged and was set aside as {}: no user's token holds until the users are added again.", file, aside.getFileName());
      return Known.of(Map.of(), "");
    }
  }

  private static SortedSet<String> names(JsonNode list) {
    SortedSet<String> names = new TreeSet<>();
    list.forEach(name -> names.add(name.asText()));
    return names;
  }

  /** As the file has them now. */
  private Known known() {
    Path file = directory.resolve(USERS);
    try {
      if (!known.stamp().equals(stamp(file))) {
        synchronized (this) {
          known = users(file);
        }
      }
      return known;
    } catch (IOException e) {
      throw new InstarException(Problem.of(ErrorCode.INTERNAL, "The users cannot be read from " + USERS
          + " of the data directory. Make it a file that the node's user may read, or move it away and add the users again."), e);
    }
  }

  /** Whose token this is. */
  Optional<Caller> find(String token) {
    if (!Token.valid(token)) {
      return Optional.empty();
    }
    Digest digest = Token.digest(token);
    if (Token.same(digest, administrator)) {
      return Optional.of(Caller.ADMINISTRATOR);
    }
    return Optional.ofNullable(known().byToken().get(digest)).map(Caller.Holder::new);
  }

  /** By name. */
  public List<User> users() {
    return List.copyOf(known().byName().values());
  }

  /**
   * Adds a user with a fresh token.
   *
   * @throws InstarException CONFLICT when there is one of that name, or no room; BAD_NAME, BAD_REQUEST as {@link User}
   */
  public synchronized Added add(String name, SortedSet<String> upload, SortedSet<String> call) {
    String token = Token.fresh("user");
    User user = new User(name, Token.digest(token), upload, call, Instant.now());
    Map<String, User> users = new TreeMap<>(known().byName());
    if (users.size() >= MOST_USERS) {
      throw new InstarException(ErrorCode.CONFLICT, "There are " + MOST_USERS + " users, and more are not taken; remove some.");
    }
    if (users.putIfAbsent(name, user) != null) {
      throw new InstarException(ErrorCode.CONFLICT, "There is a user " + name + " already; remove it first, with its token, or give another name.");
    }
    store(users);
    return new Added(user, token);
  }

  /** Removes a user; its token holds no more when this returns. @return whether there was one */
  public synchronized boolean remove(String name) {
    Map<String, User> users = new TreeMap<>(known().byName());
    if (users.remove(name) == null) {
      return false;
    }
    store(users);
    return true;
  }

  private void store(Map<String, User> users) {
    ObjectNode document = JSON.createObjectNode();
    ArrayNode list = document.putArray("users");
    for (User user : users.values()) {
      ObjectNode each = list.addObject().put("name", user.name()).put("token", user.token().value()).put("created", user.created().toString());
      ArrayNode upload = each.putArray("upload");
      user.upload().forEach(upload::add);
      ArrayNode call = each.putArray("call");
      user.call().forEach(call::add);
    }
    try {
      Path file = directory.resolve(USERS);
      ChecksummedDocument.write(file, JSON.writeValueAsBytes(document));
      known = Known.of(users, stamp(file));
    } catch (IOException e) {
      throw new InstarException(Problem.of(DurableFiles.isNoSpace(e) ? ErrorCode.NO_SPACE : ErrorCode.INTERNAL, "The users could not be stored in " + USERS
          + " of the data directory; nothing was changed."), e);
    }
  }
}
