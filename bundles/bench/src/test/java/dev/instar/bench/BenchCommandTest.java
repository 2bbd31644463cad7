package dev.instar.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

class BenchCommandTest {
  private final StringWriter err = new StringWriter();
  private final StringWriter out = new StringWriter();

  private int bench(String arguments) {
    CommandLine line = BenchCommand.commandLine();
    line.setErr(new PrintWriter(err, true));
    line.setOut(new PrintWriter(out, true));
    return line.execute(arguments.isEmpty() ? new String[0] : arguments.split(" "));
  }

  @ParameterizedTest
  @CsvSource(quoteCharacter = '\'', value = {
      "--seconds 0, '--seconds is 0; give 1 to 3600'",
      "--seconds x, 'for option ''--seconds'''",
      "--rounds -1, '--rounds is -1; give 1 to 1000'",
      "--connections 1001, '--connections is 1001; give 1 to 1000'",
      "--against nginx, '''nginx'' is none of jetty, jetty-virtual, workerd'",
      "--node localhost:8080, '--node is ''localhost:8080''; give a URL such as http://127.0.0.1:8080'",
      "--node https://127.0.0.1:8080, 'give a URL such as'",
      "-o xml, 'expected one of [TEXT, JSON]'",
      "--fast, 'Unknown option: ''--fast'''",
      "quickly, 'Unmatched argument at index 0: ''quickly'''"})
  void wrongUsageIsOneLineAndAHint(String arguments, String says) {
    assertEquals(2, bench(arguments), err::toString);
    assertTrue(err.toString().contains(says), err::toString);
    assertTrue(err.toString().matches("instar: [^\n]+\\.\nSee 'instar bench --help'\\.\n"), err::toString);
  }

  @ParameterizedTest
  @CsvSource(quoteCharacter = '\'', value = {
      "--rate 0, '--rate is 0; give 1 to 1000000'",
      "--rate half, 'for option ''--rate'''",
      "--parts gateway;network, '--parts network needs --containers'",
      "--parts engine, '--parts engine needs --wasmtime'",
      "--parts listener, '''listener'' is none of backend-wasm, scheduler,'",
      "--wasmtime /no/such/file, '--wasmtime is /no/such/file, which is no file'"})
  void wrongUsageOfSwapsSaysWhatIsWrong(String arguments, String says) {
    assertEquals(2, bench("swaps " + arguments.replace(';', ',')), err::toString);
    assertTrue(err.toString().contains(says), err::toString);
  }

  @Test
  void helpNamesTheOptions() {
    assertEquals(0, bench("--help"));
    for (String option : new String[] {"--seconds", "--rounds", "--connections", "--against", "--node", "-o"}) {
      assertTrue(out.toString().contains(option), out::toString);
    }
  }
}
