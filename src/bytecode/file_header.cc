// Header and checksum of a .ktap file.
#include "bytecode/file_header.h"

#include "bytecode/wire.h"

namespace ktap::bytecode {

namespace {

constexpr size_t kSizeAt = 12;
constexpr size_t kChecksumAt = 16;

}  // namespace

uint32_t crc32(std::string_view bytes, uint32_t before) {
  constexpr uint32_t kPolynomial = 0xedb88320;
  uint32_t crc = ~before;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
  }
  return ~crc;
}

bool is_compiled(std::string_view bytes) { return bytes.substr(0, kMagic.size()) == kMagic; }

FileHeader read_header(std::string_view bytes) {
  Reader reader(bytes.substr(kMagic.size(), kFileHeaderBytes - kMagic.size()));
  FileHeader header{};
  header.version = static_cast<uint16_t>(reader.fixed(2));
  header.flags = static_cast<uint16_t>(reader.fixed(2));
  header.size_bytes = static_cast<uint32_t>(reader.fixed(4));
  header.checksum = static_cast<uint32_t>(reader.fixed(4));
  return header;
}

uint32_t file_checksum(std::string_view bytes) {
  const uint32_t head = crc32(bytes.substr(kMagic.size(), kChecksumAt - kMagic.size()));
  return crc32(bytes.substr(kFileHeaderBytes), head);
}

void mend_header(std::string& bytes) {
  if (bytes.size() < kFileHeaderBytes) return;
  const auto put = [&bytes](size_t at, uint32_t value) {
    for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
  };
  put(kSizeAt, static_cast<uint32_t>(bytes.size() - kFileHeaderBytes));
  put(kChecksumAt, file_checksum(bytes));
}

}  // namespace ktap::bytecode
