package dev.instar.dialect.faasm;

import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.Route;
import dev.instar.api.http.ServiceSlot;
import dev.instar.api.image.ImageStore;
import dev.instar.api.invocation.Invoker;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.ConfigurationPolicy;
import org.osgi.service.component.annotations.Modified;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.metatype.annotations.Designate;

/** What the dialect is to the framework: its references and its configuration. */
@Component(immediate = true, service = HttpDialect.class, configurationPid = FaasmConfig.PID, configurationPolicy = ConfigurationPolicy.REQUIRE)
@Designate(ocd = FaasmConfig.class, factory = true)
public final class FaasmComponent implements HttpDialect {
  private final ServiceSlot<FunctionRegistry> functions = new ServiceSlot<>("registry of functions");
  private final ServiceSlot<ImageStore> images = new ServiceSlot<>("image store");
  private final ServiceSlot<Invoker> invokers = new ServiceSlot<>("scheduler");
  private final FaasmDialect dialect = new FaasmDialect(functions, images, invokers);

  /** A change takes effect for the next request; the routes stay, so that none is refused meanwhile. */
  @Activate
  @Modified
  void configure(FaasmConfig config) {
    dialect.configure(config.max$_$upload$_$bytes(), Duration.ofMillis(config.service$_$wait$_$ms()));
  }

  @Override
  public String name() {
    return dialect.name();
  }

  @Override
  public List<Route> routes() {
    return dialect.routes();
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY, updated = "addFunctions")
  void addFunctions(FunctionRegistry service, Map<String, Object> properties) {
    functions.bind(service, properties);
  }

  void removeFunctions(FunctionRegistry service) {
    functions.unbind(service);
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY, updated = "addImages")
  void addImages(ImageStore service, Map<String, Object> properties) {
    images.bind(service, properties);
  }

  void removeImages(ImageStore service) {
    images.unbind(service);
  }

  @Reference(cardinality = ReferenceCardinality.MULTIPLE, policy = ReferencePolicy.DYNAMIC, policyOption = ReferencePolicyOption.GREEDY, updated = "addInvoker")
  void addInvoker(Invoker service, Map<String, Object> properties) {
    invokers.bind(service, properties);
  }

  void removeInvoker(Invoker service) {
    invokers.unbind(service);
  }
}
