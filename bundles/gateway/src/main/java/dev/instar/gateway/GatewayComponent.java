package dev.instar.gateway;

import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.HttpEntry;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.BackendDirectory;
import dev.instar.api.invocation.Invoker;
import dev.instar.api.log.FunctionLogs;
import dev.instar.api.snapshot.SnapshotStore;
import java.util.Map;
import java.util.Objects;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.Constants;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.metatype.annotations.Designate;

/** What the gateway is to the framework: its references and its configuration. */
@Component(immediate = true, service = HttpEntry.class, configurationPid = GatewayConfig.PID)
@Designate(ocd = GatewayConfig.class)
public final class GatewayComponent implements HttpEntry {
  private final Services services = new Services();
  private final Dialects dialects = new Dialects();
  private volatile Gateway gateway;

  @Activate
  void activate(GatewayConfig config, BundleContext context) {
    gateway = new Gateway(services, dialects, Settings.of(config), Objects.requireNonNullElse(context.getProperty("instar.version"), "unknown"));
  }

  @Modified
  void modified(GatewayConfig config) {
    gateway.apply(Settings.of(config));
  }

  /** The service is unregistered by now and the references are still bound: what runs can end. */
  @Deactivate
  void deactivate(BundleContext context) {
    gateway.close(context.getBundle(Constants.SYSTEM_BUNDLE_LOCATION).getState() == Bundle.STOPPING);
  }

  @Override
  public boolean handle(Request request, Response response, Callback callback) {
    return gateway.handle(request, response, callback);
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY, updated = "addDialect")
  void addDialect(HttpDialect dialect, Map<String, Object> properties) {
    dialects.add(dialect, properties);
  }

  void removeDialect(HttpDialect dialect) {
    dialects.remove(dialect);
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY, updated = "addFunctions")
  void addFunctions(FunctionRegistry service, Map<String, Object> properties) {
    services.functions().bind(service, properties);
  }

  void removeFunctions(FunctionRegistry service) {
    services.functions().unbind(service);
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY, updated = "addImages")
  void addImages(ImageStore service, Map<String, Object> properties) {
    services.images().bind(service, properties);
  }

  void removeImages(ImageStore service) {
    services.images().unbind(service);
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY, updated = "addInvoker")
  void addInvoker(Invoker service, Map<String, Object> properties) {
    services.invokers().bind(service, properties);
  }

  void removeInvoker(Invoker service) {
    services.invokers().unbind(service);
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY, updated = "addBackends")
  void addBackends(BackendDirectory service, Map<String, Object> properties) {
    services.backends().bind(service, properties);
  }

  void removeBackends(BackendDirectory service) {
    services.backends().unbind(service);
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY, updated = "addLogs")
  void addLogs(FunctionLogs service, Map<String, Object> properties) {
    services.logs().bind(service, properties);
  }

  void removeLogs(FunctionLogs service) {
    services.logs().unbind(service);
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY, updated = "addSnapshots")
  void addSnapshots(SnapshotStore service, Map<String, Object> properties) {
    services.snapshots().bind(service, properties);
  }

  void removeSnapshots(SnapshotStore service) {
    services.snapshots().unbind(service);
  }
}
