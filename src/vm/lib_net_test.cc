// Unit test of net: both families, the byte order of the kernel, RFC 5952.
#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "vm/fake_library.h"

namespace ktap::vm {
namespace {

using bytecode::Builtin;
using runtime::Value;
using testing::f;
using testing::i;

class NetTest : public ::testing::Test, protected testing::FakeLibrary {
 protected:
  std::string ip6(std::initializer_list<unsigned> groups) {
    std::string bytes;
    for (unsigned group : groups) {
      bytes += static_cast<char>(group >> 8);
      bytes += static_cast<char>(group & 0xff);
    }
    return call(Builtin::NetIp, {s(bytes)});
  }
  static int64_t be32(const char (&bytes)[5]) {
    uint32_t number = 0;
    std::memcpy(&number, bytes, 4);
    return number;
  }
};

TEST_F(NetTest, Ipv4) {
  int64_t loopback = be32("\x7f\x00\x00\x01");
  EXPECT_EQ(call(Builtin::NetIp, {i(loopback)}), "127.0.0.1");
  EXPECT_EQ(call(Builtin::NetFormatIpAddr, {i(loopback)}), "127.0.0.1");
  EXPECT_EQ(call(Builtin::NetIp, {i(be32("\xc0\xa8\xff\xfe"))}), "192.168.255.254");
  EXPECT_EQ(call(Builtin::NetIp, {i(-1)}), "255.255.255.255");
  EXPECT_EQ(call(Builtin::NetIp, {i(0)}), "0.0.0.0");
  EXPECT_EQ(call(Builtin::NetIp, {s("\x0a\x01\x02\x03")}), "10.1.2.3");
  EXPECT_EQ(call(Builtin::NetIp, {i(int64_t{1} << 32)}),
            "error: argument 1 of 'net.ip' is to be of 32 bits");
  EXPECT_EQ(call(Builtin::NetIp, {i(-2147483649)}),
            "error: argument 1 of 'net.ip' is to be of 32 bits");
  EXPECT_EQ(call(Builtin::NetFormatIpAddr, {s("abcd")}),
            "error: argument 1 of 'net.format_ip_addr' is to be an integer, got a string");
}

TEST_F(NetTest, Ipv6) {
  EXPECT_EQ(ip6({0, 0, 0, 0, 0, 0, 0, 0}), "::");
  EXPECT_EQ(ip6({0, 0, 0, 0, 0, 0, 0, 1}), "::1");
  EXPECT_EQ(ip6({1, 0, 0, 0, 0, 0, 0, 0}), "1::");
  EXPECT_EQ(ip6({0x2001, 0xdb8, 0, 0, 1, 0, 0, 1}), "2001:db8::1:0:0:1");
  EXPECT_EQ(ip6({0x2001, 0xdb8, 0, 1, 1, 1, 1, 1}), "2001:db8:0:1:1:1:1:1");
  EXPECT_EQ(ip6({0x2001, 0, 0, 1, 0, 0, 0, 1}), "2001:0:0:1::1");
  EXPECT_EQ(ip6({0xfe80, 0, 0, 0, 0xABCD, 0, 0, 0x00f0}), "fe80::abcd:0:0:f0");
  EXPECT_EQ(ip6({0, 0, 0, 0, 0, 0xffff, 0x0102, 0x0304}), "::ffff:1.2.3.4");
  EXPECT_EQ(ip6({1, 2, 3, 4, 5, 6, 7, 8}), "1:2:3:4:5:6:7:8");
  EXPECT_EQ(ip6({0, 0, 3, 4, 5, 6, 0, 0}), "::3:4:5:6:0:0");
}

TEST_F(NetTest, IpOfOtherThings) {
  EXPECT_EQ(call(Builtin::NetIp, {s("127.0.0.1")}),
            "error: argument 1 of 'net.ip' is to be a string of 4 or 16 bytes, got one of 9");
  EXPECT_EQ(call(Builtin::NetIp, {Value::nil()}),
            "error: argument 1 of 'net.ip' is to be an integer or a string, got nil");
  EXPECT_EQ(call(Builtin::NetIp, {f(1)}),
            "error: argument 1 of 'net.ip' is to be an integer or a string, got a float");
}

TEST_F(NetTest, Port) {
  uint16_t port = 0;
  std::memcpy(&port, "\x1f\x90", 2);
  EXPECT_EQ(call(Builtin::NetPort, {i(port)}), "8080");
  EXPECT_EQ(call(Builtin::NetPort, {i(-1)}), "65535");
  EXPECT_EQ(call(Builtin::NetPort, {i(0)}), "0");
  EXPECT_EQ(call(Builtin::NetPort, {i(65536)}),
            "error: argument 1 of 'net.port' is to be of 16 bits, got 65536");
}

}  // namespace
}  // namespace ktap::vm
