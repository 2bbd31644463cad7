package dev.instar.gateway;

import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.HttpEntry;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.BackendDirectory;
import dev.instar.api.invocation.Invoker;
import dev.instar.api.log.FunctionLogs;
import dev.instar.api.operations.Deployer;
import dev.instar.api.operations.Configurations;
import dev.instar.api.secret.SecretStore;
import dev.instar.api.snapshot.SnapshotStore;
import dev.instar.gateway.access.Access;
import dev.instar.gateway.access.Credentials;
import java.io.IOException;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
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
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What the gateway is to the framework: its references and its configuration. */
@Component(immediate = true, service = HttpEntry.class, configurationPid = GatewayConfig.PID, property = HttpEntry.CREDENTIALS + ":Boolean=true")
@Designate(ocd = GatewayConfig.class)
public final class GatewayComponent implements HttpEntry {
  private static final Logger LOG = LoggerFactory.getLogger(GatewayComponent.class);

  private final Services services = new Services();
  private final Dialects dialects = new Dialects();
  private final Access access = new Access();
  private volatile Gateway gateway;

  @Activate
  void activate(GatewayConfig config, BundleContext context) {
    access.mode(mode(config));
    gateway = new Gateway(services, dialects, Settings.of(config), access, Objects.requireNonNullElse(context.getProperty("instar.version"), "unknown"));
  }

  @Modified
  void modified(GatewayConfig config) {
    access.mode(mode(config));
    gateway.apply(Settings.of(config));
  }

  private static Access.Mode mode(GatewayConfig config) {
    return GatewayConfig.OPEN.equals(config.access()) ? Access.Mode.OPEN : Access.Mode.REQUIRED;
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

  @Override
  public Optional<Runnable> begin(Request request, Response response, Callback callback) {
    return gateway.begin(request, response, callback);
  }

  /** Where the credentials are; without it nothing that needs one is served. */
  @Reference(cardinality = ReferenceCardinality.OPTIONAL, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY)
  void setData(DataDirectory data) {
    try {
      access.credentials(Optional.of(Credentials.open(data.root())));
    } catch (IOException e) {
      LOG.error("The credentials in {} cannot be read or made: {}. What needs one is refused until the gateway is started again.", data.root(), e.toString());
    }
  }

  void unsetData(DataDirectory data) {
    access.credentials(Optional.empty());
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY, updated = "addDialect")
  void addDialect(HttpDialect dialect, Map<String, Object> properties) {
    dialects.add(dialect, properties);
  }

  /** Its bundle stops when this has returned; its exchanges end on code that is still there. */
  void removeDialect(HttpDialect dialect) {
    dialects.remove(dialect, gateway.drain());
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

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY, updated = "addSecrets")
  void addSecrets(SecretStore service, Map<String, Object> properties) {
    services.secrets().bind(service, properties);
  }

  void removeSecrets(SecretStore service) {
    services.secrets().unbind(service);
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY, updated = "addDeployer")
  void addDeployer(Deployer service, Map<String, Object> properties) {
    services.deployers().bind(service, properties);
  }

  void removeDeployer(Deployer service) {
    services.deployers().unbind(service);
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY, updated = "addConfigurations")
  void addConfigurations(Configurations service, Map<String, Object> properties) {
    services.configurations().bind(service, properties);
  }

  void removeConfigurations(Configurations service) {
    services.configurations().unbind(service);
  }
}
