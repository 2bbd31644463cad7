#!/usr/bin/env python3
"""Makes one executable file of a function: python3 bundle.py FUNCTION.py [MODULE.py ...] OUTPUT

The file is a zip archive behind a '#!' line (the standard zipapp format, PEP 441) with the function as its __main__.py, instar_guest.py, and the
other modules given. The same sources give the same bytes.
"""
import os
import sys
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))


def bundle(function, modules, output):
    sources = {"__main__.py": function, "instar_guest.py": os.path.join(HERE, "instar_guest.py")}
    sources.update((os.path.basename(module), module) for module in modules)
    with open(output, "wb") as out:
        out.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(out, "w") as archive:
            for name in sorted(sources):
                with open(sources[name], "rb") as source:
                    archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), source.read())
    os.chmod(output, 0o755)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    bundle(sys.argv[1], sys.argv[2:-1], sys.argv[-1])
