package dev.instar.backend.wasm.compile;

import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.runtime.Machine;
import com.dylibso.chicory.runtime.OpcodeImpl;
import com.dylibso.chicory.runtime.TableInstance;
import com.dylibso.chicory.runtime.WasmException;
import com.dylibso.chicory.runtime.internal.CompilerInterpreterMachine;
import com.dylibso.chicory.wasm.types.Value;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.objectweb.asm.AnnotationVisitor;
import org.objectweb.asm.Attribute;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.FieldVisitor;
import org.objectweb.asm.Handle;
import org.objectweb.asm.Label;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.ModuleVisitor;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.RecordComponentVisitor;
import org.objectweb.asm.Type;
import org.objectweb.asm.TypePath;

/**
 * Looks at bytecode that a compiling process gave, before any of it is loaded: it may only do what Chicory's compiler makes code do.
 *
 * <p>A hostile module that had taken over the process that compiles it could answer with code of its choice. What passes here can use, beside numbers and arrays of
 * {@code long} of a bounded size:
 * <ul>
 *   <li>static methods of its own classes, and of Chicory's helpers, which the node adds itself,
 *   <li>functions of {@link OpcodeImpl} and {@link Value} from numbers to numbers,
 *   <li>the few methods of its own {@link Instance}, its tables and its exceptions that compiled code needs.
 * </ul>
 * There is no reflection, no class constant, no string, no field but the two of the machine, no {@code invokedynamic}, no static initialiser, no catching of
 * anything but the guest's own exceptions. Each jump back is preceded by the look for an interrupt, so that a loop can be stopped. The JVM's verifier does the
 * rest: what is not typed right is not loaded. So such code has the powers of a module: its own linear memory, its own tables, the host functions of its own instance.
 *
 * <p>What is not defended here: that the code does what the module says. A process that was taken over can give a module another meaning, within the same
 * powers; therefore one process works for one user only, and what it gives is kept for the very module that it was asked for.
 */
final class CodeCheck {
  private static final String MACHINE = Code.MACHINE.replace('.', '/');
  private static final String HELPERS = Translator.HELPERS.replace('.', '/');
  private static final Pattern OTHERS = Pattern.compile(Pattern.quote(MACHINE)
      + "(MachineCall|FuncGroup_\\d{1,9}|Dispatch_\\d{1,9}|Indirect_\\d{1,9}_\\d{1,9}|CallIndirectBridge_\\d{1,9})");
  private static final String OBJECT = "java/lang/Object";
  private static final String INTERPRETER = Type.getInternalName(CompilerInterpreterMachine.class);
  private static final String EXCEPTION = Type.getInternalName(WasmException.class);
  private static final String INSTANCE = Type.getInternalName(Instance.class);
  private static final String TABLE = Type.getInternalName(TableInstance.class);
  private static final Set<String> NUMERIC = Set.of(Type.getInternalName(OpcodeImpl.class), Type.getInternalName(Value.class));
  private static final Pattern NUMBERS = Pattern.compile("\\([IJFD]*\\)[IJFD]");
  private static final Set<String> VIRTUAL = Set.of(
      INSTANCE + ".memory()Lcom/dylibso/chicory/runtime/Memory;",
      INSTANCE + ".memory(I)Lcom/dylibso/chicory/runtime/Memory;",
      INSTANCE + ".table(I)L" + TABLE + ";",
      INSTANCE + ".setElement(ILcom/dylibso/chicory/wasm/types/Element;)V",
      INSTANCE + ".exn(I)L" + EXCEPTION + ";",
      INSTANCE + ".registerException(L" + EXCEPTION + ";)I",
      TABLE + ".requiredRef(I)I",
      TABLE + ".instance(I)L" + INSTANCE + ";",
      EXCEPTION + ".args()[J",
      EXCEPTION + ".tagIdx()I",
      INTERPRETER + ".call(I[J)[J");
  private static final Map<String, String> FIELDS = Map.of("instance", "L" + INSTANCE + ";", "compilerInterpreterMachine", "L" + INTERPRETER + ";");
  /** A function's parameters or results; see the bounds of a module. */
  private static final int MOST_ELEMENTS = 1000;

  private CodeCheck() {}

  /** The code does what no module's code does. */
  static final class Refused extends Exception {
    private static final long serialVersionUID = 1;

    Refused(String what) {
      super(what, null, false, false);
    }
  }

  /** Leaves the visitors, which may throw nothing that is checked. */
  private static final class Found extends RuntimeException {
    private static final long serialVersionUID = 1;

    Found(String what) {
      super(what, null, false, false);
    }
  }

