// Unit test of output/heatmap.h: columns, rows, steps of colour, both forms.
#include "output/heatmap.h"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/aggregate.h"
#include "runtime/heap.h"
#include "runtime/histogram.h"

namespace ktap::output {
namespace {

using runtime::Distribution;
using runtime::Heap;
using runtime::Table;
using runtime::Value;
using ::testing::HasSubstr;

class HeatMapTest : public ::testing::Test {
 protected:
  void add(int64_t slot, int64_t sample, int times = 1) {
    Value cell = table_->get_integer(slot);
    if (cell.is_nil()) {
      cell = Value::of_object(runtime::Type::Aggregate, heap_.aggregate());
      table_->set(Value::of(slot), cell);
    }
    for (int i = 0; i < times; ++i) cell.aggregate()->add(sample, needs_);
  }
  HeatMap map(size_t columns = kHeatMapTextColumns, size_t rows = kHeatMapTextRows) {
    HeatMap made;
    std::string error;
    EXPECT_TRUE(read_heatmap(*table_, columns, rows, &made, &error)) << error;
    return made;
  }
  std::string refusal() {
    HeatMap made;
    std::string error;
    EXPECT_FALSE(read_heatmap(*table_, 64, 48, &made, &error));
    return error;
  }

  Heap heap_;
  runtime::ReaderNeeds needs_;
  Table* table_ = heap_.table();
};

TEST_F(HeatMapTest, AColumnASlotARowABucket) {
  add(10, 3, 81);
  add(11, 3, 36);
  add(11, 5, 1);
  add(13, 20, 4);
  EXPECT_EQ(heatmap_text(map(), false),
            "[16, 32) |   :|\n"
            " [8, 16) |    |\n"
            "  [4, 8) | .  |\n"
            "  [2, 4) |@*  |\n"
            "          10\n"
            "          . to @ is 1 to 81 samples\n");
}

TEST_F(HeatMapTest, StepsAreSquareRoots) {
  HeatMap made;
  made.greatest = 81;
  EXPECT_EQ(made.step(0), 0u);
  EXPECT_EQ(made.step(1), 1u);
  EXPECT_EQ(made.step(2), 2u);
  EXPECT_EQ(made.step(4), 2u);
  EXPECT_EQ(made.step(64), 8u);
  EXPECT_EQ(made.step(65), 9u);
  EXPECT_EQ(made.step(81), 9u);
  made.greatest = UINT64_MAX;
  EXPECT_EQ(made.step(UINT64_MAX), 9u);
  EXPECT_EQ(made.step(1), 1u);
}

TEST_F(HeatMapTest, ManySlotsShareAColumn) {
  for (int64_t slot = 0; slot < 100; ++slot) add(slot, 1);
  const HeatMap made = map(30);
  EXPECT_EQ(made.slots_per_column, 5);
  EXPECT_EQ(made.cells.size(), 20u);
  EXPECT_EQ(made.cells[19][0], 5u);
}

TEST_F(HeatMapTest, SlotsFarApart) {
  add(INT64_MIN, 1);
  add(INT64_MAX, 1);
  const HeatMap made = map();
  EXPECT_LE(made.cells.size(), kHeatMapTextColumns);
  EXPECT_EQ(made.cells.front()[0] + made.cells.back()[0], 2u);
  EXPECT_EQ(made.total, 2u);
}

TEST_F(HeatMapTest, NegativeSlotsBeginAtAMultiple) {
  add(-3, 1);
  add(4, 1);
  const HeatMap made = map(4);
  EXPECT_EQ(made.slots_per_column, 5);
  EXPECT_EQ(made.slot_of(0), -5);
  EXPECT_EQ(made.cells.size(), 2u);
}

TEST_F(HeatMapTest, ManyBucketsShareARow) {
  Distribution linear{Distribution::Kind::Linear, {0, 1000, 10}, {{0, 1}, {99, 2}}};
  table_->set(Value::of(int64_t{1}),
              Value::of_object(runtime::Type::Histogram, heap_.histogram(std::move(linear))));
  const HeatMap made = map(64, 48);
  ASSERT_EQ(made.labels.size(), 34u);
  EXPECT_EQ(made.labels.front(), "[0, 10) to [20, 30)");
  EXPECT_EQ(made.labels.back(), "[990, 1000)");
  EXPECT_EQ(made.cells[0].front(), 1u);
  EXPECT_EQ(made.cells[0].back(), 2u);
}

TEST_F(HeatMapTest, Colours) {
  add(1, 1, 4);
  add(3, 1, 1);
  EXPECT_EQ(heatmap_text(map(), true),
            "[1, 2) |\x1b[48;5;221m \x1b[0m \x1b[48;5;197m \x1b[0m|\n"
            "        1\n"
            "        \x1b[48;5;54m \x1b[48;5;91m \x1b[48;5;127m \x1b[48;5;163m \x1b[48;5;197m "
            "\x1b[48;5;203m \x1b[48;5;209m \x1b[48;5;215m \x1b[48;5;221m \x1b[0m 1 to 4 samples\n");
}

TEST_F(HeatMapTest, OneSampleInACellAtMost) {
  add(1, 1);
  add(2, 3);
  EXPECT_EQ(heatmap_text(map(), false),
            "[2, 4) | @|\n"
            "[1, 2) |@ |\n"
            "        1\n"
            "        @ is 1 sample\n");
  EXPECT_THAT(heatmap_text(map(), true), testing::EndsWith(" \x1b[48;5;221m \x1b[0m 1 sample\n"));
  EXPECT_THAT(heatmap_svg(map(), "t"), HasSubstr(">1 sample</text>"));
}

TEST_F(HeatMapTest, MarksKeepApart) {
  for (int64_t slot = 123456789; slot < 123456789 + 25; ++slot) add(slot, 1);
  EXPECT_THAT(heatmap_text(map(), false), HasSubstr("\n        123456789 123456799 123456809\n"));
}

TEST_F(HeatMapTest, NothingAndRefusals) {
  EXPECT_EQ(heatmap_text(map(), false), "no samples\n");
  EXPECT_THAT(heatmap_svg(map(), "t"), HasSubstr("0 samples"));
  table_->set(Value::of(int64_t{1}), Value::of(int64_t{2}));
  EXPECT_EQ(refusal(),
            "print_heatmap draws aggregates and histograms, the value of '1' is an integer");
  table_->clear();
  table_->set(heap_.string("a"), Value::of(int64_t{2}));
  EXPECT_EQ(refusal(), "print_heatmap takes integers as keys, the time, got a string");
}

TEST_F(HeatMapTest, Picture) {
  add(10, 3, 81);
  add(12, 3, 1);
  const std::string picture = heatmap_svg(map(kHeatMapSvgColumns, kHeatMapSvgRows), "a < b");
  EXPECT_THAT(picture, HasSubstr("<title>a &lt; b</title>"));
  EXPECT_THAT(picture, HasSubstr("82 samples"));
  EXPECT_THAT(picture, HasSubstr("<rect class=\"h9\""));
  EXPECT_THAT(picture, HasSubstr("[2, 4)\nat 12: 1 sample, 100 % of this time</title>"));
}

/// Of all 64 bits: the labels are slots that there are, beside each other, and not beyond the edge.
TEST_F(HeatMapTest, LabelsOfExtremeSlots) {
  add(INT64_MIN, 5);
  add(INT64_MAX, 7);
  const HeatMap made = map();
  EXPECT_EQ(made.slot_of(0), INT64_MIN);
  EXPECT_EQ(made.slot_of(1), -9000000000000000000);
  EXPECT_THAT(heatmap_text(made, false), HasSubstr("@|\n        -9223372036854775808\n"));
  const std::string svg = heatmap_svg(map(kHeatMapSvgColumns, 40), "t");
  EXPECT_THAT(svg, HasSubstr(">-9223372036854775808</text>"));
  double behind = 0;
  size_t labels = 0;
  for (size_t at = svg.find("<g class=\"axis\">");
       (at = svg.find("<text x=\"", at)) < svg.size();) {
    at += 9;
    if (svg.find("class", at) < svg.find('>', at)) break;
    const double x = std::stod(svg.substr(at));
    const size_t begin = svg.find('>', at) + 1;
    EXPECT_GE(x, behind);
    behind = x + static_cast<double>(svg.find('<', begin) - begin) * 6.7;
    ++labels;
  }
  EXPECT_GE(labels, 4U);
  EXPECT_LE(behind, 1200);
}

}  // namespace
}  // namespace ktap::output
