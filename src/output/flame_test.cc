// Unit test of output/flame.h and flame_svg.h: frames, paths from keys, both forms.
#include "output/flame.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "output/flame_svg.h"
#include "runtime/heap.h"
#include "runtime/stack.h"

namespace ktap::output {
namespace {

using runtime::Heap;
using runtime::Stack;
using runtime::Table;
using runtime::Value;
using ::testing::HasSubstr;
using ::testing::Not;

/// A printed line by its parts: "vfs_read+0x12/0x90 [ext4]", "clamp [inlined] (app) at app.h:7".
runtime::StackFrame parts_of(const std::string& line, bool is_user) {
  runtime::StackFrame frame;
  frame.text = line;
  size_t end = line.rfind("+0x");
  if (end == std::string::npos) end = line.find(is_user ? " (" : " [");
  end = std::min(end, line.size());
  frame.function = line.substr(0, end);
  const size_t begin = line.find(is_user ? " (" : " [", end);
  if (begin != std::string::npos) {
    const size_t close = line.find(is_user ? ')' : ']', begin);
    frame.module = line.substr(begin + 2, close - begin - 2);
  }
  constexpr std::string_view kInlined = " [inlined]";
  frame.is_inlined = is_user && frame.function.ends_with(kInlined);
  if (frame.is_inlined) frame.function.resize(frame.function.size() - kInlined.size());
  return frame;
}

/// Addresses below 100 are known.
class FakeNames : public runtime::StackNames {
 public:
  std::vector<std::string> lines_of(const Stack& stack) override {
    std::vector<std::string> lines;
    for (size_t i = 0; i < stack.frame_count(); ++i) {
      const auto found = names_.find(stack.frame(i));
      lines.push_back(found == names_.end() ? "0x7f00" : found->second);
    }
    return lines;
  }
  std::vector<runtime::StackFrame> frames_of(const Stack& stack) override {
    std::vector<runtime::StackFrame> frames;
    for (const std::string& line : lines_of(stack))
      frames.push_back(parts_of(line, stack.is_user()));
    return frames;
  }
  runtime::StackFrame kernel_place(uint64_t) override { return {}; }

 private:
  const std::map<uint64_t, std::string> names_ = {
      {1, "main+0xd (app)"},         {2, "main+0x20 (app)"},
      {3, "write+0x10 (libc.so.6)"}, {4, "vfs_write+0x1/0x390"},
      {5, "ext4_write+0x2 [ext4]"},  {6, "0x1234 (libz.so.1)"},
      {7, "std::f<a;b>+0x1 (app)"},  {8, "clamp [inlined] (app) at limits.h:12"}};
};

class FlameTest : public ::testing::Test {
 protected:
  FlameTest() { heap_.set_stack_names(&names_); }

  Value user(std::vector<uint64_t> frames) {
    frames.insert(frames.begin(), Stack::kUserBit | 42);
    return heap_.stack(frames.data(), frames.size());
  }
  Value kernel(std::vector<uint64_t> frames) {
    frames.insert(frames.begin(), 0);
    return heap_.stack(frames.data(), frames.size());
  }
  Value key(std::vector<Value> parts) { return heap_.tuple(parts.data(), parts.size()); }
  Value text(std::string_view s) { return heap_.string(s); }
  void add(Value key, int64_t count) { table_->set(key, Value::of(count)); }
  std::string folded() {
    Flame flame;
    std::string error;
    return read_flame(*table_, &flame, &error) ? folded_text(flame) : "error: " + error;
  }
  std::string svg() {
    Flame flame;
    std::string error;
    return read_flame(*table_, &flame, &error) ? flame_svg(flame, "A & B") : "error: " + error;
  }

