package dev.instar.scheduler;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StageEventTest {
  @Test
  void aRecordingHasTheStagesOfEachCall(@TempDir Path dir) throws Exception {
    Path file = dir.resolve("stages.jfr");
    try (Recording recording = new Recording()) {
      Stream.of("Prepare", "Start", "Call", "Reset").forEach(stage -> recording.enable("dev.instar." + stage).withoutThreshold());
      recording.start();
      try (Node node = new Node(ScriptedBackend.inProcess())) {
        node.deploy("demo/f", Node.limits(4));
        node.invoke("demo/f");
        Node.eventually("reset", () -> node.scheduler.desk().idle() == 1);
        node.invoke("demo/f");
      }
      recording.stop();
      recording.dump(file);
    }
    assertTrue(Files.size(file) > 0);
    List<RecordedEvent> events = RecordingFile.readAllEvents(file).stream().filter(e -> e.getEventType().getName().startsWith("dev.instar.")).toList();
    assertEquals(List.of("Prepare", "Start", "Call", "Reset", "Call", "Reset"),
        events.stream().sorted((a, b) -> a.getStartTime().compareTo(b.getStartTime())).map(e -> e.getEventType().getName().substring(11)).toList());
    for (RecordedEvent event : events) {
      assertEquals("demo/f", event.getString("function"));
      assertEquals(1, event.getInt("version"));
      assertEquals("scripted", event.getString("backend"));
    }
    assertEquals(List.of(true, false), events.stream().filter(e -> e.getEventType().getName().endsWith("Call"))
        .sorted((a, b) -> a.getStartTime().compareTo(b.getStartTime())).map(e -> e.getBoolean("cold")).toList());
  }
}
