// Unit test of output/histogram.h: the seeds' pictures byte for byte, and every rule of language
// section 6.
#include "output/histogram.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "runtime/heap.h"

namespace ktap::output {
namespace {

using runtime::Heap;
using runtime::Table;
using runtime::Value;

constexpr const char* kHeader =
    "                          value ------------- Distribution ------------- count\n";

std::string picture(const Table& table, int64_t rows = kDefaultHistogramRows) {
  std::string out;
  std::string error;
  return print_hist(table, rows, out, &error) ? out : "error: " + error;
}

std::string row(std::string_view key, int bar, std::string_view count) {
  return std::string(32 - key.size(), ' ') + std::string(key) + " |" +
         std::string(static_cast<size_t>(bar), '@') +
         std::string(static_cast<size_t>(39 - bar), ' ') + std::string(count) + "\n";
}

class HistogramTest : public ::testing::Test {
 protected:
  Table* table(std::initializer_list<std::pair<const char*, int64_t>> entries) {
    Table* t = heap_.table();
    for (const auto& [key, value] : entries) t->set(heap_.string(key), Value::of(value));
    return t;
  }
  Heap heap_;
};

TEST_F(HistogramTest, ContractPicture) {
  Table* t = table({{"close", 1}, {"write", 30}, {"read", 50}, {"open", 19}});
  EXPECT_EQ(picture(*t),
            "                          value ------------- Distribution ------------- count\n"
            "                            read |@@@@@@@@@@@@@@@@@@@                    50\n"
            "                           write |@@@@@@@@@@@                            30\n"
            "                            open |@@@@@@@                                19\n"
            "                           close |                                       1\n");
}

TEST_F(HistogramTest, ControlBytesOfKeysAreEscapes) {
  Table* t = table({{"a\nb", 1}, {"\x1b[31m", 3}});
  EXPECT_EQ(picture(*t), kHeader + row("\\x1b[31m", 29, "3") + row("a\\nb", 9, "1"));
}

TEST_F(HistogramTest, SeedPicture) {
  // The README of 2013 shows these rows; its `...` row and the total of about 1530 come from two
  // rows unseen.
  Table* t = table({{"sys_enter_rt_sigprocmask", 596},
                    {"sys_enter_select", 179},
                    {"sys_enter_rt_sigaction", 165},
                    {"sys_enter_read", 130},
                    {"sys_enter_write", 129},
                    {"sys_enter_poll", 38},
                    {"sys_enter_lstat64", 36},
                    {"sys_enter_ioctl", 36},
                    {"sys_enter_capget", 31},
                    {"sys_enter_getxattr", 31},
                    {"sys_enter_mmap_pgoff", 28},
                    {"sys_enter_close", 21},
                    {"sys_enter_fstat64", 15},
                    {"sys_enter_open", 15},
                    {"sys_enter_stat64", 12},
                    {"sys_enter_time", 11},
                    {"sys_enter_nanosleep", 10},
                    {"sys_enter_mprotect", 9},
                    {"sys_enter_z", 3}});
  EXPECT_EQ(picture(*t, 18),
            "                          value ------------- Distribution ------------- count\n"
            "        sys_enter_rt_sigprocmask |@@@@@@@@@@@@@@@                        596\n"
            "                sys_enter_select |@@@@                                   179\n"
            "          sys_enter_rt_sigaction |@@@@                                   165\n"
            "                  sys_enter_read |@@@                                    130\n"
            "                 sys_enter_write |@@@                                    129\n"
            "                  sys_enter_poll |                                       38\n"
            "                 sys_enter_ioctl |                                       36\n"
            "               sys_enter_lstat64 |                                       36\n"
            "                sys_enter_capget |                                       31\n"
            "              sys_enter_getxattr |                                       31\n"
            "            sys_enter_mmap_pgoff |                                       28\n"
            "                 sys_enter_close |                                       21\n"
            "               sys_enter_fstat64 |                                       15\n"
            "                  sys_enter_open |                                       15\n"
            "                sys_enter_stat64 |                                       12\n"
            "                  sys_enter_time |                                       11\n"
            "             sys_enter_nanosleep |                                       10\n"
            "              sys_enter_mprotect |                                       9\n"
            "                             ... |\n");
}

TEST_F(HistogramTest, EmptyIsTheHeaderAlone) { EXPECT_EQ(picture(*table({})), kHeader); }

TEST_F(HistogramTest, DefaultIsTwentyRows) {
  Table* t = heap_.table();
  for (int64_t i = 1; i <= 20; ++i) t->set(Value::of(i), Value::of(int64_t{1}));
  EXPECT_EQ(picture(*t).find("..."), std::string::npos);
  t->set(Value::of(int64_t{21}), Value::of(int64_t{1}));
  std::string text = picture(*t);
  EXPECT_EQ(text.substr(text.size() - 35), "                             ... |\n");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 22);
  EXPECT_EQ(text.find(" 21 |"), std::string::npos);  // ties by key: the last one is cut
}

TEST_F(HistogramTest, TopN) {
  Table* t = table({{"a", 1}, {"b", 3}, {"c", 2}});
  EXPECT_EQ(picture(*t, 1), kHeader + row("b", 19, "3") + "                             ... |\n");
  EXPECT_EQ(picture(*t, 0), std::string(kHeader) + "                             ... |\n");
  EXPECT_EQ(picture(*t, -5), std::string(kHeader) + "                             ... |\n");
  EXPECT_EQ(picture(*t, 3).find("..."), std::string::npos);
}

TEST_F(HistogramTest, NegativeValuesAndSums) {
  EXPECT_EQ(picture(*table({{"a", 5}, {"b", -2}})),
            kHeader + row("a", 39, "5") + row("b", 0, "-2"));
  EXPECT_EQ(picture(*table({{"a", 5}, {"b", -5}})), kHeader + row("a", 0, "5") + row("b", 0, "-5"));
  EXPECT_EQ(picture(*table({{"a", 0}})), kHeader + row("a", 0, "0"));
}

TEST_F(HistogramTest, HugeValuesDoNotOverflow) {
  Table* t = table({{"a", INT64_MAX}, {"b", INT64_MAX}});
  EXPECT_EQ(picture(*t),
            kHeader + row("a", 19, "9223372036854775807") + row("b", 19, "9223372036854775807"));
}

TEST_F(HistogramTest, LongKeys) {
  std::string k32(32, 'k');
  std::string k33(33, 'k');
  EXPECT_EQ(histogram_key(heap_.string(k32)), k32);
  EXPECT_EQ(histogram_key(heap_.string(k33)), std::string(28, 'k') + "...");
  Table* t = table({{k33.c_str(), 1}});
  EXPECT_EQ(picture(*t), kHeader + row(std::string(28, 'k') + "...", 39, "1"));
  std::string umlauts;
  for (int i = 0; i < 33; ++i) umlauts += "ä";
  EXPECT_EQ(histogram_key(heap_.string(umlauts)), umlauts.substr(0, 56) + "...");
}

TEST_F(HistogramTest, OtherKeys) {
  Table* t = heap_.table();
  Value parts[] = {heap_.string("bash"), Value::of(int64_t{7})};
  t->set(heap_.tuple(parts, 2), Value::of(int64_t{1}));
  t->set(Value::of(true), Value::of(int64_t{1}));
  t->set(Value::of(int64_t{42}), Value::of(int64_t{1}));
  EXPECT_EQ(picture(*t),
            kHeader + row("42", 13, "1") + row("true", 13, "1") + row("bash, 7", 13, "1"));
}

TEST_F(HistogramTest, Floats) {
  Table* t = table({{"a", 1}});
  t->set(heap_.string("b"), Value::of(2.5));
  EXPECT_EQ(picture(*t), kHeader + row("b", 27, "2.5") + row("a", 11, "1"));
}

TEST_F(HistogramTest, NoNumber) {
  Table* t = table({{"a", 1}});
  t->set(heap_.string("b"), heap_.string("x"));
  EXPECT_EQ(picture(*t), "error: print_hist draws numbers, the value of 'b' is a string");
}

}  // namespace
}  // namespace ktap::output
