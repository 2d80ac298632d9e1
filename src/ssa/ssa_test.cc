// SSA: printing is stable, every rule of ops.def is enforced, dominators and folding are right.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "schema/builtin_vars.h"
#include "ssa/buckets.h"
#include "ssa/builder.h"
#include "ssa/dominators.h"
#include "ssa/fold.h"
#include "ssa/function.h"

namespace ktap::ssa {
namespace {

int64_t var(schema::BuiltinVar v) { return static_cast<int64_t>(v); }

Module module_with_table(std::vector<KeyPart> key) {
  Module module;
  module.tables.push_back({"h", std::move(key), 100});
  return module;
}

void expect_breach(const Function& function, const Module& module, const std::string& text) {
  const std::string wrong = verify(function, module);
  EXPECT_NE(wrong.find(text), std::string::npos) << "verify says: '" << wrong << "'";
}

TEST(SsaPrint, ShowsBlocksValuesAndNames) {
  Module module = module_with_table({{KeyPart::Kind::StrId}});
  Builder b("handler 0 (syscalls:*)");
  const BlockId entry = b.block();
  const BlockId yes = b.block();
  const BlockId no = b.block();
  b.at(entry);
  const ValueId pid = b.op(Op::EventVar, {}, var(schema::BuiltinVar::Pid), Type::Int);
  b.branch(b.op(Op::Eq, {pid, b.integer(7)}), yes, no);
  b.at(yes);
  const ValueId key = b.op(Op::ConstStr, {}, module.intern("sys_\"read\n"));
  b.op(Op::TableAdd, {key, pid}, 0);
  b.jump(no);
  b.at(no).ret();
  EXPECT_EQ(verify(b.function, module), "");
  EXPECT_EQ(print(b.function, module),
            "function handler 0 (syscalls:*)\n"
            "b0:\n"
            "  v0 = EventVar pid : int\n"
            "  v1 = ConstInt 7 : int\n"
            "  v2 = Eq v0, v1 : bool\n"
            "  Branch v2 -> b1, b2\n"
            "b1:  ; from b0\n"
            "  v3 = ConstStr \"sys_\\\"read\\n\" : str id\n"
            "  TableAdd 0:h v3, v0\n"
            "  Jump -> b2\n"
            "b2:  ; from b0, b1\n"
            "  Return\n");
}

TEST(SsaVerify, UnionsAreOfOneSize) {
  Module module = module_with_table({union_part({KeyPart::Kind::Bytes, 16}, 1 << kIntTag)});
  module.tables[0].value = union_part({KeyPart::Kind::StrId, 8}, 1 << kIntTag | 1 << kStrTag);
  const auto table = [&](uint32_t key_bytes, uint32_t value_bytes) {
    Builder b("f");
    b.at(b.block());
    const ValueId text = b.op(Op::ConstStr, {}, module.intern("a text of more than 16"));
    const ValueId key = b.bytes(Op::MakeUnion, key_bytes, 0, {b.integer(1)}, Type::Union);
    const ValueId value = b.bytes(Op::MakeUnion, value_bytes, 0, {text}, Type::Union);
    b.op(Op::TableSet, {key, value}, 0);
    b.op(Op::TableAdd, {key, b.integer(1)}, 0);
    const ValueId got = b.bytes(Op::TableGet, 24, 0, {key}, Type::Union);
    b.op(Op::Eq, {b.op(Op::UnionTag, {got}), b.op(Op::UnionWord, {got})});
    b.ret();
    return b.function;
  };
  EXPECT_EQ(verify(table(32, 24), module), "");
  expect_breach(table(24, 24), module, "operand 0 does not fit the key's part");
  expect_breach(table(32, 32), module, "the operand does not fit");
}

TEST(SsaModule, InternsOnce) {
  Module module;
  EXPECT_EQ(module.intern("a"), 0);
  EXPECT_EQ(module.intern("b"), 1);
  EXPECT_EQ(module.intern("a"), 0);
  EXPECT_EQ(module.strings.size(), 2u);
}

TEST(SsaVerify, NoBlocks) { expect_breach(Function{}, Module{}, "no blocks"); }

TEST(SsaVerify, BlockWithoutControl) {
  Builder b;
  b.at(b.block()).integer(1);
  expect_breach(b.function, {}, "does not end with a control operation");
}

TEST(SsaVerify, EmptyEntry) {
  Builder b;
  b.block();
  expect_breach(b.function, {}, "has no control operation");
}

TEST(SsaVerify, ControlBeforeTheEnd) {
  Builder b;
  b.at(b.block()).ret();
  b.ret();
  expect_breach(b.function, {}, "before the block's end");
}

TEST(SsaVerify, SuccessorWithoutPredecessor) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId next = b.block();
  b.at(entry).jump(next);
  b.at(next).ret();
  b.function.blocks[1].preds.clear();
  expect_breach(b.function, {}, "does not name it as predecessor");
}

TEST(SsaVerify, PredecessorThatDoesNotLeadThere) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId next = b.block();
  b.at(entry).ret();
  b.at(next).ret();
  b.function.blocks[1].preds.push_back(entry);
  expect_breach(b.function, {}, "does not lead to it");
}

