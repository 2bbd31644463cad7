package dev.instar.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.instar.api.ErrorCode;
import dev.instar.api.InstarException;
import dev.instar.api.Problem;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GrpcStatusTest {
  private static int status(ErrorCode code) {
    return GrpcStatus.of(Problem.of(code, ""));
  }

  @Test
  void onlyWhatHasNotRunIsWorthATryOfTheClientsOwn() {
    for (ErrorCode code : ErrorCode.values()) {
      boolean again = code.status() == 503 || code.status() == 429 || code == ErrorCode.PORT_NOT_OPENED;
      assertEquals(again, status(code) == GrpcStatus.UNAVAILABLE, code.code());
    }
  }

  @ParameterizedTest
  @CsvSource({"TIMED_OUT,4", "RAN_TOO_LONG,4", "OUT_OF_MEMORY,8", "OUTPUT_TOO_LARGE,8", "TOO_LARGE,8", "SANDBOX_CRASHED,13", "INTERNAL,13", "FUNCTION_NOT_FOUND,12", "GRPC_UNSUPPORTED,12",
      "BAD_NAME,3", "UNAUTHENTICATED,16", "FORBIDDEN,7", "MODULE_REFUSED,9", "CALLER_GONE,1", "FUNCTION_FAILED,2"})
  void codesHaveTheirStatus(ErrorCode code, int status) {
    assertEquals(status, status(code));
  }

  @ParameterizedTest
  @CsvSource({"400,13", "401,16", "403,7", "404,12", "429,14", "502,14", "503,14", "504,14", "500,2", "200,2"})
  void aServerThatIsNoneOfGrpcIsToldAsClientsMapIt(int http, int status) {
    assertEquals(status, GrpcStatus.of(Problem.of(ErrorCode.FUNCTION_FAILED, "", Map.of("status", http))));
  }

  @Test
  void messagesAreOneLineOfAscii() {
    assertEquals("100%25 %C3%B6l%0D%0Agrpc-status: 0%7F", GrpcStatus.message("100% öl\r\ngrpc-status: 0\u007f"));
  }

  @ParameterizedTest
  @CsvSource({"1H,PT1H", "2M,PT2M", "3S,PT3S", "4m,PT0.004S", "5u,PT0.000005S", "6n,PT0.000000006S", "99999999H,PT99999999H", "0n,PT0S"})
  void timesAreRead(String text, Duration time) {
    assertEquals(time, GrpcStatus.timeout(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "S", "1", "1s", "-1S", "1.5S", "123456789n", "1S ", "١S"})
  void whatIsNoTimeIsRefused(String text) {
    assertEquals(ErrorCode.BAD_REQUEST, assertThrows(InstarException.class, () -> GrpcStatus.timeout(text)).code());
  }

  @Test
  void gRpcIsAPostOfItsMediaType() {
    for (String type : new String[] {"application/grpc", "application/grpc+proto", "application/grpc;charset=x"}) {
      assertTrue(GrpcAnswer.isFor("POST", type), type);
    }
    for (String type : new String[] {null, "", "application/grpc-web", "application/grpc-web+proto", "application/grpcx", "application/json"}) {
      assertFalse(GrpcAnswer.isFor("POST", type), type);
    }
    assertFalse(GrpcAnswer.isFor("GET", "application/grpc"));
  }
}