  /**
   * @param firstFunction index of the first function that the module defines itself
   * @param functions how many it defines
   * @throws Refused when the code is not of the form that Chicory's compiler gives it
   */
  static void check(Code code, int firstFunction, int functions) throws Refused {
    for (int function : code.interpreted()) {
      if (function < firstFunction || function - firstFunction >= functions) {
        throw new Refused("it leaves the function " + function + " to the interpreter, which does not exist");
      }
    }
    Set<String> names = new HashSet<>();
    for (String name : code.classes().keySet()) {
      String internal = name.replace('.', '/');
      if (name.indexOf('/') >= 0 || !internal.equals(MACHINE) && !OTHERS.matcher(internal).matches()) {
        throw new Refused("it has a class of a name that no code has");
      }
      names.add(internal);
    }
    if (!List.copyOf(code.classes().keySet()).getLast().equals(Code.MACHINE)) {
      throw new Refused("the machine's class is not the last");
    }
    for (var entry : code.classes().entrySet()) {
      try {
        new ClassReader(entry.getValue()).accept(new Checked(entry.getKey().replace('.', '/'), names, functions),
            ClassReader.SKIP_DEBUG | ClassReader.SKIP_FRAMES);
      } catch (Found e) {
        throw new Refused(e.getMessage());
      } catch (RuntimeException e) {
        // ASM on what is no class file.
        throw new Refused("a class cannot be read");
      }
    }
  }

  private static Found found(String what) {
    return new Found(what);
  }

  private static final class Checked extends ClassVisitor {
    private final String expected;
    private final Set<String> names;
    private final int functions;
    private final boolean machine;

    Checked(String expected, Set<String> names, int functions) {
      super(Opcodes.ASM9);
      this.expected = expected;
      this.names = names;
      this.functions = functions;
      this.machine = expected.equals(MACHINE);
    }

    @Override
    public void visit(int version, int access, String name, String signature, String superName, String[] interfaces) {
      // With an older version the JVM would verify by the rules of another time.
      if (version != Opcodes.V11) {
        throw found("a class has the version " + version);
      }
      List<String> wanted = machine ? List.of(Type.getInternalName(Machine.class)) : List.of();
      if (!name.equals(expected) || !OBJECT.equals(superName) || !List.of(interfaces).equals(wanted)) {
        throw found("a class has another name, superclass or interface than it must");
      }
      if ((access & ~(Opcodes.ACC_PUBLIC | Opcodes.ACC_FINAL | Opcodes.ACC_SUPER)) != 0) {
        throw found("a class has the access " + access);
      }
    }

    @Override
    public FieldVisitor visitField(int access, String name, String descriptor, String signature, Object value) {
      if (!machine || (access & Opcodes.ACC_STATIC) != 0 || !descriptor.equals(FIELDS.get(name))) {
        throw found("a class has a field");
      }
      return null;
    }

    @Override
    public MethodVisitor visitMethod(int access, String name, String descriptor, String signature, String[] exceptions) {
      boolean constructor = name.equals("<init>");
      boolean own = (access & Opcodes.ACC_STATIC) != 0;
      if ((access & ~(Opcodes.ACC_PUBLIC | Opcodes.ACC_STATIC)) != 0 || name.equals("<clinit>")
          || !own && !constructor && !(machine && name.equals("call") && descriptor.equals("(I[J)[J"))) {
        throw found("a class has the method " + access + " " + name);
      }
      return new Method(names, machine, constructor, machine && name.equals("call"), functions);
    }

    @Override
    public void visitAttribute(Attribute attribute) {
      throw found("a class has an unknown attribute");
    }

    @Override
    public AnnotationVisitor visitAnnotation(String descriptor, boolean visible) {
      throw found("a class has an annotation");
    }

    @Override
    public AnnotationVisitor visitTypeAnnotation(int typeRef, TypePath typePath, String descriptor, boolean visible) {
      throw found("a class has an annotation");
    }

    @Override
    public ModuleVisitor visitModule(String name, int access, String version) {
      throw found("a class is a module");
    }

    @Override
    public void visitNestHost(String host) {
      throw found("a class has a nest");
    }

    @Override
    public void visitNestMember(String member) {
      throw found("a class has a nest");
    }

    @Override
    public void visitOuterClass(String owner, String name, String descriptor) {
      throw found("a class is inside another");
    }

    @Override
    public void visitInnerClass(String name, String outerName, String innerName, int access) {
      throw found("a class is inside another");
    }

    @Override
    public void visitPermittedSubclass(String subclass) {
      throw found("a class is sealed");
    }

    @Override
    public RecordComponentVisitor visitRecordComponent(String name, String descriptor, String signature) {
      throw found("a class is a record");
    }
  }

  /** The instructions of one method. Those that are not mentioned work on numbers, locals and the operand stack. */
  private static final class Method extends MethodVisitor {
    private record Handler(Label end, Label target) {}

    private final Set<String> names;
    private final boolean machine;
    private final boolean constructor;
    private final boolean call;
    private final int functions;
    private final Set<Label> passed = new HashSet<>();
    private final List<Handler> handlers = new ArrayList<>();
    /** Whether the instruction before is the look for an interrupt, and nothing jumps between the two. */
    private boolean looked;
    /** The constant that the instruction before pushed; -1 when it was none. */
    private int constant = -1;

    Method(Set<String> names, boolean machine, boolean constructor, boolean call, int functions) {
      super(Opcodes.ASM9);
      this.names = names;
      this.machine = machine;
      this.constructor = constructor;
      this.call = call;
      this.functions = functions;
    }

