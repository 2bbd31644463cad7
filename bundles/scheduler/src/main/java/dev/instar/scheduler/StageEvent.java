package dev.instar.scheduler;

import dev.instar.api.function.FunctionVersion;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/**
 * The stages of a call, and what is done for later ones, for JDK Flight Recorder. While nothing is recorded the JVM makes begin and end empty and leaves
 * the objects out; that is why the fields are filled only after {@link #shouldCommit}.
 */
@Category("Instar")
@StackTrace(false)
abstract class StageEvent extends Event {
  @Label("Function")
  String function;

  @Label("Version")
  int version;

  @Label("Backend")
  String backend;

  /** Records it, with the time from its begin to now. */
  void record(FunctionVersion of, Generation generation) {
    if (shouldCommit()) {
      function = of.name().toString();
      version = of.number();
      backend = generation.name();
      commit();
    }
  }

  @Name("dev.instar.Prepare")
  @Label("Prepare")
  @Description("A version is made ready to start: checked, compiled, unpacked")
  static final class Prepare extends StageEvent {}

  @Name("dev.instar.Start")
  @Label("Start")
  @Description("A sandbox is started")
  static final class Start extends StageEvent {}

  @Name("dev.instar.Call")
  @Label("Call")
  @Description("A sandbox runs one call")
  static final class Call extends StageEvent {
    @Label("Invocation")
    String invocation;

    @Label("Cold")
    @Description("Whether the sandbox was started for this call")
    boolean cold;

    @Label("Waited")
    @Description("From the arrival of the call until a sandbox and a thread were there")
    @Timespan(Timespan.NANOSECONDS)
    long waited;
  }

  @Name("dev.instar.Reset")
  @Label("Reset")
  @Description("A sandbox goes back to the state in which it was started")
  static final class Reset extends StageEvent {}

  @Name("dev.instar.Checkpoint")
  @Label("Checkpoint")
  @Description("The initialised state of a version is stored")
  static final class Checkpoint extends StageEvent {}
}
