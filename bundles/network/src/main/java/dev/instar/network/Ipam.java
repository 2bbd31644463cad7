package dev.instar.network;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.function.FunctionName;
import dev.instar.api.http.HttpDialect;
import dev.instar.api.http.HttpExchange;
import dev.instar.api.http.Route;
import dev.instar.api.network.Addresses;
import dev.instar.api.network.EgressPolicy;
import dev.instar.api.network.LeaseStatus;
import dev.instar.api.network.NetworkAllocator;
import dev.instar.api.network.NetworkLease;
import dev.instar.api.network.NetworkRequest;
import java.io.IOException;
import java.net.Inet4Address;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;

/**
 * The addresses of this node for containers that others make, as fecore gives them to its CNI plug-in: {@code /ipam} with the headers {@code action}, {@code id} and {@code ip}, answered by
 * {@code true}, {@code false} or an address as plain text, with status 200.
 *
 * <table>
 * <caption>Actions</caption>
 * <tr><td>{@code LastReservedIP}</td><td>the address before the one to reserve next, which is where CNI's host-local goes on from; another one each time</td></tr>
 * <tr><td>{@code Reserve}</td><td>whether {@code id} has {@code ip} from now on: false when it has one already, or the address is another's</td></tr>
 * <tr><td>{@code FindByKey}, {@code FindByID}</td><td>whether {@code id} has an address</td></tr>
 * <tr><td>{@code GetByID}</td><td>the address of {@code id}, or nothing</td></tr>
 * <tr><td>{@code ReleaseByKey}, {@code ReleaseByID}</td><td>whether {@code id} had one, which is free now</td></tr>
 * </table>
 *
 * Whatever else is asked is {@code false}. Behind an address of the node's own networks stands a lease of the allocator, so that no sandbox gets it; one outside of them is written down and no
 * more. Leases of sandboxes are found by their ids and can't be released. All reservations go with the bundle.
 */
@Component(immediate = true, service = HttpDialect.class)
public final class Ipam implements HttpDialect {
  private static final String PATH = "/ipam";
  private static final NetworkRequest REQUEST = new NetworkRequest(new FunctionName("fecore", "ipam"), EgressPolicy.INTERNET, NetworkRequest.UNSHAPED);
  /** Addresses that were told and not reserved yet. Past it the oldest is free again. */
  private static final int OFFERS = 16;
  /** How many free addresses are looked through for one that is asked for by name. */
  private static final int TRIES = 64;
  private static final int MOST = 1000;
  private static final int ID_CHARS = 255;

  private final NetworkAllocator allocator;
  private final Deque<NetworkLease> offered = new ArrayDeque<>();
  private final Map<String, Reservation> reservations = new HashMap<>();

  /**
   * What one id has.
   *
   * @param lease empty outside of the node's networks
   */
  private record Reservation(String address, Optional<NetworkLease> lease) {}

  /** For Declarative Services. */
  @Activate
  public Ipam(@Reference NetworkAllocator allocator) {
    this.allocator = allocator;
  }

  @Deactivate
  synchronized void close() {
    offered.forEach(NetworkLease::close);
    offered.clear();
    reservations.values().forEach(reservation -> reservation.lease().ifPresent(NetworkLease::close));
    reservations.clear();
  }

  @Override
  public String name() {
    return "ipam";
  }

  @Override
  public List<Route> routes() {
    return List.of("GET", "POST", "PUT", "DELETE").stream().map(method -> new Route(method, PATH, this::answer)).toList();
  }

  private void answer(HttpExchange x) throws IOException, InterruptedException {
    String text = act(x.header("action").orElse(""), x.header("id").orElse("").strip(), x.header("ip").orElse("").strip());
    x.respond(200, Map.of("Content-Type", "text/plain", "Cache-Control", "no-store"), text.getBytes(StandardCharsets.US_ASCII));
  }

  /** @throws InstarException NETWORK_UNAVAILABLE, NODE_BUSY where the node has no address to give */
  synchronized String act(String action, String id, String ip) throws InterruptedException {
    return switch (action) {
      case "LastReservedIP" -> offer();
      case "Reserve" -> Boolean.toString(reserve(id, ip));
      case "FindByKey", "FindByID" -> Boolean.toString(find(id).isPresent());
      case "GetByID" -> find(id).orElse("");
      case "ReleaseByKey", "ReleaseByID" -> Boolean.toString(release(id));
      default -> "false";
    };
  }

  private String offer() throws InterruptedException {
    NetworkLease lease = allocator.lease(REQUEST);
    offered.addLast(lease);
    if (offered.size() > OFFERS) {
      offered.removeFirst().close();
    }
    return Addresses.of(Addresses.number(lease.address()) - 1).getHostAddress();
  }

  private boolean reserve(String id, String ip) throws InterruptedException {
    Optional<Inet4Address> address = parse(ip);
    if (id.isEmpty() || id.length() > ID_CHARS || address.isEmpty() || find(id).isPresent() || reservations.size() >= MOST || isTaken(ip)) {
      return false;
    }
    for (NetworkLease lease : offered) {
      if (lease.address().equals(address.get())) {
        offered.remove(lease);
        reservations.put(id, new Reservation(ip, Optional.of(lease)));
        return true;
      }
    }
    if (allocator.status().networks().stream().map(Range::parse).noneMatch(network -> network.overlaps(new Range(Addresses.number(address.get()), 32)))) {
      reservations.put(id, new Reservation(ip, Optional.empty()));
      return true;
    }
    Optional<NetworkLease> lease = lookFor(address.get());
    lease.ifPresent(found -> reservations.put(id, new Reservation(ip, lease)));
    return lease.isPresent();
  }

  private static Optional<Inet4Address> parse(String ip) {
    try {
      return Optional.of(Addresses.parse(ip));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  private boolean isTaken(String ip) {
    return reservations.values().stream().anyMatch(reservation -> reservation.address().equals(ip))
        || allocator.status().leases().stream().anyMatch(lease -> lease.address().equals(ip)) && offered.stream().noneMatch(lease -> lease.address().getHostAddress().equals(ip));
  }

  /** Among the addresses that are ready; to make others is nothing that one can be asked for by name. */
  private Optional<NetworkLease> lookFor(Inet4Address address) throws InterruptedException {
    List<NetworkLease> others = new ArrayList<>();
    try {
      for (int i = Math.min(TRIES, allocator.status().free()); i > 0; i--) {
        NetworkLease lease = allocator.lease(REQUEST);
        if (lease.address().equals(address)) {
          return Optional.of(lease);
        }
        others.add(lease);
      }
      return Optional.empty();
    } catch (InstarException e) {
      if (e.code() == ErrorCode.NODE_BUSY) {
        return Optional.empty();
      }
      throw e;
    } finally {
      others.forEach(NetworkLease::close);
    }
  }

  private Optional<String> find(String id) {
    return Optional.ofNullable(reservations.get(id)).map(Reservation::address)
        .or(() -> allocator.status().leases().stream().filter(lease -> lease.id().equals(id)).map(LeaseStatus::address).findFirst());
  }

  private boolean release(String id) {
    Optional<Reservation> had = Optional.ofNullable(reservations.remove(id));
    had.flatMap(Reservation::lease).ifPresent(NetworkLease::close);
    return had.isPresent();
  }
}