TEST(SsaVerify, EntryWithPredecessor) {
  Builder b;
  const BlockId entry = b.block();
  b.at(entry).jump(entry);
  expect_breach(b.function, {}, "the entry has predecessors");
}

TEST(SsaVerify, NumberOfSuccessors) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId next = b.block();
  b.at(entry).branch(b.boolean(true), next, next);
  b.at(next).ret();
  EXPECT_EQ(verify(b.function, {}), "");
  b.function.blocks[0].succs.pop_back();
  b.function.blocks[1].preds.pop_back();
  expect_breach(b.function, {}, "1 successors");
}

TEST(SsaVerify, OperandCountAndTypes) {
  Builder b;
  b.at(b.block());
  const ValueId n = b.integer(1);
  b.op(Op::Add, {n});
  b.ret();
  expect_breach(b.function, {}, "1 operands, wants 2");
  b.function[ValueId(1)].operands = {n, ValueId(99)};
  expect_breach(b.function, {}, "an operand is in no block");
  b.function[ValueId(1)].operands = {n, ValueId(2)};
  expect_breach(b.function, {}, "an operand has no value");
  b.function[ValueId(0)] = {Op::ConstBool, Type::Bool};
  b.function[ValueId(1)].operands = {n, n};
  expect_breach(b.function, {}, "operand 0 is bool, wants int");
}

TEST(SsaVerify, ResultTypes) {
  Builder b;
  b.at(b.block());
  const ValueId n = b.integer(1);
  b.ret();
  b.function[n].type = Type::Bool;
  expect_breach(b.function, {}, "has type bool");
  b.function[n] = {Op::ConstBool, Type::Bool, StrKind::None, 0, 2};
  expect_breach(b.function, {}, "neither 0 nor 1");
  b.function[n] = {Op::ConstNil, Type::Int};
  expect_breach(b.function, {}, "nil of a sure type");
  b.function[n] = {Op::ConstNil, Type::None};
  expect_breach(b.function, {}, "has no type");
  b.function[n] = {Op::ConstNil, Type::MaybeStr};
  expect_breach(b.function, {}, "a string without a kind");
  b.function[n] = {Op::ConstNil, Type::MaybeStr, StrKind::Bytes, 0};
  expect_breach(b.function, {}, "max_bytes and string kind disagree");
  b.function[n] = {Op::ConstNil, Type::MaybeInt, StrKind::Id, 0};
  expect_breach(b.function, {}, "a string kind on a value that is no string");
  b.function[n] = {Op::ConstStr, Type::Str, StrKind::Id, 0, 3};
  expect_breach(b.function, {}, "no such string: 3");
}