  FakeNames names_;
  Heap heap_;
  Table* table_ = heap_.table();
};

TEST(FrameOf, TellsWhoseCodeItIs) {
  const auto is = [](const std::string& line, bool user, const char* name, const char* place,
                     FrameKind kind) {
    const Frame frame = frame_of(parts_of(line, user), user);
    EXPECT_EQ(frame.name, name);
    EXPECT_EQ(frame.place, place);
    EXPECT_EQ(frame.kind, kind) << line;
  };
  is("vfs_read+0x1/0x390", false, "vfs_read", "", FrameKind::Kernel);
  is("f+0x1/0x390 [ext4]", false, "f", "ext4", FrameKind::Kernel);
  is("0xffff1234", false, "[unknown]", "", FrameKind::Kernel);
  is("malloc+0x12 (libc.so.6)", true, "malloc", "libc.so.6", FrameKind::Library);
  is("_dl_start+0x1 (ld-linux-x86-64.so.2)", true, "_dl_start", "ld-linux-x86-64.so.2",
     FrameKind::Library);
  is("clock_gettime+0x1 ([vdso])", true, "clock_gettime", "[vdso]", FrameKind::Library);
  is("main+0x1 (app)", true, "main", "app", FrameKind::Program);
  is("main+0x1 (my.sock)", true, "main", "my.sock", FrameKind::Program);
  is("f+0x1 ([jit])", true, "f", "[jit]", FrameKind::Program);
  is("(anonymous namespace)::f+0x1 (app)", true, "(anonymous namespace)::f", "app",
     FrameKind::Program);
  is("operator+ (app)", true, "operator+", "app", FrameKind::Program);
  is("main_loop+0x1c (app) at limits.h:12", true, "main_loop", "app", FrameKind::Program);
  is("clamp [inlined] (libx.so.1) at limits.h:12", true, "clamp", "libx.so.1, inlined",
     FrameKind::Library);
  is("0x1234 (libz.so.1)", true, "[libz.so.1]", "libz.so.1", FrameKind::Library);
  is("0x7f0000001234", true, "[unknown]", "", FrameKind::Unknown);
}

TEST_F(FlameTest, FoldsTheAddressesOfAFunction) {
  add(user({3, 1}), 4);
  add(user({3, 2}), 3);
  add(user({1}), 1);
  EXPECT_EQ(folded(), "main 1\nmain;write 7\n");
}

TEST_F(FlameTest, PartsOfKeysAreFrames) {
  add(key({text("dd"), user({3, 1})}), 4);
  add(key({text("a;b\n"), user({6, 99})}), 2);
  add(text("idle"), 5);
  add(key({Value::of(int64_t{7}), kernel({5, 4})}), 1);
  EXPECT_EQ(folded(),
            "7;vfs_write_[k];ext4_write_[k] 1\na:b\\n;[unknown];[libz.so.1] 2\ndd;main;write 4\n"
            "idle 5\n");
}

TEST_F(FlameTest, UserStacksAreBelowKernelStacks) {
  add(key({kernel({4}), user({3, 1})}), 4);
  add(key({user({3, 1}), kernel({4})}), 5);
  EXPECT_EQ(folded(), "main;write;vfs_write_[k] 9\n");
}

TEST_F(FlameTest, SemicolonsAndEmptyStacks) {
  add(user({7}), 2);
  add(user({}), 1);
  EXPECT_EQ(folded(), "[no frames] 1\nstd::f<a:b> 2\n");
}

TEST_F(FlameTest, AnEmptyStackBesideAnotherIsNothing) {
  add(key({text("dd"), user({3, 1}), kernel({})}), 2);
  add(key({text("dd"), user({3, 1}), kernel({4})}), 3);
  add(key({text("kworker"), user({}), kernel({4})}), 4);
  add(key({text("gone"), user({}), kernel({})}), 5);
  EXPECT_EQ(folded(),
            "dd;main;write 2\ndd;main;write;vfs_write_[k] 3\ngone;[no frames] 5\n"
            "kworker;vfs_write_[k] 4\n");
}

TEST_F(FlameTest, InlinedFramesAreMarked) {
  add(user({8, 1}), 2);
  EXPECT_EQ(folded(), "main;clamp_[i] 2\n");
}

TEST_F(FlameTest, WhatIsNotOverZeroIsLeftOut) {
  add(user({1}), 0);
  add(user({3}), -5);
  EXPECT_EQ(folded(), "");
  EXPECT_THAT(svg(), HasSubstr("0 in 0 stacks"));
}

TEST_F(FlameTest, OtherValuesAreRefused) {
  table_->set(text("a"), text("b"));
  EXPECT_EQ(folded(), "error: print_flame draws integers, the value of 'a' is a string");
}

TEST_F(FlameTest, SumsStayAtTheirGreatest) {
  add(text("a"), INT64_MAX);
  add(text("b"), INT64_MAX);
  add(text("c"), INT64_MAX);
  Flame flame;
  std::string error;
  ASSERT_TRUE(read_flame(*table_, &flame, &error));
  EXPECT_EQ(flame.total, UINT64_MAX);
}

TEST_F(FlameTest, PictureHasABoxForEachFrame) {
  add(key({text("dd"), user({3, 1})}), 30);
  add(key({text("dd"), user({1})}), 10);
  add(key({text("dd"), user({2}), kernel({4})}), 60);
  const std::string picture = svg();
  EXPECT_THAT(picture, HasSubstr("<title>A &amp; B</title>"));
  EXPECT_THAT(picture,
              HasSubstr("data-s=\"0\" data-n=\"100\" data-d=\"0\"><title>all\n\n100, 100 %"));
  EXPECT_THAT(picture, HasSubstr("data-s=\"0\" data-n=\"100\" data-d=\"2\"><title>main\napp\n"));
  EXPECT_THAT(picture, HasSubstr("<g class=\"k"));
  EXPECT_THAT(picture, HasSubstr("data-n=\"60\" data-d=\"3\"><title>vfs_write\n\n60, 60.0 %"));
  EXPECT_THAT(picture, HasSubstr("data-n=\"30\" data-d=\"3\"><title>write\nlibc.so.6\n30, 30.0 %"));
  EXPECT_THAT(picture, HasSubstr("100 in 3 stacks"));
  EXPECT_THAT(picture, HasSubstr(">library</text>"));
  EXPECT_THAT(picture, Not(HasSubstr(">unknown</text>")));
}

TEST_F(FlameTest, NamesAreSafeInXml) {
  add(text("a<b>&\"c'\x01\xff"), 1);
  EXPECT_THAT(svg(), HasSubstr("<title>a&lt;b&gt;&amp;&quot;c&#39;\\x01\xef\xbf\xbd\n"));
}

TEST_F(FlameTest, WhatIsTooSmallIsCounted) {
  add(text("a"), 1000000);
  add(text("b"), 99);
  add(text("c"), 101);
  const std::string picture = svg();
  EXPECT_THAT(picture, HasSubstr("1 of 4 frames are below 0.01 % and not drawn"));
  EXPECT_THAT(picture, Not(HasSubstr("<title>b\n")));
  EXPECT_THAT(picture, HasSubstr("<title>c\n"));
}

}  // namespace
}  // namespace ktap::output
