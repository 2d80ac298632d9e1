// Which tables a handler touches and writes, read off bytecode that the real compiler made.
#include "lower/effects.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "compiler/compiler.h"
#include "diag/diagnostic.h"
#include "runtime/heap.h"
#include "syntax/parser.h"

namespace ktap::lower {
namespace {

/// A script whose tables are globals a, b (b holds a nested table) and whose handler is its only
/// function.
class EffectsTest : public ::testing::Test {
 protected:
  Effects of(const std::string& body) {
    const std::string text = "a = {} b = {} tick-1s { " + body + " }";
    source_ = std::make_unique<diag::Source>("t", text);
    diag::Sink sink;
    chunk_ = compiler::compile(syntax::parse(*source_, sink), *source_, sink);
    EXPECT_FALSE(sink.has_errors()) << diag::render_all(*source_, sink);
    globals_.assign(chunk_->globals.size(), runtime::Value::nil());
    a_ = heap_.table();
    b_ = heap_.table();
    nested_ = heap_.table();
    b_->set(heap_.string("in"), runtime::Value::of_object(runtime::Type::Table, nested_));
    for (size_t i = 0; i < globals_.size(); ++i) {
      if (chunk_->globals[i] == "a")
        globals_[i] = runtime::Value::of_object(runtime::Type::Table, a_);
      if (chunk_->globals[i] == "b")
        globals_[i] = runtime::Value::of_object(runtime::Type::Table, b_);
    }
    runtime::Closure* closure = heap_.closure(0);
    closure->function = chunk_->main->children.at(0).get();
    Handler handler;
    handler.function = runtime::Value::of_object(runtime::Type::Function, closure);
    return effects_of(handler, globals_);
  }

  bool writes_a_alone(const std::string& body) {
    const Effects effects = of(body);
    return effects.written.size() == 1 && effects.written.count(a_) == 1;
  }

  runtime::Heap heap_;
  std::unique_ptr<diag::Source> source_;
  std::unique_ptr<bytecode::Chunk> chunk_;
  std::vector<runtime::Value> globals_;
  runtime::Table* a_ = nullptr;
  runtime::Table* b_ = nullptr;
  runtime::Table* nested_ = nullptr;
};

TEST_F(EffectsTest, ReadingAndEmptyingIsNoWrite) {
  const Effects effects = of("print_hist(a) delete(a)");
  EXPECT_EQ(effects.touched.count(a_), 1U);
  EXPECT_EQ(effects.touched.count(b_), 0U);
  EXPECT_TRUE(effects.written.empty());
}

TEST_F(EffectsTest, StoresNameTheirTable) {
  EXPECT_TRUE(writes_a_alone("a[1] = 2"));
  EXPECT_TRUE(writes_a_alone("a.x += 2"));
  EXPECT_TRUE(writes_a_alone("count(a, 1)"));
  EXPECT_TRUE(writes_a_alone("table.insert(a, 1)"));
  EXPECT_TRUE(writes_a_alone("table.remove(a)"));
  EXPECT_TRUE(writes_a_alone("table.sort(a, function (x, y) { return x < y })"));
}

TEST_F(EffectsTest, ATableOfTheHandlersOwnIsNobodyElses) {
  EXPECT_TRUE(of("var t = {} t[1] = 2 print_hist(a)").written.empty());
}

TEST_F(EffectsTest, ANestedStoreMayHitAllBelow) {
  const Effects effects = of("b[\"in\"][3] = 1");
  EXPECT_EQ(effects.written.count(nested_), 1U);
  EXPECT_EQ(effects.written.count(a_), 0U);
}

TEST_F(EffectsTest, AHiddenStoreCountsForAllThatIsTouched) {
  const Effects effects = of("var t = a if (len(b) > 0) { t = b } t[1] = 2");
  EXPECT_EQ(effects.written.count(a_), 1U);
  EXPECT_EQ(effects.written.count(b_), 1U);
}

TEST_F(EffectsTest, AWriterThatIsAValueMayBeCalledOnAnything) {
  EXPECT_EQ(of("var put = table.insert put(a, 1)").written.count(a_), 1U);
  EXPECT_EQ(of("inplace_inc(a, b.x || 1)").written.count(a_), 1U);
  EXPECT_TRUE(of("var get = table.concat get(a)").written.empty());
}

TEST_F(EffectsTest, AddingReplacesNoValue) {
  EXPECT_TRUE(of("a += 1 b -= 1 a++").replaced.empty());
  EXPECT_EQ(of("a += 1 b -= 1").assigned.size(), 2u);
  EXPECT_EQ(of("a |= 1 b = 1").replaced.size(), 2u);
}

}  // namespace
}  // namespace ktap::lower