TEST(SsaVerify, Phis) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId left = b.block();
  const BlockId join = b.block();
  b.at(entry);
  const ValueId one = b.integer(1);
  const ValueId flag = b.boolean(true);
  b.branch(flag, left, join);
  b.at(left).jump(join);
  b.at(join);
  const ValueId phi = b.op(Op::Phi, {one, one}, 0, Type::Int);
  b.ret();
  EXPECT_EQ(verify(b.function, {}), "");
  b.function[phi].operands = {one};
  expect_breach(b.function, {}, "1 operands, 2 predecessors");
  b.function[phi].operands = {one, flag};
  expect_breach(b.function, {}, "operand 1 is bool, wants int");
  b.function[phi].operands = {one, one};
  const ValueId late = b.function.append(join, {Op::ConstInt, Type::Int});
  std::swap(b.function.blocks[2].insts[0], b.function.blocks[2].insts[2]);
  EXPECT_EQ(b.function.blocks[2].insts[0], late);
  expect_breach(b.function, {}, "before the block's end");
  std::swap(b.function.blocks[2].insts[1], b.function.blocks[2].insts[2]);
  expect_breach(b.function, {}, "a phi after other operations");
}

TEST(SsaVerify, Dominance) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId left = b.block();
  const BlockId join = b.block();
  b.at(entry).branch(b.boolean(true), left, join);
  b.at(left);
  const ValueId inner = b.integer(5);
  b.jump(join);
  b.at(join);
  const ValueId sum = b.op(Op::Add, {inner, inner});
  b.ret();
  expect_breach(b.function, {}, "is not computed on every way here");
  b.function[sum] = {Op::Phi, Type::Int, StrKind::None, 0, 0, {inner, inner}};
  expect_breach(b.function, {}, "operand 0 is not computed on every way here");
}

TEST(SsaVerify, UseBeforeDefinitionInOneBlock) {
  Builder b;
  b.at(b.block());
  const ValueId n = b.integer(1);
  b.op(Op::Add, {n, n});
  b.ret();
  std::swap(b.function.blocks[0].insts[0], b.function.blocks[0].insts[1]);
  expect_breach(b.function, {}, "is not computed on every way here");
}

TEST(SsaVerify, PlacedTwice) {
  Builder b;
  b.at(b.block());
  const ValueId n = b.integer(1);
  b.function.blocks[0].insts.push_back(n);
  b.ret();
  expect_breach(b.function, {}, "placed twice");
}

TEST(SsaVerify, TableKeys) {
  Module module = module_with_table({{KeyPart::Kind::Int}, {KeyPart::Kind::Bytes, 64}});
  Builder b;
  b.at(b.block());
  const ValueId n = b.integer(1);
  const ValueId comm = b.bytes(Op::EventVar, 16, var(schema::BuiltinVar::Execname));
  const ValueId literal = b.op(Op::ConstStr, {}, module.intern("sh"));
  const ValueId name = b.op(Op::EventVar, {}, var(schema::BuiltinVar::Probename), Type::Str);
  b.function[name].str_kind = StrKind::Id;
  const ValueId get = b.op(Op::TableGet, {n, comm}, 0);
  const ValueId set = b.op(Op::TableSet, {n, literal, n}, 0);
  b.ret();
  EXPECT_EQ(verify(b.function, module), "");
  b.function[get].operands = {n};
  expect_breach(b.function, module, "1 operands, the key has 2 parts");
  b.function[get].operands = {comm, n};
  expect_breach(b.function, module, "operand 0 does not fit the key's part");
  b.function[get].operands = {n, name};
  expect_breach(b.function, module, "operand 1 does not fit the key's part");
  b.function[get].operands = {n, comm};
  b.function[set].operands = {n, literal, literal};
  expect_breach(b.function, module, "the value does not fit");
  module.tables[0].value = {KeyPart::Kind::Bytes, 64};
  b.function[get].type = Type::MaybeInt;
  b.function[set].operands = {n, literal, comm};
  expect_breach(b.function, module, "not a value of the table");
  module.tables[0].value = {};
  b.function[set].imm = 4;
  expect_breach(b.function, module, "no such table: 4");
}

