package dev.instar.gateway;

import dev.instar.api.function.FunctionVersion;
import dev.instar.api.invocation.BackendAssignment;
import dev.instar.api.invocation.BackendDirectory;
import dev.instar.api.invocation.BackendMove;
import dev.instar.api.invocation.BackendStatus;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A scheduler that has no backend, and assigns whatever it is told. */
class NoBackends implements BackendDirectory {
  final List<BackendMove> moves = new ArrayList<>();

  @Override
  public List<BackendStatus> backends() {
    return List.of();
  }

  @Override
  public Map<String, String> describe(FunctionVersion version) {
    return Map.of();
  }

  @Override
  public List<FunctionVersion> inUse() {
    return List.of();
  }

  @Override
  public List<BackendAssignment> assignments() {
    return moves.stream().map(m -> new BackendAssignment(m.scope(), m.from(), m.to(), m.from(), Instant.EPOCH, m.ramp())).toList();
  }

  @Override
  public List<BackendAssignment> move(BackendMove move) {
    moves.add(move);
    return assignments();
  }
}
