package dev.instar.operations.deploy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.felix.utils.resource.ResourceBuilder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.osgi.resource.Capability;
import org.osgi.resource.Requirement;
import org.osgi.resource.Resource;

class NeedsTest {
  private static Resource resource(String header, String value) throws Exception {
    return ResourceBuilder.build("x", new HashMap<>(Map.of("Bundle-ManifestVersion", "2", "Bundle-SymbolicName", "x", header, value)));
  }

  private static Requirement requirement(String header, String value) throws Exception {
    List<Requirement> all = resource(header, value).getRequirements(null);
    return all.getLast();
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "Import-Package | p;version=\"[1.2,2)\" | package p [1.2.0,2.0.0)", "Import-Package | p | package p", "Import-Package | p;version=1.5 | package p 1.5.0 or later",
      "Import-Package | p;version=\"[1,1]\" | package p [1.0.0,1.0.0]", "Require-Bundle | b;bundle-version=\"[3,4)\" | bundle b [3.0.0,4.0.0)",
      "Require-Capability | thing;filter:=\"(a=1)\" | capability thing (a=1)", "Require-Capability | thing | capability thing"})
  void areToldAsTheirAuthorsWriteThem(String header, String value, String told) throws Exception {
    assertEquals(told, Needs.told(requirement(header, value), List.of()));
  }

  @Test
  void theVersionsThatThereAreAreTold() throws Exception {
    List<Capability> there = resource("Export-Package", "p;version=3,p;version=1.4,q;version=2").getCapabilities(null);
    assertEquals("package p [2.0.0,3.0.0) (the node has 1.4.0, 3.0.0)", Needs.told(requirement("Import-Package", "p;version=\"[2,3)\""), there));
  }

  @Test
  void areMetByVersionAndByWhatIsMandatory() throws Exception {
    Capability exported = resource("Export-Package", "p;version=1.4;x=y;mandatory:=x").getCapabilities("osgi.wiring.package").getFirst();
    assertTrue(Needs.met(requirement("Import-Package", "p;version=\"[1,2)\";x=y"), exported));
    assertFalse(Needs.met(requirement("Import-Package", "p;version=\"[1,2)\""), exported));
    assertFalse(Needs.met(requirement("Import-Package", "p;version=\"[2,3)\";x=y"), exported));
  }

  @Test
  void onlyWhatTheFrameworkResolvesCounts() throws Exception {
    assertTrue(Needs.mandatory(requirement("Import-Package", "p")));
    assertFalse(Needs.mandatory(requirement("Import-Package", "p;resolution:=optional")));
    assertFalse(Needs.mandatory(requirement("DynamicImport-Package", "*")));
    assertFalse(Needs.mandatory(requirement("Require-Capability", "osgi.service;effective:=active;filter:=\"(objectClass=x)\"")));
  }
}
