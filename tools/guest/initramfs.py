"""The root file system of a guest: a cpio archive (newc) in memory, with the libraries that programs in it need."""
import os
import stat
import struct
from pathlib import Path

# By e_machine: the folder of Debian's libraries, and the cross build (tools/cross) whose libraries are taken.
TRIPLETS = {62: "x86_64-linux-gnu", 183: "aarch64-linux-gnu", 243: "riscv64-linux-gnu"}
FOREIGN = {243: "riscv64"}
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ktap"


class Elf:
    """Just enough of an ELF reader: machine, interpreter, needed libraries. 64-bit little-endian alone."""

    def __init__(self, data):
        if data[:6] != b"\x7fELF\x02\x01":
            raise ValueError("not a 64-bit little-endian ELF file")
        self.machine, = struct.unpack_from("<H", data, 18)
        self.interpreter, self.needed = None, []
        start, = struct.unpack_from("<Q", data, 32)
        size, count = struct.unpack_from("<HH", data, 54)
        loads, dynamic = [], None
        for index in range(count):
            kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", data, start + index * size)
            if kind == 1:
                loads.append((address, offset, length))
            elif kind == 2:
                dynamic = (offset, length)
            elif kind == 3:
                self.interpreter = data[offset:offset + length].rstrip(b"\0").decode()
        if dynamic is None:
            return
        tags = [struct.unpack_from("<QQ", data, dynamic[0] + at) for at in range(0, dynamic[1], 16)]
        strings = next((value for tag, value in tags if tag == 5), None)
        base = next((o + strings - a for a, o, n in loads if strings is not None and a <= strings < a + n), None)
        if base is not None:
            for tag, value in tags:
                if tag == 1:
                    self.needed.append(data[base + value:data.index(b"\0", base + value)].decode())


class Initramfs:
    """Paths of the guest → what stands there. Libraries are this machine's; of another architecture, those that
    tools/cross fetched to link programs with."""

    def __init__(self):
        self.entries = {}
        for folder in ("dev", "proc", "sys", "tmp", "run", "root", "bin", "etc"):
            self.folder(folder)
        self.entries["dev/console"] = (stat.S_IFCHR | 0o600, b"", (5, 1))
        self.entries["dev/null"] = (stat.S_IFCHR | 0o666, b"", (1, 3))
        self.put("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
        self.put("etc/group", b"root:x:0:\n")

    def folder(self, path):
        path = path.strip("/")
        if path and path not in self.entries:
            self.folder(os.path.dirname(path))
            self.entries[path] = (stat.S_IFDIR | 0o755, b"", (0, 0))

    def put(self, path, data, mode=0o644):
        path = path.strip("/")
        self.folder(os.path.dirname(path))
        self.entries[path] = (stat.S_IFREG | mode, data, (0, 0))

    def program(self, host, path):
        """A program under its name in the guest, and the libraries that it needs."""
        data = Path(host).read_bytes()
        self.put(path, data, 0o755)
        self._libraries(data, host)

    def _libraries(self, data, host):
        try:
            elf = Elf(data)
        except (ValueError, struct.error):
            return
        root = f"{CACHE}/cross-{FOREIGN[elf.machine]}/sysroot" if elf.machine in FOREIGN else ""
        if elf.interpreter and elf.interpreter.strip("/") not in self.entries:
            self.put(elf.interpreter, Path(root + elf.interpreter).read_bytes(), 0o755)
        triplet = TRIPLETS.get(elf.machine, "")
        for name in elf.needed:
            places = [f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib", "/usr/lib", "/lib64"]
            if any(f"{place}/{name}".strip("/") in self.entries for place in places):
                continue
            found = next((f"{place}/{name}" for place in places if os.path.isfile(f"{root}{place}/{name}")), None)
            if found is None:
                raise FileNotFoundError(f"{host} needs {name}, which is not on this machine")
            library = Path(root + found).read_bytes()
            self.put(found, library, 0o755)
            self._libraries(library, found)

    def archive(self):
        parts = []
        for number, (path, (mode, data, device)) in enumerate(
                sorted(self.entries.items()) + [("TRAILER!!!", (0, b"", (0, 0)))], 1):
            name = path.encode() + b"\0"
            head = b"070701" + b"".join(b"%08X" % value for value in (
                number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0))
            parts += [head, name, b"\0" * (-(len(head) + len(name)) % 4), data, b"\0" * (-len(data) % 4)]
        return b"".join(parts)