    private void next() {
      looked = false;
      constant = -1;
    }

    @Override
    public void visitLabel(Label label) {
      next();
      passed.add(label);
      for (Handler handler : handlers) {
        // A handler before the end of what it guards would be a way back without a look.
        if (handler.target() == label && !passed.contains(handler.end()) && handler.end() != label) {
          throw found("a handler stands before what it guards");
        }
      }
    }

    @Override
    public void visitTryCatchBlock(Label start, Label end, Label handler, String type) {
      if (!EXCEPTION.equals(type) && !(call && "java/lang/StackOverflowError".equals(type))) {
        throw found("a method catches " + type);
      }
      handlers.add(new Handler(end, handler));
    }

    @Override
    public void visitInsn(int opcode) {
      next();
      if (opcode >= Opcodes.ICONST_0 && opcode <= Opcodes.ICONST_5) {
        constant = opcode - Opcodes.ICONST_0;
      }
      if (opcode == Opcodes.MONITORENTER || opcode == Opcodes.MONITOREXIT || opcode == Opcodes.AALOAD || opcode == Opcodes.AASTORE) {
        throw found("a method has the instruction " + opcode);
      }
    }

    @Override
    public void visitIntInsn(int opcode, int operand) {
      if (opcode == Opcodes.NEWARRAY) {
        boolean fits = operand == Opcodes.T_LONG && constant >= 0 && constant <= MOST_ELEMENTS
            || operand == Opcodes.T_INT && machine && constructor && constant >= 0 && constant <= functions;
        if (!fits) {
          throw found("a method makes an array of another type or size than code has");
        }
        next();
        return;
      }
      next();
      constant = operand;
    }

    @Override
    public void visitVarInsn(int opcode, int local) {
      next();
      if (opcode == Opcodes.RET) {
        throw found("a method has a subroutine");
      }
    }

    @Override
    public void visitIincInsn(int local, int increment) {
      next();
    }

    @Override
    public void visitTypeInsn(int opcode, String type) {
      next();
      if (opcode != Opcodes.NEW || !machine || !constructor || !type.equals(INTERPRETER)) {
        throw found("a method uses the type " + type);
      }
    }

    @Override
    public void visitFieldInsn(int opcode, String owner, String name, String descriptor) {
      next();
      boolean own = machine && owner.equals(MACHINE) && descriptor.equals(FIELDS.get(name));
      if (!own || opcode != Opcodes.GETFIELD && !(opcode == Opcodes.PUTFIELD && constructor)) {
        throw found("a method uses the field " + owner + "." + name);
      }
    }

    @Override
    public void visitMethodInsn(int opcode, String owner, String name, String descriptor, boolean isInterface) {
      next();
      boolean may = !isInterface && switch (opcode) {
        case Opcodes.INVOKESTATIC -> owner.equals(HELPERS) || names.contains(owner) || NUMERIC.contains(owner) && NUMBERS.matcher(descriptor).matches();
        case Opcodes.INVOKEVIRTUAL -> VIRTUAL.contains(owner + "." + name + descriptor);
        case Opcodes.INVOKESPECIAL -> constructor && name.equals("<init>") && (owner.equals(OBJECT)
            || machine && owner.equals(INTERPRETER) && descriptor.equals("(L" + INSTANCE + ";[I)V"));
        default -> false;
      };
      if (!may) {
        throw found("a method calls " + owner + "." + name + descriptor);
      }
      looked = owner.equals(HELPERS) && name.equals("checkInterruption");
    }

    @Override
    public void visitInvokeDynamicInsn(String name, String descriptor, Handle bootstrap, Object... arguments) {
      throw found("a method has an invokedynamic");
    }

    @Override
    public void visitJumpInsn(int opcode, Label label) {
      if (opcode == Opcodes.JSR) {
        throw found("a method has a subroutine");
      }
      jump(label);
      next();
    }

    private void jump(Label label) {
      if (passed.contains(label) && !looked) {
        throw found("a method jumps back without a look for an interrupt");
      }
    }

    @Override
    public void visitTableSwitchInsn(int min, int max, Label otherwise, Label... labels) {
      jump(otherwise);
      for (Label label : labels) {
        jump(label);
      }
      next();
    }

    @Override
    public void visitLookupSwitchInsn(Label otherwise, int[] keys, Label[] labels) {
      jump(otherwise);
      for (Label label : labels) {
        jump(label);
      }
      next();
    }

    @Override
    public void visitLdcInsn(Object value) {
      next();
      if (!(value instanceof Integer || value instanceof Long || value instanceof Float || value instanceof Double)) {
        throw found("a method has a constant that is no number");
      }
      if (value instanceof Integer number) {
        constant = number;
      }
    }

    @Override
    public void visitMultiANewArrayInsn(String descriptor, int dimensions) {
      throw found("a method makes an array of arrays");
    }

    @Override
    public void visitAttribute(Attribute attribute) {
      throw found("a method has an unknown attribute");
    }
  }
}
