package dev.instar.launcher.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.instar.launcher.cli.Arguments.Processors;
import dev.instar.launcher.cli.Arguments.Size;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.LongFunction;
import picocli.CommandLine.Option;

/** The limits of a function. */
final class LimitOptions {
  @Option(names = "--memory", paramLabel = "SIZE", converter = Arguments.SizeConverter.class, description = "Memory of a sandbox, e.g. 64Mi.")
  private Optional<Size> memory;
  @Option(names = "--timeout", paramLabel = "TIME", converter = Arguments.DurationConverter.class, description = "How long a call may take, e.g. 30s.")
  private Optional<Duration> timeout;
  @Option(names = "--run-time", paramLabel = "TIME", converter = Arguments.DurationConverter.class, description = "How long of that in a sandbox (default: as the time-out).")
  private Optional<Duration> runTime;
  @Option(names = "--tables", paramLabel = "N", description = "Elements of all tables of a WebAssembly instance.")
  private Optional<Integer> tables;
  @Option(names = "--stack", paramLabel = "SIZE", converter = Arguments.SizeConverter.class, description = "Stack of a call that runs in the node's process, e.g. 8Mi.")
  private Optional<Size> stack;
  @Option(names = "--input", paramLabel = "SIZE", converter = Arguments.SizeConverter.class, description = "The body of a call.")
  private Optional<Size> input;
  @Option(names = "--answer", paramLabel = "SIZE", converter = Arguments.SizeConverter.class, description = "The answer of a call.")
  private Optional<Size> answer;
  @Option(names = "--log", paramLabel = "SIZE", converter = Arguments.SizeConverter.class, description = "What a call may write to the log.")
  private Optional<Size> log;
  @Option(names = "--open-files", paramLabel = "N", description = "Files that a sandbox may have open.")
  private Optional<Integer> openFiles;
  @Option(names = "--file-bytes", paramLabel = "SIZE", converter = Arguments.SizeConverter.class, description = "What a sandbox may write to files.")
  private Optional<Size> fileBytes;
  @Option(names = "--made-files", paramLabel = "N", description = "Files and directories that a sandbox may make.")
  private Optional<Integer> madeFiles;
  @Option(names = "--concurrency", paramLabel = "N", description = "Sandboxes of this function at one time.")
  private Optional<Integer> concurrency;
  @Option(names = "--cpu", paramLabel = "N", converter = Arguments.ProcessorsConverter.class,
      description = "Processors that a sandbox of its own process may use, e.g. 0.5, 2 or 500m.")
  private Optional<Processors> cpu;
  @Option(names = "--cpu-weight", paramLabel = "N", description = "Its share where processors are short; 100 is the usual one.")
  private Optional<Integer> cpuWeight;
  @Option(names = "--cpuset", paramLabel = "LIST", description = "The processors that it runs on, e.g. 0-2,5.")
  private Optional<String> cpuset;
  @Option(names = "--processes", paramLabel = "N", description = "Processes and threads that it may have.")
  private Optional<Integer> processes;
  @Option(names = "--io-weight", paramLabel = "N", description = "Its share where a disk is short; 100 is the usual one.")
  private Optional<Integer> ioWeight;

  /**
   * One of them.
   *
   * @param name in a version's limits
   * @param inForce in what a function's description says under {@code runs}
   * @param form the value for people
   */
  private record Limit(String option, String name, String inForce, Optional<Long> asked, LongFunction<String> form) {}

  private List<Limit> all() {
    return List.of(
        bytes("--memory", "memory", "memoryBytes", memory),
        millis("--timeout", "timeout", "timeoutMillis", timeout),
        millis("--run-time", "runTime", "runTimeMillis", runTime),
        count("--tables", "tables", "tableElements", tables),
        bytes("--stack", "stack", "stackBytes", stack),
        bytes("--input", "input", "inputBytes", input),
        bytes("--answer", "output", "outputBytes", answer),
        bytes("--log", "log", "logBytes", log),
        count("--open-files", "openFiles", "openFiles", openFiles),
        bytes("--file-bytes", "fileBytes", "fileBytes", fileBytes),
        count("--made-files", "madeFiles", "madeFiles", madeFiles),
        count("--concurrency", "concurrency", "concurrency", concurrency),
        new Limit("--cpu", "cpu", "cpuMillis", cpu.map(Processors::thousandths).map(Integer::longValue), value -> value + "m"),
        count("--cpu-weight", "cpuWeight", "cpuWeight", cpuWeight),
        count("--processes", "processes", "processes", processes),
        count("--io-weight", "ioWeight", "ioWeight", ioWeight));
  }

  private static Limit bytes(String option, String name, String inForce, Optional<Size> asked) {
    return new Limit(option, name, inForce, asked.map(Size::bytes), Output::exactSize);
  }

  private static Limit millis(String option, String name, String inForce, Optional<Duration> asked) {
    return new Limit(option, name, inForce, asked.map(Duration::toMillis), Output::time);
  }

  private static Limit count(String option, String name, String inForce, Optional<Integer> asked) {
    return new Limit(option, name, inForce, asked.map(Integer::longValue), Long::toString);
  }

  /** Those that were given, as the API takes them. */
  ObjectNode json() {
    ObjectNode json = Output.JSON.createObjectNode();
    all().forEach(limit -> limit.asked.ifPresent(value -> json.put(limit.name, value)));
    cpuset.ifPresent(list -> json.put("cpuset", list));
    return json;
  }

  /**
   * Those of which less is in force than was asked for, or nothing, since the backend does not hold it, each as a line for people.
   *
   * @param runs what a function's description says of how it runs
   */
  List<String> bounded(JsonNode runs) {
    if (!runs.has("limitsHonoured")) {
      return List.of();
    }
    List<String> held = List.of(runs.path("limitsHonoured").asText().split(", "));
    List<String> notes = new ArrayList<>();
    for (Limit limit : all()) {
      if (limit.asked.isPresent() && !held.contains(limit.name)) {
        notes.add(unheld(limit.option, runs));
      } else if (limit.asked.isPresent() && runs.path(limit.inForce).asLong(Long.MAX_VALUE) < limit.asked.get()) {
        notes.add("note: " + limit.option + " is " + limit.form.apply(runs.path(limit.inForce).asLong()) + " on this node (asked for " + limit.form.apply(limit.asked.get())
            + "); the node's configuration or the backend bounds it");
      }
    }
    if (cpuset.isPresent() && !held.contains("cpuset")) {
      notes.add(unheld("--cpuset", runs));
    }
    return notes;
  }

  private static String unheld(String option, JsonNode runs) {
    return "note: " + option + " is none of the limits that the backend '" + runs.path("backend").asText("of this function") + "' honours on this node";
  }
}
