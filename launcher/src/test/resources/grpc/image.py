"""Makes the root of an image of this interpreter and whatever of it the server needs. argv: the directory, the server's file."""
import os
import runpy
import shutil
import sys

root, server = sys.argv[1:]
sys.argv = [server]
runpy.run_path(server)
import stringprep  # for names of hosts, when one is looked up
import encodings.idna

files = {os.path.realpath(sys.executable), server}
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None)
    if file:
        files.add(file)
with open("/proc/self/maps") as maps:
    files.update(line.split(None, 5)[5].strip() for line in maps if "/" in line)
for file in files:
    real = os.path.realpath(file)
    if not os.path.isfile(real):
        continue
    os.makedirs(os.path.dirname(root + real), exist_ok=True)
    shutil.copy(real, root + real)
    # And the names under which others look for it.
    beside = [os.path.join(os.path.dirname(real), name) for name in os.listdir(os.path.dirname(real)) if ".so" in name] if ".so" in real else []
    for name in {file, *beside}:
        if name != real and os.path.realpath(name) == real:
            os.makedirs(os.path.dirname(root + name), exist_ok=True)
            if not os.path.exists(root + name):
                os.symlink(os.path.relpath(root + real, os.path.dirname(root + name)), root + name)
loader = "/lib64/ld-linux-x86-64.so.2"
os.makedirs(root + "/lib64", exist_ok=True)
shutil.copy(os.path.realpath(loader), root + loader)
version = "python%d.%d" % sys.version_info[:2]
os.makedirs(os.path.join(root + sys.base_prefix, "lib", version, "lib-dynload"), exist_ok=True)
print(os.path.realpath(sys.executable))
