package dev.instar.gateway;

import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.http.ServiceSlot;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.BackendDirectory;
import dev.instar.api.invocation.Invoker;
import dev.instar.api.log.FunctionLogs;
import dev.instar.api.operations.Configurations;
import dev.instar.api.operations.Deployer;
import dev.instar.api.secret.SecretStore;
import dev.instar.api.snapshot.SnapshotStore;

/** The parts of the node that Instar's own API speaks to. Each may be replaced while requests run. */
public record Services(ServiceSlot<FunctionRegistry> functions, ServiceSlot<ImageStore> images, ServiceSlot<Invoker> invokers, ServiceSlot<BackendDirectory> backends,
    ServiceSlot<FunctionLogs> logs, ServiceSlot<SnapshotStore> snapshots, ServiceSlot<SecretStore> secrets,
    ServiceSlot<Deployer> deployers, ServiceSlot<Configurations> configurations) {
  public Services() {
    this(new ServiceSlot<>("registry of functions"), new ServiceSlot<>("image store"), new ServiceSlot<>("scheduler"), new ServiceSlot<>("scheduler"),
        new ServiceSlot<>("function log"), new ServiceSlot<>("snapshot store (bundle dev.instar.snapshots)"), new ServiceSlot<>("secret store (bundle dev.instar.secrets)"),
        new ServiceSlot<>("deployer (bundle dev.instar.operations)"), new ServiceSlot<>("configuration (bundle dev.instar.operations)"));
  }
}
