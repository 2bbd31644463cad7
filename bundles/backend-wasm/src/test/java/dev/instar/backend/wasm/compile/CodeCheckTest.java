package dev.instar.backend.wasm.compile;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.invoke.LambdaMetafactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.Handle;
import org.objectweb.asm.Label;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.Type;

/** What a compiling process that was taken over must not get into the node. */
class CodeCheckTest {
  private static final String MACHINE = Code.MACHINE.replace('.', '/');
  private static final String GROUP = MACHINE + "FuncGroup_0";
  private static final String HELPERS = MACHINE + "Shaded";

  private static final Code SAMPLE = sample();

  private static Code sample() {
    try {
      return translated(Sample.module());
    } catch (Malformed e) {
      throw new AssertionError(e);
    }
  }

  private static Code translated(byte[] module) throws Malformed {
    return Translator.translate(Translator.parse(module), 16, Long.MAX_VALUE);
  }

  static List<Path> examples() throws Exception {
    try (Stream<Path> all = Files.walk(Path.of("../../examples"))) {
      return all.filter(p -> p.toString().endsWith(".wasm") && Files.isRegularFile(p)).toList();
    }
  }

  @ParameterizedTest
  @MethodSource("examples")
  void codeOfRealModulesPasses(Path module) throws Exception {
    byte[] bytes = Files.readAllBytes(module);
    var parsed = Translator.parse(bytes);
    Code code = translated(bytes);
    CodeCheck.check(code, parsed.importSection().importCount(), parsed.functionSection().functionCount());
    assertTrue(code.classes().size() >= 3, code.classes().keySet().toString());
  }

  @Test
  void codeIsTheSameEachTime() throws Exception {
    Code one = translated(Sample.module());
    Code two = translated(Sample.module());
    assertEquals(List.copyOf(one.classes().keySet()), List.copyOf(two.classes().keySet()));
    CodeCheck.check(one, 0, 60);
  }

  // ---- hostile

  private static Code with(String name, byte[] bytes) {
    Map<String, byte[]> classes = new LinkedHashMap<>();
    classes.put(name.replace('/', '.'), bytes);
    SAMPLE.classes().forEach(classes::putIfAbsent);
    return new Code(classes, Set.of());
  }

  private static ClassWriter group(int version, String superName, String... interfaces) {
    ClassWriter writer = new ClassWriter(0);
    writer.visit(version, Opcodes.ACC_FINAL | Opcodes.ACC_SUPER, GROUP, null, superName, interfaces);
    return writer;
  }

  private static byte[] method(int access, String name, Consumer<MethodVisitor> body) {
    ClassWriter writer = group(Opcodes.V11, "java/lang/Object");
    MethodVisitor method = writer.visitMethod(access, name, "()V", null, null);
    method.visitCode();
    body.accept(method);
    method.visitInsn(Opcodes.RETURN);
    method.visitMaxs(8, 8);
    method.visitEnd();
    writer.visitEnd();
    return writer.toByteArray();
  }

  private static void refused(String words, byte[] group) {
    refused(words, with(GROUP, group), 60);
  }

  private static void refused(String words, Code code, int functions) {
    CodeCheck.Refused e = assertThrows(CodeCheck.Refused.class, () -> CodeCheck.check(code, 0, functions));
    assertTrue(e.getMessage().contains(words), e.getMessage());
  }

  private static void refusedBody(String words, Consumer<MethodVisitor> body) {
    refused(words, method(Opcodes.ACC_PUBLIC | Opcodes.ACC_STATIC, "func_0", body));
  }

  private static void look(MethodVisitor m) {
    m.visitMethodInsn(Opcodes.INVOKESTATIC, HELPERS, "checkInterruption", "()V", false);
  }

  @Test
  void aMethodMayLoopIfItLooks() throws Exception {
    byte[] loop = method(Opcodes.ACC_PUBLIC | Opcodes.ACC_STATIC, "func_0", m -> {
      Label top = new Label();
      m.visitLabel(top);
      look(m);
      m.visitJumpInsn(Opcodes.GOTO, top);
    });
    CodeCheck.check(with(GROUP, loop), 0, 60);
  }

