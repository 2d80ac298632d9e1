// Bytes of a .ktap file, the same on every machine: numbers as LEB128 or little-endian by shifts,
// never by copying memory. Private to this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ktap::bytecode {

class Writer {
 public:
  void byte(uint8_t value) { bytes_ += static_cast<char>(value); }
  /// The low `count` bytes, least first.
  void fixed(uint64_t value, int count) {
    for (int i = 0; i < count; ++i) byte(static_cast<uint8_t>(value >> (8 * i)));
  }
  /// LEB128: seven bits a byte, least first, the top bit says that more follow.
  void number(uint64_t value) {
    for (; value >= 0x80; value >>= 7) byte(static_cast<uint8_t>(value | 0x80));
    byte(static_cast<uint8_t>(value));
  }
  /// Zigzag: small numbers of either sign are short.
  void signed_number(int64_t value) {
    const auto bits = static_cast<uint64_t>(value);
    number(value < 0 ? ~(bits << 1) : bits << 1);
  }
  void text(std::string_view value) {
    number(value.size());
    bytes_ += value;
  }
  std::string& bytes() { return bytes_; }

 private:
  std::string bytes_;
};

/// Reads what Writer wrote. Once something is wrong everything reads as 0 or "".
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  uint8_t byte() {
    if (at_ == bytes_.size()) failed_ = true;
    return failed_ ? uint8_t{0} : static_cast<uint8_t>(bytes_[at_++]);
  }
  uint64_t fixed(int count) {
    uint64_t value = 0;
    for (int i = 0; i < count; ++i) value |= uint64_t{byte()} << (8 * i);
    return value;
  }
  uint64_t number() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t next = byte();
      if (shift == 63 && next > 1) break;
      value |= uint64_t{next & 0x7fU} << shift;
      if (next < 0x80) return failed_ ? 0 : value;
    }
    failed_ = true;
    return 0;
  }
  int64_t signed_number() {
    const uint64_t bits = number();
    return static_cast<int64_t>((bits & 1) != 0 ? ~(bits >> 1) : bits >> 1);
  }
  /// A count of things that take at least `least_bytes` each: never more than can follow.
  size_t count(size_t least_bytes) {
    const uint64_t value = number();
    if (value > left() / least_bytes) failed_ = true;
    return failed_ ? 0 : static_cast<size_t>(value);
  }
  std::string_view text() {
    const size_t size = count(1);
    const std::string_view value = bytes_.substr(at_, size);
    at_ += size;
    return value;
  }
  size_t left() const { return bytes_.size() - at_; }
  bool failed() const { return failed_; }
  void fail() { failed_ = true; }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
  bool failed_ = false;
};

/// CRC-32 (IEEE 802.3, reflected, as zlib's and gzip's), bit by bit with no table. `before` is the
/// checksum of the bytes in front of these.
uint32_t crc32(std::string_view bytes, uint32_t before = 0);

}  // namespace ktap::bytecode
