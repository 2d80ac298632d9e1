// Unit test of output/histogram.h: the seeds' pictures byte for byte, and every rule of language
// section 6.
#include "output/histogram.h"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "runtime/aggregate.h"
#include "runtime/heap.h"
#include "runtime/histogram.h"

namespace ktap::output {
namespace {

using runtime::Heap;
using runtime::Table;
using runtime::Value;

constexpr const char* kHeader =
    "                          value ------------- Distribution ------------- count\n";

std::string picture(const Table& table, std::optional<int64_t> rows = std::nullopt) {
  std::string out;
  std::string error;
  return print_hist(table, rows, out, &error) ? out : "error: " + error;
}

std::string row(std::string_view key, int bar, std::string_view count) {
  bar = std::min(bar, 38);
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
  EXPECT_EQ(picture(*t),
            "error: print_hist draws numbers or aggregates, the value of 'b' is a string");
}

class DistributionTest : public HistogramTest {
 protected:
  Value sampled(std::initializer_list<int64_t> samples) {
    runtime::Aggregate* aggregate = heap_.aggregate();
    for (int64_t sample : samples) aggregate->add(sample, {});
    return Value::of_object(runtime::Type::Aggregate, aggregate);
  }
};

TEST_F(DistributionTest, OneAKeyInTheOrderOfTheKeys) {
  Table* t = heap_.table();
  t->set(heap_.string("b"), sampled({1}));
  t->set(heap_.string("a\n"), sampled({}));
  t->set(Value::of(int64_t{7}), sampled({5, 6}));
  EXPECT_EQ(picture(*t), std::string("7\n") + kHeader + row("[4, 8)", 39, "2") + "a\\n\n" +
                             kHeader + "b\n" + kHeader + row("[1, 2)", 39, "1"));
  EXPECT_EQ(picture(*t, 1), std::string("7\n") + kHeader + row("[4, 8)", 39, "2") + "...\n");
  EXPECT_EQ(picture(*t, 0), "...\n");
  EXPECT_EQ(picture(*t, 3).find("...\n"), std::string::npos);
}

TEST_F(DistributionTest, LongTitlesAreNotCut) {
  Table* t = heap_.table();
  t->set(heap_.string(std::string(50, 'k')), sampled({}));
  EXPECT_EQ(picture(*t), std::string(50, 'k') + "\n" + kHeader);
}

TEST_F(DistributionTest, HistogramsToo) {
  Table* t = heap_.table();
  t->set(heap_.string("h"), Value::of_object(runtime::Type::Histogram,
                                             heap_.histogram(sampled({0}).aggregate()->pow2())));
  EXPECT_EQ(picture(*t), std::string("h\n") + kHeader + row("0", 39, "1"));
}

TEST_F(DistributionTest, NoMixWithNumbers) {
  Table* t = table({{"a", 1}});
  t->set(heap_.string("b"), sampled({1}));
  EXPECT_EQ(picture(*t),
            "error: print_hist draws numbers or aggregates, not both: the value of 'a' is an "
            "integer, that of 'b' is an aggregate");
  Table* other = heap_.table();
  other->set(heap_.string("a"), sampled({1}));
  other->set(heap_.string("b"), heap_.string("x"));
  EXPECT_EQ(picture(*other),
            "error: print_hist draws numbers or aggregates, the value of 'b' is a string");
}

TEST_F(DistributionTest, NeitherOfBoth) {
  std::string out;
  EXPECT_FALSE(print_distribution(Value::of(int64_t{1}), out));
  EXPECT_TRUE(print_distribution(sampled({3}), out));
  EXPECT_EQ(out, kHeader + row("[2, 4)", 39, "1"));
}

}  // namespace
}  // namespace ktap::output