  @Test
  void nothingOfTheNodeCanBeCalled() {
    refusedBody("java/lang/System.exit", m -> {
      m.visitInsn(Opcodes.ICONST_0);
      m.visitMethodInsn(Opcodes.INVOKESTATIC, "java/lang/System", "exit", "(I)V", false);
    });
    refusedBody("LibC", m -> m.visitMethodInsn(Opcodes.INVOKESTATIC, "dev/instar/wasi/pages/LibC", "munmap", "(JJ)V", false));
    refusedBody("imports", m -> m.visitMethodInsn(Opcodes.INVOKEVIRTUAL, "com/dylibso/chicory/runtime/Instance", "imports",
        "()Lcom/dylibso/chicory/runtime/ImportValues;", false));
    refusedBody("write", m -> m.visitMethodInsn(Opcodes.INVOKEINTERFACE, "com/dylibso/chicory/runtime/Memory", "write", "(I[B)V", true));
    refusedBody("vecTo8", m -> m.visitMethodInsn(Opcodes.INVOKESTATIC, "com/dylibso/chicory/wasm/types/Value", "vecTo8", "([J)[B", false));
    refusedBody("<init>", m -> m.visitMethodInsn(Opcodes.INVOKESPECIAL, "java/lang/Object", "<init>", "()V", false));
    refusedBody("invokedynamic", m -> m.visitInvokeDynamicInsn("run", "()Ljava/lang/Runnable;", new Handle(Opcodes.H_INVOKESTATIC,
        Type.getInternalName(LambdaMetafactory.class), "metafactory", "()V", false)));
    refusedBody("field", m -> m.visitFieldInsn(Opcodes.GETSTATIC, "java/lang/System", "out", "Ljava/io/PrintStream;"));
    refusedBody("no number", m -> m.visitLdcInsn(Type.getObjectType("java/lang/Runtime")));
    refusedBody("no number", m -> m.visitLdcInsn("a string"));
    refusedBody("type", m -> m.visitTypeInsn(Opcodes.NEW, "java/lang/Thread"));
    refusedBody("type", m -> m.visitTypeInsn(Opcodes.CHECKCAST, "java/lang/ClassLoader"));
    refusedBody("instruction", m -> m.visitInsn(Opcodes.MONITORENTER));
  }

  @Test
  void nothingThatCannotBeStoppedIsTaken() {
    refusedBody("back", m -> {
      Label top = new Label();
      m.visitLabel(top);
      m.visitJumpInsn(Opcodes.GOTO, top);
    });
    refusedBody("back", m -> {
      // The look is jumped over.
      Label top = new Label();
      look(m);
      m.visitLabel(top);
      m.visitJumpInsn(Opcodes.GOTO, top);
    });
    refusedBody("back", m -> {
      Label top = new Label();
      m.visitLabel(top);
      m.visitInsn(Opcodes.ICONST_0);
      m.visitTableSwitchInsn(0, 0, top, top);
    });
    refusedBody("catches null", m -> handler(m, null, false));
    refusedBody("catches java/lang/Throwable", m -> handler(m, "java/lang/Throwable", false));
    refusedBody("handler", m -> handler(m, "com/dylibso/chicory/runtime/WasmException", true));
  }

  private static void handler(MethodVisitor m, String type, boolean before) {
    Label start = new Label();
    Label end = new Label();
    Label handler = new Label();
    m.visitTryCatchBlock(start, end, handler, type);
    if (before) {
      m.visitLabel(handler);
    }
    m.visitLabel(start);
    m.visitInsn(Opcodes.NOP);
    m.visitLabel(end);
    if (!before) {
      m.visitLabel(handler);
    }
  }

