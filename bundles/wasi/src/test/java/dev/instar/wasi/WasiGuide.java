package dev.instar.wasi;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The errors of each call, as docs/wasi.md has them. */
final class WasiGuide {
  static final Set<Errno> PATH = EnumSet.of(Errno.BADF, Errno.NOTDIR, Errno.NOTCAPABLE, Errno.NOENT, Errno.PERM, Errno.LOOP, Errno.NAMETOOLONG,
      Errno.INVAL, Errno.ILSEQ);
  private static final Pattern ROW = Pattern.compile("\\| `([a-z_]+)` \\|([^|]*)\\|[^|]*\\|");
  private static final Pattern CODE = Pattern.compile("`([a-z]+)`");

  private WasiGuide() {}

  static Map<String, Set<Errno>> errors() throws IOException {
    String guide = Files.readString(Path.of("../../docs/wasi.md"));
    Map<String, Set<Errno>> errors = new LinkedHashMap<>();
    for (String line : guide.lines().toList()) {
      Matcher row = ROW.matcher(line);
      if (row.matches()) {
        Set<Errno> of = codes(row.group(2));
        if (row.group(2).contains("*path*")) {
          of.addAll(PATH);
        }
        errors.put(row.group(1), of);
      }
    }
    String path = guide.lines().filter(line -> line.startsWith("*path* stands for")).findFirst().orElseThrow();
    assertEquals(PATH, codes(path.substring(0, path.indexOf('.'))));
    List<String> calls = Preview1.functions().stream().map(Preview1.Function::name).sorted().toList();
    assertEquals(calls, errors.keySet().stream().sorted().toList());
    return errors;
  }

  private static Set<Errno> codes(String text) {
    Set<Errno> codes = EnumSet.noneOf(Errno.class);
    CODE.matcher(text).results().forEach(code -> codes.add(Errno.valueOf(code.group(1).toUpperCase(Locale.ROOT))));
    return codes;
  }
}
