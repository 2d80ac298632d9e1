"""What QEMU boots fastest of a kernel package's vmlinuz, unpacked once and kept beside it.

x86: the ELF kernel inside the bzImage, which starts by PVH: no decompressor and no real mode, both slow under
emulation. arm64: the plain image inside newer kernels' EFI program, which QEMU before 8.1 cannot load.
"""
import gzip
import lzma
import os
import shutil
import struct
import subprocess
import zlib

PVH_NOTE = 18  # XEN_ELFNOTE_PHYS32_ENTRY


def unpack(kind, data):
    """The bytes, or None without the tool. What stands behind the end of the compressed part is left alone."""
    if kind == "gzip":
        return zlib.decompressobj(31).decompress(data)
    if kind.startswith("xz"):
        return lzma.LZMADecompressor().decompress(data)
    tool = {"zstd": "zstd", "zstd22": "zstd", "lz4": "lz4"}.get(kind)
    if not tool or not shutil.which(tool):
        return None
    return subprocess.run([tool, "-dcq"], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=False).stdout or None


def vmlinux_of(data):
    """The ELF kernel inside a bzImage, or None."""
    if data[0x202:0x206] != b"HdrS":
        return None
    setup_sectors = (data[0x1f1] or 4) + 1
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = setup_sectors * 512 + offset
    payload = data[start:start + length - 4]  # the last word is the size
    kind = {b"\x1f\x8b": "gzip", b"\xfd7": "xz", b"\x28\xb5": "zstd", b"\x02\x21": "lz4"}.get(payload[:2])
    kernel = unpack(kind, payload) if kind else None
    return kernel if kernel and kernel[:4] == b"\x7fELF" and has_pvh_entry(kernel) else None


def has_pvh_entry(elf):
    start, = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    for index in range(count):
        kind, _, at, _, _, length = struct.unpack_from("<IIQQQQ", elf, start + index * size)
        end = at + length
        while kind == 4 and at + 12 <= end:
            name_size, content_size, note = struct.unpack_from("<III", elf, at)
            if note == PVH_NOTE and elf[at + 12:at + 16] == b"Xen\0":
                return True
            at += 12 + (name_size + 3 & ~3) + (content_size + 3 & ~3)
    return False


def zboot_payload(data):
    """The plain image inside an EFI program that unpacks itself, or None."""
    if data[:2] != b"MZ" or data[4:8] != b"zimg":
        return None
    offset, size = struct.unpack_from("<II", data, 8)
    return unpack(data[24:56].split(b"\0")[0].decode(), data[offset:offset + size])


def boot_image(vmlinuz):
    """(file for QEMU, whether it is an ELF kernel for PVH)."""
    unpacked = vmlinuz.with_name("unpacked")
    if not unpacked.exists():
        data = vmlinuz.read_bytes()
        image = vmlinux_of(data) or zboot_payload(data)
        if image is None and data[:2] == b"\x1f\x8b":
            image = gzip.decompress(data)
        if image is None:
            return vmlinuz, False
        part = unpacked.with_name(f"unpacked.{os.getpid()}")
        part.write_bytes(image)
        part.rename(unpacked)
    with open(unpacked, "rb") as file:
        return unpacked, file.read(4) == b"\x7fELF"
