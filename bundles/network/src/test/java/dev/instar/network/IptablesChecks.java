package dev.instar.network;

import java.util.Optional;
import java.util.function.Function;

/** The suite on a host that has no nft. */
class IptablesChecks extends NftChecks {
  @Override
  Function<String, Optional<Program>> programs() {
    return name -> name.equals("nft") ? Optional.empty() : Program.find(name);
  }
}
