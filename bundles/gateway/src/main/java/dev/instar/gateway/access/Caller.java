package dev.instar.gateway.access;

/** Who asks, as far as the node knows and needs to know. */
public sealed interface Caller {
  /** Whoever can connect, where no credential is asked for. */
  Caller ANYONE = new Anyone();

  /** Whoever can connect, where a credential is asked for and he has shown none: he may know that the process works, and no more. */
  Caller STRANGER = new Stranger();

  /** The holder of the administrator's token. */
  Caller ADMINISTRATOR = new Administrator();

  /** Whether it may call functions of this user. */
  boolean mayCall(String user);

  /** Whether it may publish, change, look at and remove functions of this user, and read their logs. */
  boolean mayUpload(String user);

  /** Whether it may do so for any user at all. */
  boolean uploads();

  /** See {@link Caller#ANYONE}. */
  record Anyone() implements Caller {
    @Override
    public boolean mayCall(String user) {
      return true;
    }

    @Override
    public boolean mayUpload(String user) {
      return true;
    }

    @Override
    public boolean uploads() {
      return true;
    }
  }

  /** See {@link Caller#STRANGER}. */
  record Stranger() implements Caller {
    @Override
    public boolean mayCall(String user) {
      return false;
    }

    @Override
    public boolean mayUpload(String user) {
      return false;
    }

    @Override
    public boolean uploads() {
      return false;
    }
  }

  /** See {@link Caller#ADMINISTRATOR}. */
  record Administrator() implements Caller {
    @Override
    public boolean mayCall(String user) {
      return true;
    }

    @Override
    public boolean mayUpload(String user) {
      return true;
    }

    @Override
    public boolean uploads() {
      return true;
    }
  }

  /** The holder of a user's token. */
  record Holder(User user) implements Caller {
    @Override
    public boolean mayCall(String name) {
      return user.call().contains(name);
    }

    @Override
    public boolean mayUpload(String name) {
      return user.upload().contains(name);
    }

    @Override
    public boolean uploads() {
      return !user.upload().isEmpty();
    }
  }
}