TEST(SsaVerify, StringOperations) {
  Module module;
  const int64_t glob = module.intern("sys_*");
  Builder b;
  b.at(b.block());
  const ValueId comm = b.bytes(Op::EventVar, 16, var(schema::BuiltinVar::Execname));
  const ValueId literal = b.op(Op::ConstStr, {}, glob);
  const ValueId name = b.op(Op::EventVar, {}, var(schema::BuiltinVar::Probename), Type::Str);
  b.function[name].str_kind = StrKind::Id;
  const ValueId eq = b.op(Op::StrEq, {comm, literal});
  const ValueId match = b.op(Op::StrGlob, {comm}, glob);
  b.ret();
  EXPECT_EQ(verify(b.function, module), "");
  b.function[eq].operands = {comm, name};
  expect_breach(b.function, module, "Bytes against an Id that is no constant");
  b.function[eq].operands = {name, literal};
  b.function[match].operands = {name};
  expect_breach(b.function, module, "operand is not Bytes");
  b.function[match].operands = {comm};
  b.function[name].imm = var(schema::BuiltinVar::Retval);
  expect_breach(b.function, module, "not a variable that an event gives by itself");
}

TEST(SsaVerify, MaybeOperations) {
  Module module = module_with_table({{KeyPart::Kind::Int}});
  Builder b;
  b.at(b.block());
  const ValueId n = b.integer(1);
  const ValueId got = b.op(Op::TableGet, {n}, 0);
  const ValueId nil = b.op(Op::IsNil, {got});
  const ValueId sure = b.op(Op::Unwrap, {got}, 0, Type::Int);
  b.op(Op::Wrap, {sure}, 0, Type::MaybeInt);
  b.ret();
  EXPECT_EQ(verify(b.function, module), "");
  b.function[nil].operands = {n};
  expect_breach(b.function, module, "operand cannot be nil");
  b.function[nil].operands = {got};
  b.function[sure].operands = {n};
  expect_breach(b.function, module, "do not belong together");
}

TEST(SsaVerify, SitesCellsAndFailures) {
  Module module;
  module.cells.push_back("total");
  module.sites.push_back({SiteKind::Print, 0, {{Type::Int}}});
  Builder b;
  b.at(b.block());
  const ValueId n = b.integer(1);
  const ValueId emit = b.op(Op::Emit, {n}, 0);
  const ValueId cell = b.op(Op::CellAdd, {n}, 0);
  b.op(Op::RequestExit, {n});
  const ValueId fail = b.op(Op::Fail, {}, 0);
  expect_breach(b.function, module, "no such failure: 0");
  module.failures.push_back({"division by zero"});
  EXPECT_EQ(verify(b.function, module), "");
  b.function[emit].operands = {};
  expect_breach(b.function, module, "0 operands, the site has 1 arguments");
  b.function[emit].operands = {n};
  b.function[emit].imm = 1;
  expect_breach(b.function, module, "no such site: 1");
  b.function[emit].imm = 0;
  b.function[cell].imm = 9;
  expect_breach(b.function, module, "no such cell: 9");
  b.function[cell].imm = 0;
  b.function[fail].imm = 1;
  expect_breach(b.function, module, "no such failure: 1");
}

