package dev.instar.backend.wasm.compile;

import com.dylibso.chicory.runtime.Instance;
import dev.instar.backend.wasm.memory.CowMemory;
import java.util.Map;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.Type;

/**
 * Where the arguments of a call to the host stand. Chicory's code makes an array for each call, so that a guest that does nothing but call the host
 * (35 million times a second: 1.7 GB/s) has the whole node stop for collections, four a second. Here an instance has one array for each number of
 * arguments and uses it again: a host function is done with it when it returns, and none calls the guest.
 */
public final class HostArguments {
  private static final String NAME = "hostArguments";
  private static final String DESCRIPTOR = Type.getMethodDescriptor(Type.getType(long[].class), Type.INT_TYPE, Type.getType(Instance.class));
  private static final String HELPERS = Translator.HELPERS.replace('.', '/');
  private static final String GROUP = Code.MACHINE + "FuncGroup_";
  private static final int MOST = 1000;

  private HostArguments() {}

  /** What the code of a module calls. Which values are in the array is not said. */
  public static long[] of(int count, Instance instance) {
    if (count < 0 || count > MOST) {
      throw new IllegalArgumentException("A function has no " + count + " parameters");
    }
    return instance.memory() instanceof CowMemory memory ? memory.hostArguments(count) : new long[count];
  }

  /** The helpers with one more, and public, as classes of other loaders call them (see {@link CodeLoader}). */
  static byte[] added(byte[] helpers) {
    ClassReader reader = new ClassReader(helpers);
    ClassWriter writer = new ClassWriter(reader, 0);
    reader.accept(new ClassVisitor(Opcodes.ASM9, writer) {
      @Override
      public void visit(int version, int access, String name, String signature, String superName, String[] interfaces) {
        super.visit(version, access | Opcodes.ACC_PUBLIC, name, signature, superName, interfaces);
      }
    }, 0);
    MethodVisitor method = writer.visitMethod(Opcodes.ACC_PUBLIC | Opcodes.ACC_STATIC, NAME, DESCRIPTOR, null, null);
    method.visitCode();
    method.visitVarInsn(Opcodes.ILOAD, 0);
    method.visitVarInsn(Opcodes.ALOAD, 1);
    method.visitMethodInsn(Opcodes.INVOKESTATIC, Type.getInternalName(HostArguments.class), "of", DESCRIPTOR, false);
    method.visitInsn(Opcodes.ARETURN);
    method.visitMaxs(2, 2);
    method.visitEnd();
    writer.visitEnd();
    return writer.toByteArray();
  }

  /**
   * Has the functions that stand for imports use it.
   *
   * @param classes of a module's code
   * @param imported how many functions the module imports; they are the first
   */
  static void use(Map<String, byte[]> classes, int imported) {
    // Nothing says how many functions a class has, but there is one at least.
    for (int i = 0; i < imported; i++) {
      classes.computeIfPresent(GROUP + i, (name, bytes) -> used(bytes, imported));
    }
  }

  private static byte[] used(byte[] bytes, int imported) {
    ClassReader reader = new ClassReader(bytes);
    ClassWriter writer = new ClassWriter(reader, 0);
    reader.accept(new ClassVisitor(Opcodes.ASM9, writer) {
      @Override
      public MethodVisitor visitMethod(int access, String name, String descriptor, String signature, String[] exceptions) {
        MethodVisitor method = super.visitMethod(access, name, descriptor, signature, exceptions);
        return name.matches("func_\\d{1,9}") && Integer.parseInt(name.substring(5)) < imported ? new Stub(method, descriptor) : method;
      }
    }, 0);
    return writer.toByteArray();
  }

  /** A function that boxes its parameters, calls the host, and unboxes the results. */
  private static final class Stub extends MethodVisitor {
    private final int instance;

    Stub(MethodVisitor next, String descriptor) {
      super(Opcodes.ASM9, next);
      // The instance is the last parameter.
      instance = (Type.getArgumentsAndReturnSizes(descriptor) >> 2) - 2;
    }

    @Override
    public void visitIntInsn(int opcode, int operand) {
      if (opcode == Opcodes.NEWARRAY && operand == Opcodes.T_LONG) {
        super.visitVarInsn(Opcodes.ALOAD, instance);
        super.visitMethodInsn(Opcodes.INVOKESTATIC, HELPERS, NAME, DESCRIPTOR, false);
      } else {
        super.visitIntInsn(opcode, operand);
      }
    }

    @Override
    public void visitMaxs(int maxStack, int maxLocals) {
      super.visitMaxs(maxStack + 1, maxLocals);
    }
  }
}
