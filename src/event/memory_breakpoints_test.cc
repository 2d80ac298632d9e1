// Each part of the text, given and left out, and each mistake in it.
#include "event/memory_breakpoints.h"

#include <gtest/gtest.h>
#include <linux/hw_breakpoint.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "event/provider.h"

extern "C" {
__attribute__((used)) volatile long ktap_test_watched;
}

namespace ktap::event {
namespace {

TEST(MemoryBreakpoint, Parts) {
  const MemoryPlace plain = parse_memory_place("jiffies");
  EXPECT_EQ(plain.error, "");
  EXPECT_EQ(plain.symbol, "jiffies");
  EXPECT_EQ(plain.length_bytes, sizeof(long));
  EXPECT_EQ(plain.access, uint32_t{HW_BREAKPOINT_W});
  const MemoryPlace full = parse_memory_place("0x1000/4:rw");
  EXPECT_EQ(full.symbol, "");
  EXPECT_EQ(full.address, 0x1000U);
  EXPECT_EQ(full.length_bytes, 4U);
  EXPECT_EQ(full.access, uint32_t{HW_BREAKPOINT_RW});
  EXPECT_EQ(parse_memory_place("0xffffffff81000000:x").access, uint32_t{HW_BREAKPOINT_X});
}

struct Variable {
  const char* text;
  const char* program;
  const char* symbol;
  uint32_t length_bytes;
  uint32_t access;
};

TEST(MemoryBreakpoint, VariablesOfPrograms) {
  for (const Variable& v : std::vector<Variable>{
           {"./prog:count", "./prog", "count", 0, HW_BREAKPOINT_W},
           {"./prog:w", "./prog", "w", 0, HW_BREAKPOINT_W},
           {"./prog:w:rw", "./prog", "w", 0, HW_BREAKPOINT_RW},
           {"/a/b 1/p:v/2:rw", "/a/b 1/p", "v", 2, HW_BREAKPOINT_RW},
           {"prog:count/4", "prog", "count", 4, HW_BREAKPOINT_W},
           {"prog:w:w", "prog", "w", 0, HW_BREAKPOINT_W},
           {"./a:b:c", "./a:b", "c", 0, HW_BREAKPOINT_W},
           {"./prog:ns::Pool::size/8", "./prog", "ns::Pool::size", 8, HW_BREAKPOINT_W},
           {"prog:f:x", "prog", "f", sizeof(long), HW_BREAKPOINT_X}}) {
    const MemoryPlace place = parse_memory_place(v.text);
    EXPECT_EQ(place.error, "") << v.text;
    EXPECT_EQ(place.program, v.program) << v.text;
    EXPECT_EQ(place.symbol, v.symbol) << v.text;
    EXPECT_EQ(place.length_bytes, v.length_bytes) << v.text;
    EXPECT_EQ(place.access, v.access) << v.text;
  }
  for (const char* text : {"./prog", "./prog:", ":count", "./prog:v/3"})
    EXPECT_NE(parse_memory_place(text).error, "") << text;
}

TEST(MemoryBreakpoint, Mistakes) {
  for (const char* text : {"", "0x", "0x12g", "0x1000/3", "0x1000/", "a:", "a:wx", "a:ww", "0x10:z",
                           "a/4:x", ":w", "0x11112222333344445"}) {
    EXPECT_NE(parse_memory_place(text).error, "") << text;
  }
}

/// A variable of the process that is traced, by its name and by its address, is one place.
TEST(MemoryBreakpoints, AVariableAndItsAddress) {
  const std::unique_ptr<Provider> provider = memory_breakpoints();
  provider->set_target(getpid());
  std::ostringstream address;
  address << "0x" << std::hex << reinterpret_cast<uintptr_t>(&ktap_test_watched);
  const auto count = [&](const std::vector<std::string>& names) {
    Matches matches;
    for (const std::string& name : names) provider->include({"mem:" + name, false, 0}, &matches);
    for (const Mistake& mistake : matches.mistakes) ADD_FAILURE() << mistake.text;
    return matches.events.size();
  };
  const std::string name = "/proc/self/exe:ktap_test_watched";
  EXPECT_EQ(count({name, address.str()}), 1U);
  EXPECT_EQ(count({address.str(), name + ":w", name}), 1U);
  EXPECT_EQ(count({name, address.str() + ":rw"}), 2U);
}

}  // namespace
}  // namespace ktap::event
