package dev.instar.wasi;

/** The guest passed a host function something that has no error code, such as a pointer outside its memory. */
public final class GuestTrap extends GuestEnd {
  private static final long serialVersionUID = 1;

  public GuestTrap(String message) {
    super(message, null);
  }
}
