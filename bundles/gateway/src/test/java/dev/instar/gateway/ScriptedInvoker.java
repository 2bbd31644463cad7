package dev.instar.gateway;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import dev.instar.api.function.FunctionRegistry;
import dev.instar.api.function.FunctionVersion;
import dev.instar.api.invocation.Invocation;
import dev.instar.api.invocation.Invoker;
import dev.instar.api.invocation.Outcome;
import java.io.IOException;

/** Runs a Java method in place of a function, and makes of what it throws what a scheduler would. Stands for the bundle scheduler. */
public final class ScriptedInvoker implements Invoker {
  /** What a call does. */
  @FunctionalInterface
  public interface Script {
    void run(Invocation call) throws IOException, InterruptedException;
  }

  /** Writes the input to the output. */
  public static final Script ECHO = call -> call.input().stream().transferTo(call.output());

  private final FunctionRegistry functions;
  private volatile Script script = ECHO;
  private volatile Invocation last;

  public ScriptedInvoker(FunctionRegistry functions) {
    this.functions = functions;
  }

  public void script(Script next) {
    script = next;
  }

  /** A script that fails. */
  public static Script failing(Problem problem) {
    return call -> {
      throw new InstarException(problem);
    };
  }

  /** The call that came last. */
  public Invocation last() {
    return last;
  }

  @Override
  public Outcome invoke(Invocation call) throws InterruptedException {
    last = call;
    try {
      script.run(call);
      FunctionVersion version = functions.find(call.function()).orElseThrow().version(call.version().orElse(functions.find(call.function()).orElseThrow().active())).orElseThrow();
      return new Outcome.Completed(version, "scripted", true, 0, 0, 0);
    } catch (InstarException e) {
      return new Outcome.Failed(e.problem());
    } catch (IOException e) {
      return new Outcome.Failed(Problem.of(ErrorCode.CALLER_GONE, "The caller went away."));
    }
  }
}