  @Test
  void arraysAreSmall() {
    refusedBody("array", m -> array(m, Opcodes.T_LONG, 1 << 30));
    refusedBody("array", m -> array(m, Opcodes.T_LONG, -1));
    refusedBody("array", m -> array(m, Opcodes.T_INT, 10));
    refusedBody("array", m -> {
      m.visitVarInsn(Opcodes.ILOAD, 0);
      m.visitIntInsn(Opcodes.NEWARRAY, Opcodes.T_LONG);
    });
    refusedBody("type", m -> {
      m.visitInsn(Opcodes.ICONST_1);
      m.visitTypeInsn(Opcodes.ANEWARRAY, "java/lang/Object");
    });
    refusedBody("array", m -> {
      m.visitInsn(Opcodes.ICONST_1);
      m.visitInsn(Opcodes.ICONST_1);
      m.visitMultiANewArrayInsn("[[J", 2);
    });
  }

  private static void array(MethodVisitor m, int type, int size) {
    m.visitLdcInsn(size);
    m.visitIntInsn(Opcodes.NEWARRAY, type);
  }

  @Test
  void classesHaveTheirFormOnly() {
    refused("method", method(Opcodes.ACC_STATIC, "<clinit>", m -> {}));
    refused("method", method(Opcodes.ACC_PUBLIC, "finalize", m -> {}));
    refused("method", method(Opcodes.ACC_PUBLIC | Opcodes.ACC_STATIC | Opcodes.ACC_SYNCHRONIZED, "func_0", m -> {}));
    refused("version", group(Opcodes.V1_4, "java/lang/Object").toByteArray());
    refused("superclass", group(Opcodes.V11, "java/lang/ClassLoader").toByteArray());
    refused("interface", group(Opcodes.V11, "java/lang/Object", "java/lang/Runnable").toByteArray());
    ClassWriter field = group(Opcodes.V11, "java/lang/Object");
    field.visitField(Opcodes.ACC_STATIC, "kept", "[J", null, null);
    refused("field", field.toByteArray());
    ClassWriter other = new ClassWriter(0);
    other.visit(Opcodes.V11, Opcodes.ACC_FINAL, "dev/instar/backend/wasm/WasmBackend", null, "java/lang/Object", null);
    refused("name", other.toByteArray());
    refused("cannot be read", new byte[] {1, 2, 3});
    refused("cannot be read", new byte[0]);
  }

  @Test
  void namesAreThoseOfCode() {
    byte[] empty = group(Opcodes.V11, "java/lang/Object").toByteArray();
    for (String name : List.of("java/lang/Evil", "dev/instar/Evil", MACHINE + "Evil", MACHINE + "Shaded", MACHINE + "FuncGroup_0/x")) {
      refused("name", with(name, empty), 60);
    }
    Map<String, byte[]> last = new LinkedHashMap<>(SAMPLE.classes());
    byte[] machine = last.remove(Code.MACHINE);
    Map<String, byte[]> first = new LinkedHashMap<>(Map.of(Code.MACHINE, machine));
    first.putAll(last);
    refused("last", new Code(first, Set.of()), 60);
    refused("function 60", new Code(SAMPLE.classes(), Set.of(60)), 60);
    refused("function -1", new Code(SAMPLE.classes(), Set.of(-1)), 60);
  }

  @Test
  void noChangedByteGetsAnythingButARefusal() {
    Random random = new Random(11);
    for (int i = 0; i < 60; i++) {
      Map<String, byte[]> classes = new LinkedHashMap<>(SAMPLE.classes());
      List<String> names = List.copyOf(classes.keySet());
      String name = names.get(random.nextInt(names.size()));
      byte[] changed = classes.get(name).clone();
      for (int n = random.nextInt(5); n >= 0; n--) {
        changed[random.nextInt(changed.length)] = (byte) random.nextInt();
      }
      classes.put(name, changed);
      try {
        CodeCheck.check(new Code(classes, Set.of()), 0, 60);
      } catch (CodeCheck.Refused e) {
        assertTrue(!e.getMessage().isEmpty());
      }
    }
  }
}
