package dev.instar.scheduler;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
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
      Stream.of("Prepare", "Start", "Call", "Reset", "Checkpoint").forEach(stage -> recording.enable("dev.instar." + stage).withoutThreshold());
      recording.start();
      ScriptedBackend backend = ScriptedBackend.inProcess();
      backend.onCheckpoint = request -> {};
      try (Node node = new Node(Node.settings("idleReplaced", Duration.ofMillis(20)), backend)) {
        node.deploy("demo/f", "calls:2");
        node.invoke("demo/f");
        Node.eventually("reset", () -> node.scheduler.desk().idle() == 1);
        node.invoke("demo/f");
        Node.eventually("reset", () -> node.scheduler.desk().idle() == 1 && backend.resets.get() == 2);
        Node.eventually("stored", () -> !backend.checkpoints.isEmpty());
      }
      recording.stop();
      recording.dump(file);
    }
    assertTrue(Files.size(file) > 0);
    List<RecordedEvent> events = RecordingFile.readAllEvents(file).stream().filter(e -> e.getEventType().getName().startsWith("dev.instar.")).toList();
    assertEquals(List.of("Prepare", "Start", "Call", "Reset", "Call", "Reset", "Checkpoint"),
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
