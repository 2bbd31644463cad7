package dev.instar.scheduler;

import java.io.IOException;

/** Told when a call is about to wait for its caller's bytes, and when it has them. */
interface Parking {
  Parking NONE = new Parking() {
    @Override
    public void park() {}

    @Override
    public void unpark() {}
  };

  void park();

  /** @throws IOException when the call was killed meanwhile */
  void unpark() throws IOException;
}
