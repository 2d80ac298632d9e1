// The quick way prints what the VM's way prints, or leaves the site to it.
#include "session/site_writer.h"

#include <gtest/gtest.h>

#include <cstring>

#include "backend/layout.h"
#include "runtime/format.h"
#include "runtime/heap.h"
#include "runtime/string.h"
#include "runtime/text.h"
#include "session/record.h"

namespace ktap::session {
namespace {

using lower::OutputArg;
using runtime::Value;

/// A site with one argument of each kind: integer, maybe an integer, boolean, known string, bytes.
class SiteWriterTest : public ::testing::Test {
 protected:
  SiteWriterTest() {
    site_.args = {{ssa::Type::Int},
                  {ssa::Type::MaybeInt},
                  {ssa::Type::Bool},
                  {ssa::Type::Str, ssa::StrKind::Id},
                  {ssa::Type::Str, ssa::StrKind::Bytes, 16}};
    layout_ = backend::lay_out_site(site_, nullptr);
    record_.resize(layout_.size_bytes);
    put(3, module_.intern("known"));
    std::memcpy(&record_[layout_.arg_offset_bytes[4]], "sixteen letters!", 16);
  }

  void put(size_t arg, int64_t value, int64_t tag = 1) {
    uint8_t* at = &record_[layout_.arg_offset_bytes[arg]];
    if (arg == 1) {
      std::memcpy(at, &tag, 8);
      at += 8;
    }
    std::memcpy(at, &value, 8);
  }
  OutputArg constant(Value value) { return {OutputArg::Kind::Constant, 0, value}; }
  OutputArg string(const char* text) { return constant(heap_.string(text)); }
  static OutputArg record(uint32_t index) { return {OutputArg::Kind::Record, index, {}}; }

  std::optional<SiteWriter> make(bytecode::Builtin builtin, std::vector<OutputArg> args) {
    output_ = {builtin, std::move(args)};
    return SiteWriter::make(site_, layout_, output_, module_);
  }
  /// What the values give on the slow way; "error" for one.
  std::string slowly() {
    const std::vector<Value> values = decode_args(site_, layout_, record_.data(), module_, heap_);
    std::vector<Value> args;
    for (const OutputArg& arg : output_.args)
      args.push_back(arg.kind == OutputArg::Kind::Record ? values[arg.index] : arg.value);
    std::string text, error;
    if (output_.builtin == bytecode::Builtin::Printf) {
      return runtime::render_format(args[0].string()->view(), args.data() + 1, args.size() - 1,
                                    text, &error)
                 ? text
                 : "error";
    }
    for (size_t i = 0; i < args.size(); ++i)
      text += (i == 0 ? "" : "\t") + runtime::to_text(args[i]);
    return text + "\n";
  }
  void expect_same(const std::optional<SiteWriter>& writer, const char* what) {
    ASSERT_TRUE(writer.has_value()) << what;
    std::string text = "before ";
    const bool done = writer->append(record_.data(), text);
    EXPECT_EQ(done ? text.substr(7) : "error", slowly()) << what;
    if (!done) {
      EXPECT_EQ(text, "before ");
    }
  }

  runtime::Heap heap_;
  ssa::Module module_;
  ssa::Site site_;
  backend::SiteLayout layout_;
  lower::OutputSite output_;
  std::vector<uint8_t> record_;
};

TEST_F(SiteWriterTest, PrintsLikeTheSlowWay) {
  const char* const formats[] = {"%d",    "a %d%% %s\n", "%8d|",   "%-8d|", "%u|%x|%i",
                                 "%s %s", "%20s|",       "%-20s|", "%d %d", "%s",
                                 "",      "%3x",         "%-3u %s"};
  for (const int64_t number : {int64_t{0}, int64_t{7}, int64_t{-1}, int64_t{10}, int64_t{99},
                               int64_t{100}, int64_t{12345}, INT64_MAX, INT64_MIN}) {
    put(0, number);
    put(1, number, number == 7 ? 0 : 1);
    put(2, number == 10 ? 0 : 1);
    for (const char* format : formats) {
      std::vector<OutputArg> args = {string(format)};
      std::string error;
      uint32_t next = 0;
      for (const FormatPiece& piece : parse_format(format, &error)) {
        if (piece.conversion == 0) continue;
        args.push_back(record(piece.conversion == 's' ? 1 + next++ % 4 : next++ % 2));
      }
      expect_same(make(bytecode::Builtin::Printf, args), format);
    }
    expect_same(make(bytecode::Builtin::Print, {record(4), record(0), record(1), record(2),
                                                record(3), string("x"), constant(Value::of(number)),
                                                constant(Value::nil()), constant(Value::of(true))}),
                "print");
    expect_same(make(bytecode::Builtin::Print, {}), "print()");
  }
}

TEST_F(SiteWriterTest, ConstantsInFormats) {
  expect_same(make(bytecode::Builtin::Printf,
                   {string("%s %d %s\n"), string("one"), constant(Value::of(int64_t{-2})),
                    constant(Value::of(int64_t{3}))}),
              "constants");
}

TEST_F(SiteWriterTest, LeavesTheUnusualToTheVm) {
  const auto printf = [this](const char* format, std::vector<OutputArg> args) {
    args.insert(args.begin(), string(format));
    return make(bytecode::Builtin::Printf, std::move(args)).has_value();
  };
  EXPECT_FALSE(printf("%f", {record(0)}));
  EXPECT_FALSE(printf("%05d", {record(0)}));
  EXPECT_FALSE(printf("%+d", {record(0)}));
  EXPECT_FALSE(printf("%.3s", {record(3)}));
  EXPECT_FALSE(printf("%*d", {record(0), record(0)}));
  EXPECT_FALSE(printf("%d", {record(3)})) << "an error, in the VM's words";
  EXPECT_FALSE(printf("%d", {})) << "likewise";
  EXPECT_FALSE(printf("x", {record(0)})) << "likewise";
  EXPECT_FALSE(printf("%d", {{OutputArg::Kind::EventText, 0, {}}}));
  EXPECT_FALSE(make(bytecode::Builtin::Print, {{OutputArg::Kind::Table, 0, {}}}).has_value());
  EXPECT_FALSE(make(bytecode::Builtin::Print, {constant(Value::of(1.5))}).has_value());
  EXPECT_FALSE(make(bytecode::Builtin::PrintHist, {record(0)}).has_value());
}

}  // namespace
}  // namespace ktap::session
