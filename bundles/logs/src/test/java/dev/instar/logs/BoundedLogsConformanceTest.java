package dev.instar.logs;

import dev.instar.api.log.FunctionLogs;
import dev.instar.data.LockedDataDirectory;
import dev.instar.tck.log.FunctionLogsSuite;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;

class BoundedLogsConformanceTest extends FunctionLogsSuite {
  @TempDir Path dir;
  private LockedDataDirectory data;
  private BoundedLogs logs;

  @Override
  protected FunctionLogs emptyLogs() throws Exception {
    data = LockedDataDirectory.open(dir.resolve("data"));
    logs = new BoundedLogs(data, LogSettings.DEFAULT);
    return logs;
  }

  @AfterEach
  void close() {
    logs.stop();
    data.close();
  }
}
