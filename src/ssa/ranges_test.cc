// What Ranges says of hand-made functions: one test an operation, branches, loops.
#include "ssa/ranges.h"

#include <gtest/gtest.h>

#include <memory>

#include "schema/builtin_vars.h"
#include "ssa/builder.h"

namespace ktap::ssa {
namespace {

using schema::BuiltinVar;
constexpr Range kAll{};

struct Subject {
  Builder b;
  EventGroup group;
  RangeFacts facts;

  Subject() {
    auto event = std::make_shared<schema::Event>();
    event->fields = {{"a", "short", schema::FieldKind::Int, 8, 2, true},
                     {"b", "unsigned int", schema::FieldKind::Int, 12, 4, false},
                     {"c", "long", schema::FieldKind::Int, 16, 8, true}};
    group.events = {event};
    group.name_ids = {4};
    b.at(b.block());
  }
  ValueId var(BuiltinVar var) {
    return b.op(Op::EventVar, {}, static_cast<int64_t>(var), Type::Int);
  }
  ValueId field(int64_t index) { return b.op(Op::EventField, {}, index, Type::Int); }
  ValueId op(Op op, ValueId x, int64_t y) { return b.op(op, {x, b.integer(y)}); }
  Range range(ValueId value) {
    b.ret();
    return Ranges(b.function, group, facts).of(value);
  }
};

Range of_two(Op op, Range x, Range y) {
  Subject s;
  // x.lo + (a value from 0 to the span): what an `&` with a mask of ones bounds.
  const auto value = [&](Range r) {
    if (r.is_constant()) return s.b.integer(r.lo);
    const ValueId any = s.op(Op::And, s.field(2), r.hi - r.lo);
    return s.op(Op::Add, any, r.lo);
  };
  const ValueId a = value(x);
  const ValueId c = value(y);
  return s.range(s.b.op(op, {a, c}));
}

TEST(Ranges, VariablesAndFields) {
  Subject s;
  s.facts.cpu_ids = 6;
  const ValueId cpu = s.var(BuiltinVar::Cpu), tid = s.var(BuiltinVar::Tid);
  const ValueId uid = s.var(BuiltinVar::Uid), pid = s.var(BuiltinVar::Pid);
  const ValueId a = s.field(0), u = s.field(1), c = s.field(2);
  const ValueId name =
      s.b.op(Op::EventVar, {}, static_cast<int64_t>(BuiltinVar::Probename), Type::Str);
  s.b.function[name].str_kind = StrKind::Id;
  s.b.ret();
  const Ranges open(s.b.function, s.group, s.facts);
  EXPECT_EQ(open.of(cpu), (Range{0, 5}));
  EXPECT_EQ(open.of(tid), (Range{0, (1 << 22) - 1}));
  EXPECT_EQ(open.of(uid), (Range{0, UINT32_MAX}));
  EXPECT_EQ(open.of(a), (Range{-32768, 32767}));
  EXPECT_EQ(open.of(u), (Range{0, UINT32_MAX}));
  EXPECT_EQ(open.of(c), kAll);
  EXPECT_EQ(open.of(name), Range::of(4));
  s.facts.cpu = 3;
  s.facts.tgid = 77;
  const Ranges filtered(s.b.function, s.group, s.facts);
  EXPECT_EQ(filtered.of(cpu), Range::of(3));
  EXPECT_EQ(filtered.of(pid), Range::of(77));
}

TEST(Ranges, SystemCallNumbersOfTheGroup) {
  Subject s;
  s.group.kind = schema::EventKind::SyscallEnter;
  s.group.events.clear();
  for (int64_t nr : {7, 300, 12}) {
    auto event = std::make_shared<schema::Event>();
    event->syscall_nr = nr;
    event->fields = {{"__syscall_nr", "int", schema::FieldKind::Int, 8, 4, true}};
    s.group.events.push_back(event);
  }
  EXPECT_EQ(s.range(s.field(0)), (Range{7, 300}));
}

TEST(Ranges, Arithmetic) {
  EXPECT_EQ(of_two(Op::Add, {-3, 4}, {10, 17}), (Range{7, 21}));
  EXPECT_EQ(of_two(Op::Sub, {-3, 4}, {10, 17}), (Range{-20, -6}));
  EXPECT_EQ(of_two(Op::Mul, {-3, 4}, {-2, 5}), (Range{-15, 20}));
  EXPECT_EQ(of_two(Op::Add, {0, 7}, {INT64_MAX - 3, INT64_MAX - 3}), kAll) << "may wrap";
  EXPECT_EQ(of_two(Op::Mul, {0, 7}, Range::of(INT64_MAX)), kAll);
  EXPECT_EQ(of_two(Op::Sub, Range::of(INT64_MIN), Range::of(1)), kAll);
}

TEST(Ranges, Division) {
  EXPECT_EQ(of_two(Op::DivS, {-7, 8}, Range::of(3)), (Range{-2, 2}));
  EXPECT_EQ(of_two(Op::DivS, {-7, 8}, Range::of(-3)), (Range{-2, 2}));
  EXPECT_EQ(of_two(Op::DivS, {-7, 8}, {1, 4}), (Range{-7, 8}));
  EXPECT_EQ(of_two(Op::DivS, {-7, 8}, {-2, 1}), (Range{-8, 8}));
  EXPECT_EQ(of_two(Op::DivS, Range::of(INT64_MIN), Range::of(-1)), kAll);
  EXPECT_EQ(of_two(Op::ModS, {0, 1023}, Range::of(10)), (Range{0, 9}));
  EXPECT_EQ(of_two(Op::ModS, {-4, 3}, Range::of(-10)), (Range{-9, 9}));
  EXPECT_EQ(of_two(Op::ModS, {0, 3}, Range::of(10)), (Range{0, 3}));
  EXPECT_EQ(of_two(Op::ModS, Range::of(5), Range::of(INT64_MIN)), (Range{0, 5}));
}

TEST(Ranges, Bits) {
  Subject s;
  EXPECT_EQ(s.range(s.op(Op::And, s.field(2), 255)), (Range{0, 255}));
  EXPECT_EQ(of_two(Op::And, {-1, 2}, {-4, 3}), kAll);
  EXPECT_EQ(of_two(Op::Or, {0, 15}, {16, 31}), (Range{16, 31}));
  EXPECT_EQ(of_two(Op::Xor, {0, 15}, {16, 31}), (Range{0, 31}));
  EXPECT_EQ(of_two(Op::Shl, {-2, 1}, Range::of(4)), (Range{-32, 16}));
  EXPECT_EQ(of_two(Op::Shl, {0, 1}, Range::of(63)), kAll);
  EXPECT_EQ(of_two(Op::Shl, {0, 1}, Range::of(66)), (Range{0, 4})) << "count modulo 64";
  EXPECT_EQ(of_two(Op::Sar, {-32, 31}, Range::of(3)), (Range{-4, 3}));
  EXPECT_EQ(of_two(Op::Sar, {-32, 31}, {0, 63}), (Range{-32, 31}));
  EXPECT_EQ(of_two(Op::Sar, {-32, -1}, {0, 63}), (Range{-32, -1}));
}

TEST(Ranges, ComparisonsThatLeadToABlock) {
  Subject s;
  Builder& b = s.b;
  const ValueId x = s.field(2);
  const BlockId low = b.block(), high = b.block(), inner = b.block(), out = b.block();
  b.branch(s.op(Op::Lt, x, 10), low, high);
  b.at(low);
  b.branch(b.op(Op::Not, {b.op(Op::Lt, {x, b.integer(-5)})}), inner, out);
  b.at(inner);
  const ValueId y = s.op(Op::Add, x, 5);
  b.jump(out);
  b.at(high);
  const ValueId half = s.op(Op::DivS, x, 2);
  b.jump(out);
  b.at(out);
  b.ret();
  const Ranges ranges(b.function, s.group, s.facts);
  EXPECT_EQ(ranges.of(x), kAll);
  EXPECT_EQ(ranges.at(x, low), (Range{INT64_MIN, 9}));
  EXPECT_EQ(ranges.at(x, inner), (Range{-5, 9}));
  EXPECT_EQ(ranges.at(x, high), (Range{10, INT64_MAX}));
  EXPECT_EQ(ranges.at(x, out), kAll);
  EXPECT_EQ(ranges.of(y), (Range{0, 14}));
  EXPECT_EQ(ranges.of(half), (Range{5, INT64_MAX / 2}));
}

TEST(Ranges, EqualityAndTheOtherSide) {
  Subject s;
  Builder& b = s.b;
  const ValueId x = s.field(1);
  const BlockId same = b.block(), other = b.block(), least = b.block(), out = b.block();
  b.branch(s.op(Op::Eq, x, 6), same, other);
  b.at(same);
  b.jump(out);
  b.at(other);
  b.branch(b.op(Op::Ne, {x, b.integer(0)}), least, out);
  b.at(least);
  const BlockId more = b.block();
  b.branch(b.op(Op::Le, {b.integer(9), x}), more, out);
  b.at(more);
  b.jump(out);
  b.at(out);
  b.ret();
  const Ranges ranges(b.function, s.group, s.facts);
  EXPECT_EQ(ranges.at(x, same), Range::of(6));
  EXPECT_EQ(ranges.at(x, other), (Range{0, UINT32_MAX})) << "a hole is no bound";
  EXPECT_EQ(ranges.at(x, least), (Range{1, UINT32_MAX}));
  EXPECT_EQ(ranges.at(x, more), (Range{9, UINT32_MAX}));
}

// for (i = 0, 9) { … }, and a sum that grows without end.
TEST(Ranges, LoopsAreWidenedAndNarrowed) {
  Subject s;
  Builder& b = s.b;
  const BlockId head = b.block(), body = b.block(), done = b.block();
  const ValueId zero = b.integer(0);
  b.jump(head);
  b.at(head);
  const ValueId i = b.op(Op::Phi, {zero}, 0, Type::Int);
  const ValueId sum = b.op(Op::Phi, {zero}, 0, Type::Int);
  b.branch(s.op(Op::Le, i, 9), body, done);
  b.at(body);
  const ValueId next = s.op(Op::Add, i, 1);
  const ValueId more = b.op(Op::Add, {sum, i});
  b.jump(head);
  b.function[i].operands.push_back(next);
  b.function[sum].operands.push_back(more);
  b.at(done);
  b.ret();
  const Ranges ranges(b.function, s.group, s.facts);
  EXPECT_EQ(ranges.of(i), (Range{0, 10}));
  EXPECT_EQ(ranges.at(i, body), (Range{0, 9}));
  EXPECT_EQ(ranges.at(i, done), Range::of(10));
  EXPECT_EQ(ranges.of(sum), kAll) << "it may wrap, for all that is known";
}

TEST(Ranges, PhisTakeWhatTheirEdgesKnow) {
  Subject s;
  Builder& b = s.b;
  const ValueId x = s.field(2);
  const BlockId join_block = b.block(), big = b.block();
  // x < 100 leads straight to the join; else 100 is taken.
  const ValueId condition = s.op(Op::Lt, x, 100);
  b.branch(condition, join_block, big);
  b.at(big);
  const ValueId hundred = b.integer(100);
  b.jump(join_block);
  b.at(join_block);
  const ValueId least = b.op(Op::Phi, {x, hundred}, 0, Type::Int);
  EXPECT_EQ(s.range(least), (Range{INT64_MIN, 100}));
}

TEST(Ranges, SizesOfRanges) {
  EXPECT_EQ((Range{-1, 1}).size(), 3U);
  EXPECT_EQ(Range::of(INT64_MIN).size(), 1U);
  EXPECT_EQ((Range{0, INT64_MAX}).size(), uint64_t{1} << 63);
  EXPECT_EQ(kAll.size(), UINT64_MAX);
}

}  // namespace
}  // namespace ktap::ssa
