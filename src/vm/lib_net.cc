// Library: net. Addresses and ports as the kernel keeps them, in network byte order: an integer
// that was read from a __be32 or a __be16, or the bytes themselves.
#include <array>
#include <cstdint>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include "runtime/string.h"
#include "vm/library.h"

namespace ktap::vm {

using runtime::Type;
using runtime::Value;

namespace {

constexpr size_t kIpv4Bytes = 4;
constexpr size_t kIpv6Bytes = 16;
constexpr size_t kGroups = kIpv6Bytes / 2;

std::string ipv4_text(const unsigned char* bytes) {
  return fmt::format("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]);
}

/// RFC 5952: lower case, no leading zeros, `::` for the longest run of zeros (the first of equals,
/// of two groups at least), and an IPv4 address in its own form behind ::ffff:.
std::string ipv6_text(const unsigned char* bytes) {
  std::array<unsigned, kGroups> groups{};
  for (size_t i = 0; i < kGroups; ++i) groups[i] = bytes[2 * i] * 256u + bytes[2 * i + 1];
  size_t zeros_begin = kGroups;
  size_t zeros = 1;
  for (size_t begin = 0; begin < kGroups; ++begin) {
    size_t end = begin;
    while (end < kGroups && groups[end] == 0) ++end;
    if (end - begin <= zeros) continue;
    zeros_begin = begin;
    zeros = end - begin;
  }
  if (zeros_begin == 0 && zeros == 5 && groups[5] == 0xffff) {
    return "::ffff:" + ipv4_text(bytes + 12);
  }
  std::string out;
  for (size_t i = 0; i < kGroups; ++i) {
    if (i == zeros_begin) {
      out += "::";
      i += zeros - 1;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ':';
    fmt::format_to(std::back_inserter(out), "{:x}", groups[i]);
  }
  return out;
}

/// The integer as the `Size` bytes of memory that it was read from; false and a run-time error when
/// it has more. A sign is what a signed type of that size reads.
template <size_t Size>
bool memory_arg(NativeCall& call, std::string_view function, std::array<unsigned char, Size>* out) {
  constexpr int64_t kEnd = int64_t{1} << (8 * Size);
  int64_t number = 0;
  if (!call.integer_arg(function, 0, &number)) return false;
  if (number < -kEnd / 2 || number >= kEnd) {
    if (Size == sizeof(uint16_t)) return call.wrong_value(function, 0, "of 16 bits");
    // Not which one: a handler in the kernel says the same.
    return call.machine.fail(fmt::format("argument 1 of '{}' is to be of 32 bits", function));
  }
  if constexpr (Size == sizeof(uint16_t)) {
    auto value = static_cast<uint16_t>(number);
    std::memcpy(out->data(), &value, Size);
  } else {
    auto value = static_cast<uint32_t>(number);
    std::memcpy(out->data(), &value, Size);
  }
  return true;
}

bool give_ipv4(NativeCall& call, std::string_view function) {
  std::array<unsigned char, kIpv4Bytes> bytes{};
  return memory_arg(call, function, &bytes) && call.give(ipv4_text(bytes.data()));
}

}  // namespace

namespace lib {

bool NetIp(NativeCall& call) {
  Value address = call.arg(0);
  if (address.type == Type::String) {
    std::string_view text = address.string()->view();
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    if (text.size() == kIpv4Bytes) return call.give(ipv4_text(bytes));
    if (text.size() == kIpv6Bytes) return call.give(ipv6_text(bytes));
    return call.machine.fail(fmt::format(
        "argument 1 of 'net.ip' is to be a string of 4 or 16 bytes, got one of {}", text.size()));
  }
  if (!address.is_integer()) return call.wrong("net.ip", 0, "an integer or a string");
  return give_ipv4(call, "net.ip");
}

bool NetFormatIpAddr(NativeCall& call) { return give_ipv4(call, "net.format_ip_addr"); }

bool NetPort(NativeCall& call) {
  std::array<unsigned char, sizeof(uint16_t)> bytes{};
  if (!memory_arg(call, "net.port", &bytes)) return false;
  return call.give(Value::of(int64_t{bytes[0] * 256 + bytes[1]}));
}

}  // namespace lib
}  // namespace ktap::vm
