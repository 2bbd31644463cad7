package dev.instar.launcher.reports;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TestReportTest {
  private static final String PASSED = "<testcase name='a' classname='T' time='0'/>";
  private static final String FAILED = "<testcase name='b' classname='T'><failure message='no'>x &lt; y</failure></testcase>";
  private static final String THREW = "<testcase name='c' classname='T'><error message='boom'/></testcase>";
  private static final String WANTS_KVM = "<testcase name='d' classname='T'><skipped message='capability kvm is missing: /dev/kvm is not there; remedy: load the module kvm'/></testcase>";
  private static final String WANTS_CURL = "<testcase name='e' classname='T'><skipped message='capability curl is missing: it is not on the PATH; remedy: apt-get install curl'/></testcase>";
  private static final String DISABLED = "<testcase name='f' classname='T'><skipped message='for now'/></testcase>";

  @TempDir
  Path root;

  @Test
  void countsTheCasesOfAllModules() throws IOException {
    report("a", "surefire-reports/TEST-A.xml", PASSED, FAILED, WANTS_KVM);
    report("bundles/b", "surefire-reports/TEST-B.xml", PASSED, PASSED, THREW);
    report("bundles/c", "test-reports/itest/TEST-C.xml", PASSED);
    TestReport all = TestReport.read(TestReport.reports(root));
    assertEquals(4, all.passed());
    assertEquals(1, all.failures());
    assertEquals(1, all.errors());
    assertEquals(1, all.skips().size());
    assertEquals(7, all.run());
    assertEquals(List.of("T.b", "T.c"), all.broken().stream().sorted().toList());
  }

  @Test
  void leavesOtherFilesAlone() throws IOException {
    report("a", "surefire-reports/testng-results.xml", PASSED);
    report("a", "classes/surefire-reports/TEST-copied.xml", PASSED);
    Path resource = Files.createDirectories(root.resolve("a/src/test/resources/surefire-reports")).resolve("TEST-sample.xml");
    Files.writeString(resource, "<testsuite>" + PASSED + "</testsuite>");
    assertEquals(List.of(), TestReport.reports(root));
  }

  @Test
  void endsWithTheTotalsAndTheSkipsByKind() throws IOException {
    report("a", "surefire-reports/TEST-A.xml", PASSED, WANTS_KVM, WANTS_CURL, WANTS_CURL, DISABLED);
    Said said = conclude(0, false);
    List<String> lines = said.text.lines().toList();
    assertEquals("Tests run: 5, Failures: 0, Errors: 0, Skipped: 4", lines.get(lines.size() - 2));
    assertEquals("Skips: no capability named 1, curl 2, kvm 1", lines.getLast());
    assertTrue(said.text.contains("Skipped for want of 'curl', 2 tests: it is not on the PATH"), said.text);
    assertTrue(said.text.contains("  Remedy: apt-get install curl"), said.text);
    assertTrue(said.text.contains("Skipped, no capability named: T.f: for now"), said.text);
    assertEquals(0, said.code, "outside of CI a skip is no failure");
  }

  @Test
  void saysThatNothingWasSkipped() throws IOException {
    report("a", "surefire-reports/TEST-A.xml", PASSED);
    assertEquals("Skips: none", conclude(0, true).text.lines().toList().getLast());
  }

  @Test
  void inCiASkipIsForgivenOnlyWhereTheHostMustGiveWhatIsMissing() throws IOException {
    report("a", "surefire-reports/TEST-A.xml", PASSED, WANTS_KVM);
    assertEquals(0, conclude(0, true).code);
    report("b", "surefire-reports/TEST-B.xml", WANTS_CURL);
    Said said = conclude(0, true);
    assertEquals(1, said.code);
    assertTrue(said.text.contains("'curl', which is not in cnf/host-capabilities"), said.text);
  }

  @Test
  void inCiASkipWithoutACapabilityFails() throws IOException {
    report("a", "surefire-reports/TEST-A.xml", PASSED, DISABLED);
    assertEquals(1, conclude(0, true).code);
    assertEquals(0, conclude(0, false).code);
  }

  @Test
  void failsWithTheBuildOrAFailureOrNoTestAtAll() throws IOException {
    assertEquals(1, conclude(0, false).code, "nothing has run");
    report("a", "surefire-reports/TEST-A.xml", PASSED);
    assertEquals(0, conclude(0, false).code);
    assertEquals(1, conclude(1, false).code, "the build broke");
    report("b", "surefire-reports/TEST-B.xml", FAILED);
    assertEquals(1, conclude(0, false).code, "a test failed");
  }

  @Test
  void aReportThatIsCutOffIsAnError() throws IOException {
    Path file = Files.createDirectories(root.resolve("a/target/surefire-reports")).resolve("TEST-A.xml");
    Files.writeString(file, "<testsuite>" + PASSED + "<testcase name='b'");
    TestReport report = TestReport.read(List.of(file));
    assertEquals(1, report.errors());
    assertTrue(report.broken().getFirst().contains("TEST-A.xml"), report.broken()::toString);
  }

  @Test
  void readsTheReasonAlsoFromTheText() throws IOException {
    report("a", "surefire-reports/TEST-A.xml", "<testcase name='a' classname='T'><skipped><![CDATA[capability kvm is missing: no\n/dev/kvm; remedy: a & b]]></skipped></testcase>");
    TestReport.Skip skip = TestReport.read(TestReport.reports(root)).skips().getFirst();
    assertEquals("kvm", skip.capability().orElseThrow());
    assertEquals("no\n/dev/kvm", skip.reason());
    assertEquals("a & b", skip.remedy());
  }

  private record Said(int code, String text) {}

  private Said conclude(int build, boolean strict) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    int code = TestReport.read(TestReport.reports(root)).conclude(new PrintStream(out, true, StandardCharsets.UTF_8), build, strict, Set.of("kvm"));
    return new Said(code, out.toString(StandardCharsets.UTF_8));
  }

  private void report(String module, String file, String... cases) throws IOException {
    Path path = root.resolve(module).resolve("target").resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, "<?xml version='1.0'?><testsuite><properties><property name='x' value='y'/></properties>" + String.join("", cases) + "</testsuite>");
  }
}