TEST(SsaVerify, MergesAndBuckets) {
  Module module = module_with_table({{KeyPart::Kind::Int}});
  module.tables[0].words = {MergeOp::Add, MergeOp::Max};
  module.linear.push_back({0, 10, 5});
  Builder b;
  b.at(b.block());
  const ValueId n = b.op(Op::EventVar, {}, var(schema::BuiltinVar::Pid), Type::Int);
  const ValueId bucket = b.op(Op::LinearBucket, {n}, 0);
  const ValueId merge = b.op(Op::TableMerge, {n, b.op(Op::Log2Bucket, {n}), bucket}, 0);
  b.ret();
  EXPECT_EQ(verify(b.function, module), "");
  EXPECT_EQ(print(b.function, module),
            "function test\n"
            "b0:\n"
            "  v0 = EventVar pid : int\n"
            "  v1 = LinearBucket 0, 10, 5 v0 : int\n"
            "  v2 = Log2Bucket v0 : int\n"
            "  TableMerge 0:h v0, v2, v1\n"
            "  Return\n");
  b.function[merge].operands.pop_back();
  expect_breach(b.function, module, "2 operands, the key has 1 parts");
  b.function[merge].op = Op::TableAdd;
  expect_breach(b.function, module, "the table has other words than one sum");
  b.function[merge].op = Op::TableMerge;
  b.function[merge].operands = {n, n, b.function[merge].operands[1]};
  b.function[bucket].imm = 1;
  expect_breach(b.function, module, "no such linear histogram: 1");
}

TEST(SsaBuckets, AtTheEdges) {
  EXPECT_EQ(log2_bucket(0), 64);
  EXPECT_EQ(log2_bucket(1), 65);
  EXPECT_EQ(log2_bucket(7), 67);
  EXPECT_EQ(log2_bucket(8), 68);
  EXPECT_EQ(log2_bucket(-1), 63);
  EXPECT_EQ(log2_bucket(INT64_MAX), 127);
  EXPECT_EQ(log2_bucket(INT64_MIN), 0);
  EXPECT_EQ(log_linear_bucket(0), 960);
  EXPECT_EQ(log_linear_bucket(31), 991);
  EXPECT_EQ(log_linear_bucket(33), 992);
  EXPECT_EQ(log_linear_bucket(INT64_MAX), 1919);
  EXPECT_EQ(log_linear_bucket(INT64_MIN), 0);
  const LinearBounds bounds{-10, 11, 10};
  EXPECT_EQ(linear_bucket_count(bounds), 5);
  EXPECT_EQ(linear_bucket(bounds, -11), 0);
  EXPECT_EQ(linear_bucket(bounds, -10), 1);
  EXPECT_EQ(linear_bucket(bounds, 10), 3);
  EXPECT_EQ(linear_bucket(bounds, 11), 4);
  EXPECT_EQ(linear_bucket({INT64_MIN, INT64_MAX, INT64_MAX}, INT64_MAX), 4);
}

TEST(SsaDominators, Diamond) {
  Builder b;
  const BlockId entry = b.block();
  const BlockId left = b.block();
  const BlockId right = b.block();
  const BlockId join = b.block();
  const BlockId lost = b.block();
  b.at(entry).branch(b.boolean(true), left, right);
  b.at(left).jump(join);
  b.at(right).jump(join);
  b.at(join).ret();
  b.at(lost).ret();
  const Dominators dominators(b.function);
  EXPECT_EQ(dominators.immediate(join), entry);
  EXPECT_TRUE(dominators.dominates(entry, join));
  EXPECT_TRUE(dominators.dominates(join, join));
  EXPECT_FALSE(dominators.dominates(left, join));
  EXPECT_FALSE(dominators.dominates(left, right));
  EXPECT_FALSE(dominators.reachable(lost));
  EXPECT_FALSE(dominators.dominates(entry, lost));
  EXPECT_EQ(reverse_postorder(b.function), (std::vector<BlockId>{entry, left, right, join}));
}

TEST(SsaDominators, IsTheChainOfImmediateOnes) {
  // Diamonds, one behind the other and one in the left arm of another; an arm that ends.
  Builder b;
  std::vector<BlockId> blocks;
  for (int i = 0; i < 12; ++i) blocks.push_back(b.block());
  const auto branch = [&](int from, int left, int right) {
    b.at(blocks[from]).branch(b.boolean(true), blocks[left], blocks[right]);
  };
  branch(0, 1, 2);
  branch(1, 3, 4);
  b.at(blocks[3]).jump(blocks[5]);
  b.at(blocks[4]).jump(blocks[5]);
  b.at(blocks[5]).jump(blocks[6]);
  b.at(blocks[2]).jump(blocks[6]);
  branch(6, 7, 8);
  b.at(blocks[7]).ret();
  branch(8, 9, 10);
  b.at(blocks[9]).jump(blocks[11]);
  b.at(blocks[10]).jump(blocks[11]);
  b.at(blocks[11]).ret();
  const Dominators dominators(b.function);
  for (const BlockId above : blocks) {
    for (const BlockId below : blocks) {
      BlockId up = below;
      while (up != above && up != dominators.immediate(up)) up = dominators.immediate(up);
      EXPECT_EQ(dominators.dominates(above, below), up == above)
          << above.index << " " << below.index;
    }
  }
}

