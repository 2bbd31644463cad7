package dev.instar.network;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Threads;
import dev.instar.api.data.DataDirectory;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.host.Namespaces;
import dev.instar.api.host.Netlink;
import dev.instar.api.lease.LeaseProvider;
import dev.instar.api.lease.LeaseRequest;
import dev.instar.api.network.Addresses;
import dev.instar.api.network.LeaseStatus;
import dev.instar.api.network.NetworkAllocator;
import dev.instar.api.network.NetworkLease;
import dev.instar.api.network.NetworkRequest;
import dev.instar.api.sandbox.Probe;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.Designate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Sweeps what a killed predecessor left, finds out what this host can, and has a pool. All that takes time is on a thread of its own: a node's start waits for none of it. */
@Component(immediate = true, service = {NetworkAllocator.class, LeaseProvider.class}, configurationPid = NetworkComponent.PID)
@Designate(ocd = Config.class)
public final class NetworkComponent implements NetworkAllocator, LeaseProvider {
  static final String PID = "dev.instar.network";
  private static final Logger LOG = LoggerFactory.getLogger(NetworkComponent.class);
  private static final Path KERNEL_SETTINGS = Path.of("/proc/sys");
  private static final long AGAIN_SECONDS = 5;
  private static final int FEWEST_BITS = 16;
  private static final int MOST_BITS = 29;

  private final Netlink netlink;
  private final Namespaces namespaces;
  private final Path area;
  private final Config config;
  private final BundleContext context;
  private final Function<String, Optional<Program>> programs;
  private final Thread thread;
  private final CountDownLatch decided = new CountDownLatch(1);
  private final CountDownLatch ending = new CountDownLatch(1);
  private volatile String mark = "";
  private volatile Probe probe = new Probe.Missing("its start", "ask again");
  private volatile Optional<Pool> pool = Optional.empty();
  private volatile Optional<Watch> watch = Optional.empty();

  /** For Declarative Services. */
  @Activate
  public NetworkComponent(@Reference DataDirectory data, @Reference Netlink netlink, @Reference Namespaces namespaces, Config config, BundleContext context) {
    this(data, netlink, namespaces, config, context, Program::find);
  }

  /** @param programs finds programs of the host by their names */
  NetworkComponent(DataDirectory data, Netlink netlink, Namespaces namespaces, Config config, BundleContext context, Function<String, Optional<Program>> programs) {
    this.programs = programs;
    this.netlink = netlink;
    this.namespaces = namespaces;
    this.config = config;
    this.context = context;
    area = data.area("network");
    thread = Threads.startPlatform("instar-network", this::run);
  }

