// Kernel symbols from made-up text, and of the running kernel.
#include "symbol/kallsyms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ktap::symbol {
namespace {

constexpr const char* kText =
    "0000000000000000 A fixed_percpu_data\n"
    "0000000000001000 A cpu_number\n"
    "ffffffff81000000 T _stext\n"
    "ffffffff81000000 t startup\n"
    "ffffffff81000000 T startup_64\n"
    "ffffffff81000100 T vfs_read\n"
    "ffffffff81000200 t helper\n"
    "ffffffff81000300 t helper\n"
    "ffffffff81000400 W vfs_readv\n"
    "ffffffff82000000 D vfs_table\n"
    "junk\n"
    "ffffffff81000500 T\n"
    "\n"
    "ffffffffc0000100 t helper\t[xfs]\n"
    "ffffffffc0000000 t xfs_read\t[xfs]";

TEST(Kallsyms, FindsAllOfAName) {
  const Kallsyms symbols(kText);
  ASSERT_EQ(symbols.find("helper").size(), 3U);
  EXPECT_EQ(symbols.find("helper")[1].address, 0xffffffff81000300U);
  EXPECT_EQ(symbols.find("helper")[2].module, "xfs");
  EXPECT_EQ(symbols.find("vfs_read").size(), 1U);
  EXPECT_EQ(symbols.find("vfs_table")[0].type, 'D');
  EXPECT_EQ(symbols.find("xfs_read").size(), 1U);
  EXPECT_EQ(symbols.find("fixed_percpu_data").size(), 1U);
  for (const char* none : {"vfs_rea", "fs_read", "", "T", "T vfs_read", "[xfs]", "junk"}) {
    EXPECT_TRUE(symbols.find(none).empty()) << none;
  }
}

TEST(Kallsyms, GlobsOverFunctions) {
  const Kallsyms symbols(kText);
  EXPECT_EQ(symbols.glob("vfs_*").size(), 2U);  // no data
  EXPECT_EQ(symbols.glob("helper").size(), 3U);
  EXPECT_EQ(symbols.glob("helper", "").size(), 2U);
  EXPECT_EQ(symbols.glob("*", "x*").size(), 2U);
  EXPECT_EQ(symbols.glob("{vfs_read,xfs_*}").size(), 2U);
  EXPECT_TRUE(symbols.glob("none*").empty());
  EXPECT_EQ(symbols.nearest("vfs_raed", 1), std::vector<std::string>{"vfs_read"});
}

TEST(Kallsyms, AddressToName) {
  const Kallsyms symbols(kText);
  const auto text = [&symbols](uint64_t address) {
    const std::optional<KernelPlace> place = symbols.at(address);
    return place.has_value() ? to_string(*place) : "";
  };
  EXPECT_EQ(text(0xffffffff81000000), "startup_64+0x0");
  EXPECT_EQ(text(0xffffffff810001ff), "vfs_read+0xff");
  EXPECT_EQ(text(0xffffffffc0000012), "xfs_read+0x12 [xfs]");
  EXPECT_EQ(text(0xffffffff80ffffff), "");
  EXPECT_EQ(text(0x1004), "");  // user space, not a per-CPU variable
  EXPECT_EQ(text(UINT64_MAX), "");
  EXPECT_TRUE(symbols.check_addresses().ok());
}

TEST(Kallsyms, HiddenAddresses) {
  const Kallsyms symbols(
      "0000000000000000 T _text\n"
      "0000000000000000 T vfs_read\n");
  EXPECT_EQ(symbols.find("vfs_read").size(), 1U);
  EXPECT_FALSE(symbols.at(0).has_value());
  EXPECT_FALSE(symbols.at(0xffffffff81000000).has_value());
  const Result<void> checked = symbols.check_addresses();
  ASSERT_FALSE(checked.ok());
  EXPECT_THAT(checked.error().message, testing::HasSubstr("kernel.kptr_restrict"));
}

TEST(Kallsyms, NothingInIt) {
  const Kallsyms symbols("");
  EXPECT_TRUE(symbols.find("x").empty());
  EXPECT_TRUE(symbols.glob("*").empty());
  EXPECT_FALSE(symbols.at(UINT64_MAX).has_value());
  EXPECT_FALSE(symbols.check_addresses().ok());
}

TEST(Kallsyms, OfThisKernel) {
  Result<Kallsyms> symbols = Kallsyms::read();
  if (!symbols.ok()) GTEST_SKIP() << symbols.error().message;
  const std::vector<KernelSymbol> found = symbols.value().find("vfs_read");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].is_function());
  EXPECT_GT(symbols.value().glob("vfs_*").size(), 10U);
  if (const Result<void> shown = symbols.value().check_addresses(); !shown.ok()) {
    GTEST_SKIP() << shown.error().message;
  }
  const std::optional<KernelPlace> place = symbols.value().at(found[0].address + 4);
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(to_string(*place), "vfs_read+0x4");
}

}  // namespace
}  // namespace ktap::symbol
