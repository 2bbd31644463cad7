package dev.instar.secrets;

import dev.instar.api.lease.LeaseProvider;
import dev.instar.api.secret.SecretStore;
import dev.instar.data.LockedDataDirectory;
import dev.instar.tck.secret.SecretStoreSuite;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;

class FileSecretsConformanceTest extends SecretStoreSuite {
  @TempDir
  Path directory;
  private LockedDataDirectory data;
  private FileSecrets secrets;

  @Override
  protected SecretStore emptyStore() throws Exception {
    data = LockedDataDirectory.open(directory.resolve("data"));
    return successor();
  }

  @Override
  protected SecretStore successor() {
    secrets = new FileSecrets(data, new FileSecrets.Bounds(1000, 10, 20));
    return secrets;
  }

  @Override
  protected LeaseProvider lender() {
    return secrets;
  }

  @AfterEach
  void close() {
    data.close();
  }
}
