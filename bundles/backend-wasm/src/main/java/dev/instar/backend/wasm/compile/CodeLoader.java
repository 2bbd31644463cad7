package dev.instar.backend.wasm.compile;

import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Machine;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Arrays;
import java.util.Map;
import java.util.function.Function;

/**
 * Loads the code of a module, which goes when nobody uses it any more. The helpers, which are the same for every module and larger than most of them, are
 * loaded once: half of the time of a first call went into a copy of them for each.
 */
public final class CodeLoader extends ClassLoader {
  private static final MethodType MAKE = MethodType.methodType(Machine.class, Instance.class);
  private static volatile Helping helping = new Helping(new byte[0], CodeLoader.class.getClassLoader());

  private CodeLoader(ClassLoader parent) {
    super(parent);
  }

  /** Has loaded the helpers. */
  private record Helping(byte[] helpers, ClassLoader loader) {}

  /**
   * The machines of a module's instances.
   *
   * @throws LinkageError when the code cannot be loaded
   * @throws InterruptedException when the thread was interrupted; some modules have thousands of classes
   */
  public static Function<Instance, Machine> load(Code code) throws InterruptedException {
    byte[] helpers = code.classes().get(Translator.HELPERS);
    CodeLoader loader = new CodeLoader(helpers == null ? CodeLoader.class.getClassLoader() : helping(helpers));
    Class<?> machine = null;
    for (Map.Entry<String, byte[]> entry : code.classes().entrySet()) {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      if (!entry.getKey().equals(Translator.HELPERS)) {
        machine = loader.define(entry.getKey(), entry.getValue());
      }
    }
    return maker(machine);
  }

  private static ClassLoader helping(byte[] helpers) {
    Helping now = helping;
    if (!Arrays.equals(now.helpers(), helpers)) {
      CodeLoader loader = new CodeLoader(CodeLoader.class.getClassLoader());
      loader.define(Translator.HELPERS, helpers);
      now = new Helping(helpers, loader);
      helping = now;
    }
    return now.loader();
  }

  private Class<?> define(String name, byte[] bytes) {
    Class<?> defined = defineClass(name, bytes, 0, bytes.length);
    try {
      // Verified now, and not when a call is under way.
      return Class.forName(name, true, this);
    } catch (ClassNotFoundException e) {
      throw new AssertionError("The class " + defined + " has gone", e);
    }
  }

  private static Function<Instance, Machine> maker(Class<?> machine) {
    if (machine == null || !Machine.class.isAssignableFrom(machine)) {
      throw new LinkageError("The last class of the code is no machine");
    }
    try {
      MethodHandle make = MethodHandles.publicLookup().findConstructor(machine, MethodType.methodType(void.class, Instance.class)).asType(MAKE);
      return instance -> {
        try {
          return (Machine) make.invokeExact(instance);
        } catch (RuntimeException | Error e) {
          throw e;
        } catch (Throwable e) {
          throw new IllegalStateException(e);
        }
      };
    } catch (ReflectiveOperationException e) {
      throw new LinkageError("The machine of the code has no constructor", e);
    }
  }
}
