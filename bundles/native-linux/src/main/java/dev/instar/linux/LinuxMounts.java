package dev.instar.linux;

import com.sun.jna.LastErrorException;
import com.sun.jna.NativeLong;
import dev.instar.api.host.LinuxException;
import dev.instar.api.host.Mounts;
import java.nio.file.Path;
import org.osgi.service.component.annotations.Component;

/** {@link Mounts}. */
@Component
public final class LinuxMounts implements Mounts {
  @Override
  public void mount(String source, Path target, String type, long flags, String options) throws LinuxException {
    try {
      LibC.mount(source, target.toString(), type.isEmpty() ? null : type, new NativeLong(flags), options.isEmpty() ? null : options);
    } catch (LastErrorException e) {
      throw LibC.failure("mount " + source + " at " + target, e);
    }
  }

  @Override
  public void unmount(Path target, int flags) throws LinuxException {
    try {
      LibC.umount2(target.toString(), flags);
    } catch (LastErrorException e) {
      throw LibC.failure("unmount " + target, e);
    }
  }
}