  private void run() {
    Optional<Probe> before = Optional.empty();
    try {
      // What is missing may be mended while the node runs.
      do {
        probe = begin();
        if (!before.equals(Optional.of(probe))) {
          switch (probe) {
            case Probe.Usable usable -> LOG.info("Sandboxes can have networks: {}", usable.detail());
            case Probe.Missing missing -> LOG.info("Sandboxes have no networks of their own: {}. {}", missing.what(), missing.remedy());
          }
        }
        before = Optional.of(probe);
        decided.countDown();
      } while (pool.isEmpty() && !ending.await(AGAIN_SECONDS, TimeUnit.SECONDS));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      decided.countDown();
    }
    if (pool.isPresent()) {
      Thread watching = Threads.startPlatform("instar-network-watch", watch.orElseThrow()::run);
      pool.get().run();
      watch.get().stop();
      join(watching);
    }
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private Probe begin() {
    try {
      List<Range> networks = networks();
      mark = Generation.mark(area);
      Optional<Program> nft = programs.apply("nft");
      Optional<Program> restore = programs.apply("iptables-restore");
      Optional<Program> save = programs.apply("iptables-save");
      HostSettings settings = new HostSettings(area, KERNEL_SETTINGS, new Forwarders(netlink, mark, nft, save));
      List<Generation> killed = Generation.killed(area);
      Optional<Probe.Missing> missing = Host.missing(List.of(), mark);
      if (missing.isPresent()) {
        return missing.get();
      }
      for (Generation one : killed) {
        sweep(one, nft, restore, save);
      }
      missing = Host.missing(networks, mark);
      if (missing.isPresent()) {
        return missing.get();
      }
      if (nft.isEmpty() && (restore.isEmpty() || save.isEmpty())) {
        return new Probe.Missing("nft, or iptables", "apt-get install nftables");
      }
      Generation.tidy(area);
      Rules rules = new Rules(networks, Range.parseAll(config.denied()), config.nameservers().length == 0 ? Resolvers.ofHost()
          : Range.parseAll(config.nameservers()).stream().map(range -> Addresses.of(range.base())).toList());
      Generation generation = Generation.begin(area);
      Wiring wiring;
      try {
        if (generation.siblings().isEmpty()) {
          settings.restore();
        }
        wiring = new Wiring(netlink, namespaces, generation);
      } catch (IOException e) {
        generation.end();
        throw e;
      }
      Firewall firewall = nft.isPresent() ? new NftFirewall(nft.get(), netlink, generation) : new IptablesFirewall(restore.orElseThrow(), save.orElseThrow(), generation);
      Pool made = new Pool(wiring, firewall, generation, netlink, Block.of(networks), rules, settings, config.ready(), config.max$_$slots());
      try {
        made.prepare();
      } catch (Exception e) {
        made.stop();
        made.tearDown(true);
        throw e;
      }
      watch = Optional.of(new Watch(netlink, made, firewall));
      pool = Optional.of(made);
      return new Probe.Usable(firewall.name() + ", " + String.join(" ", networks.stream().map(Range::toString).toList()));
    } catch (Exception | LinkageError e) {
      LOG.warn("The network of this host cannot be set up", e);
      return new Probe.Missing("a step of setting up: " + e.getMessage(), "see what the node's log says of dev.instar.network");
    }
  }

  private List<Range> networks() {
    List<Range> networks = Range.parseAll(config.networks());
    for (Range network : networks) {
      if (network.bits() < FEWEST_BITS || network.bits() > MOST_BITS) {
        throw new IllegalArgumentException("networks of " + PID + " has " + network + "; give ranges of " + FEWEST_BITS + " to " + MOST_BITS + " bits");
      }
      if (networks.stream().filter(network::overlaps).count() > 1) {
        throw new IllegalArgumentException("networks of " + PID + " has " + network + ", which overlaps with another of them");
      }
    }
    if (networks.isEmpty() || networks.size() > 8) {
      throw new IllegalArgumentException("networks of " + PID + " has " + networks.size() + " ranges; give 1 to 8");
    }
    return networks;
  }

  /** Takes away what bears the mark of this data directory and of a process that is no more. */
  private void sweep(Generation killed, Optional<Program> nft, Optional<Program> restore, Optional<Program> save) throws IOException {
    LOG.info("Taking away what a killed node left: {}", killed.prefix());
    try (Wiring wiring = new Wiring(netlink, namespaces, killed)) {
      wiring.removeAll();
    }
    if (nft.isPresent()) {
      new NftFirewall(nft.get(), netlink, killed).remove();
    }
    if (restore.isPresent() && save.isPresent()) {
      new IptablesFirewall(restore.get(), save.get(), killed).remove();
    }
    killed.end();
  }

  @Deactivate
  void deactivate() throws InterruptedException {
    // A node that ends takes all down; a bundle that is replaced leaves what is leased.
    boolean nodeEnds = context.getBundle(0).getState() == Bundle.STOPPING;
    decided.await();
    ending.countDown();
    pool.ifPresent(Pool::stop);
    thread.join();
    if (pool.isPresent()) {
      try {
        pool.get().tearDown(nodeEnds);
      } catch (IOException e) {
        LOG.warn("What is left of networks is taken away at the next start", e);
      }
    }
  }

  @Override
  public Probe probe() {
    try {
      decided.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    Optional<Watch> looks = watch;
    return switch (probe) {
      case Probe.Usable usable when looks.isPresent() -> looks.get().trouble().<Probe>map(trouble -> trouble)
          .orElseGet(() -> new Probe.Usable(usable.detail() + looks.get().repairs()));
      case Probe.Usable usable -> usable;
      case Probe.Missing missing -> missing;
    };
  }

  @Override
  public NetworkLease lease(NetworkRequest request) throws InterruptedException {
    decided.await();
    if (pool.isEmpty()) {
      String why = probe instanceof Probe.Missing missing ? "missing: " + missing.what() + "; remedy: " + missing.remedy() : "it is being set up";
      throw new InstarException(ErrorCode.NETWORK_UNAVAILABLE, "This node gives sandboxes no networks: " + why + ".");
    }
    return pool.get().lease(request);
  }

  @Override
  public Status status() {
    probe();
    List<LeaseStatus> leases = new ArrayList<>(kept());
    pool.ifPresent(p -> leases.addAll(p.statuses()));
    return new Status(mark, pool.map(Pool::free).orElse(0), pool.isPresent() ? config.max$_$slots() : 0, pool.map(Pool::taken).orElse(0L),
        pool.isPresent() ? networks().stream().map(Range::toString).toList() : List.of(), leases);
  }

  /** Leases that predecessors in this process left open. */
  private List<LeaseStatus> kept() {
    List<LeaseStatus> leases = new ArrayList<>();
    try {
      for (Properties one : Generation.kept(area)) {
        one.stringPropertyNames().forEach(id -> Kept.read(id, one.getProperty(id)).ifPresent(leases::add));
      }
    } catch (IOException e) {
      LOG.warn("Leases of predecessors cannot be read", e);
    }
    return leases;
  }

  @Override
  public String kind() {
    return NetworkLease.KIND;
  }

  @Override
  public Optional<NetworkLease> take(LeaseRequest request) throws InterruptedException {
    decided.await();
    return pool.isEmpty() ? Optional.empty() : Optional.of(lease(NetworkRequest.of(request.version().name(), request.version().spec().labels())));
  }

  @Override
  public Map<String, String> describe(FunctionVersion version) {
    if (pool.isEmpty()) {
      return Map.of();
    }
    NetworkRequest request = NetworkRequest.of(version.name(), version.spec().labels());
    Map<String, String> described = new TreeMap<>();
    described.put("egress", request.egress().toString());
    described.put("bandwidth", request.bitsPerSecond() == NetworkRequest.UNSHAPED ? "unshaped" : request.bitsPerSecond() + " bits/s");
    return described;
  }
}