TEST(SsaFold, WrapsAndDividesLikeC) {
  EXPECT_EQ(fold(Op::Add, INT64_MAX, 1), INT64_MIN);
  EXPECT_EQ(fold(Op::Sub, INT64_MIN, 1), INT64_MAX);
  EXPECT_EQ(fold(Op::Mul, INT64_MAX, 2), -2);
  EXPECT_EQ(fold(Op::DivS, -7, 2), -3);
  EXPECT_EQ(fold(Op::ModS, -7, 2), -1);
  EXPECT_EQ(fold(Op::DivS, INT64_MIN, -1), INT64_MIN);
  EXPECT_EQ(fold(Op::ModS, INT64_MIN, -1), 0);
  EXPECT_EQ(fold(Op::DivS, 1, 0), std::nullopt);
  EXPECT_EQ(fold(Op::ModS, 1, 0), std::nullopt);
  EXPECT_EQ(fold(Op::Shl, 1, 65), 2);
  EXPECT_EQ(fold(Op::Shl, 1, -1), INT64_MIN);
  EXPECT_EQ(fold(Op::Sar, -8, 1), -4);
  EXPECT_EQ(fold(Op::Lt, -1, 0), 1);
  EXPECT_EQ(fold(Op::Le, 1, 0), 0);
  EXPECT_EQ(fold(Op::Emit, 1, 0), std::nullopt);
}

TEST(SsaVerify, SlotsOfATableHaveThePartsOfItsKey) {
  Module module;
  module.tables.push_back({"t", {{KeyPart::Kind::Int}, {KeyPart::Kind::Bytes, 16}}, 10});
  Builder b;
  b.at(b.block());
  const ValueId slot = b.integer(3);
  const ValueId walk = b.integer(0);
  b.op(Op::TableWalk, {walk}, 0);
  b.op(Op::TableSlot, {walk, slot}, 0, Type::MaybeInt);
  b.op(Op::TableSlotKey, {walk, slot, b.integer(0)}, 0, Type::Int);
  b.bytes(Op::TableSlotKey, 16, 0, {walk, slot, b.integer(1)});
  b.ret();
  EXPECT_EQ(verify(b.function, module), "");
  const std::string text = print(b.function, module);
  EXPECT_NE(text.find("TableSlotKey 0:t v1, v0, v4 : int"), std::string::npos) << text;
  Builder wrong;
  wrong.at(wrong.block());
  const ValueId zero = wrong.integer(0);
  wrong.bytes(Op::TableSlotKey, 64, 0, {zero, wrong.integer(3), wrong.integer(1)});
  wrong.ret();
  EXPECT_NE(verify(wrong.function, module).find("does not fit the key's part"), std::string::npos);
  Builder none;
  none.at(none.block());
  const ValueId first = none.integer(0);
  none.op(Op::TableSlotKey, {first, none.integer(3), none.integer(2)}, 0, Type::Int);
  none.ret();
  EXPECT_NE(verify(none.function, module).find("no such part of the key"), std::string::npos);
  Builder other;
  other.at(other.block());
  const ValueId number = other.integer(0);
  other.op(Op::TableSlot, {number, other.integer(3)}, 0, Type::MaybeBool);
  other.ret();
  EXPECT_NE(verify(other.function, module).find("not a value of the table"), std::string::npos);
}

}  // namespace
}  // namespace ktap::ssa
