// Portable code to steps, in two passes: every instruction alone, then neighbours that are done at
// once. It relies on what the verifier has checked: a test is followed by a jump, indices are in
// range.
#include <algorithm>
#include <cstdint>

#include "base/check.h"
#include "vm/step.h"

namespace ktap::vm {

using bytecode::Insn;
using bytecode::Op;
using bytecode::UpdateOp;

namespace {

constexpr int kValueBytes = static_cast<int>(sizeof(runtime::Value));
constexpr int kStepBytes = static_cast<int>(sizeof(Step));

/// A register or a small constant.
uint16_t offset(int index) { return static_cast<uint16_t>(index * kValueBytes); }

/// Is some register of `function` captured by a closure made in it?
bool has_captured_registers(const bytecode::Function& function) {
  return std::any_of(function.children.begin(), function.children.end(), [](const auto& child) {
    return std::any_of(child->upvalues.begin(), child->upvalues.end(),
                       [](const auto& upvalue) { return upvalue.from_parent_register; });
  });
}

class Translator {
 public:
  explicit Translator(const bytecode::Function& function)
      : function_(function), captured_(has_captured_registers(function)) {}

  std::vector<Step> run() {
    steps_.resize(function_.code.size());
    for (at_ = 0; at_ < steps_.size(); ++at_) {
      insn_ = function_.code[at_];
      steps_[at_] = single();
    }
    for (at_ = 0; at_ + 1 < steps_.size(); ++at_) join(steps_[at_], steps_[at_ + 1]);
    return std::move(steps_);
  }

 private:
  // ---- operands
  static Step step(StepOp op) {
    Step made;
    made.op = op;
    return made;
  }
  /// R[a], and a number.
  Step a_imm(StepOp op, int imm) const {
    Step made = step(op);
    made.a = offset(insn_.a());
    made.imm = imm;
    return made;
  }
  /// R[a], R[b] or K[b], R[c] or K[c].
  Step abc(StepOp op) const {
    Step made = step(op);
    made.a = offset(insn_.a());
    made.b = offset(insn_.b());
    made.c = offset(insn_.c());
    made.d = UINT16_MAX;
    return made;
  }
  /// R[a], and two numbers.
  Step a_raw(StepOp op) const {
    Step made = step(op);
    made.a = offset(insn_.a());
    made.b = insn_.b();
    made.c = insn_.c();
    return made;
  }
  /// a as it is, R[b], c as it is.
  Step raw_b_raw(StepOp op) const {
    Step made = step(op);
    made.a = insn_.a();
    made.b = offset(insn_.b());
    made.c = insn_.c();
    return made;
  }
  static int jump(int instructions) { return (instructions + 1) * kStepBytes; }

  // ---- groups of instructions
  Step single() const;
  Step variable() const;
  Step table() const;
  Step number_constant(StepOp with_int, StepOp with_constant) const;
  Step test() const;
  Step control() const;
  Step event() const;
  static void join(Step& first, const Step& second);

  const bytecode::Function& function_;
  const bool captured_;
  std::vector<Step> steps_;
  size_t at_ = 0;
  Insn insn_;
};

Step Translator::single() const {
  switch (insn_.op()) {
    case Op::LoadNil:
      return a_imm(StepOp::LoadNil, insn_.b());
    case Op::LoadBool:
      return a_imm(StepOp::LoadBool, insn_.b());
    case Op::LoadInt:
      return a_imm(StepOp::LoadInt, insn_.s());
    case Op::LoadK:
      return a_imm(StepOp::LoadK, insn_.d() * kValueBytes);
    case Op::LoadBuiltin:
      return a_imm(StepOp::LoadBuiltin, insn_.d());
    case Op::Move:
      return abc(StepOp::Move);
    case Op::AddK:
      return number_constant(StepOp::AddInt, StepOp::AddK);
    case Op::SubK:
      return number_constant(StepOp::SubInt, StepOp::SubK);
    case Op::MulK:
      return number_constant(StepOp::MulInt, StepOp::MulK);
    case Op::Concat: {
      Step made = abc(StepOp::Concat);
      made.c = static_cast<uint16_t>(insn_.c() - insn_.b() + 1);
      return made;
    }
#define KTAP_SAME(name) \
  case Op::name:        \
    return abc(StepOp::name);
      KTAP_SAME(Add)
      KTAP_SAME(Sub)
      KTAP_SAME(Mul)
      KTAP_SAME(Div)
      KTAP_SAME(Mod)
      KTAP_SAME(BitAnd)
      KTAP_SAME(BitOr)
      KTAP_SAME(BitXor)
      KTAP_SAME(Shl)
      KTAP_SAME(Shr)
      KTAP_SAME(Neg)
      KTAP_SAME(Not)
      KTAP_SAME(BitNot)
      KTAP_SAME(Match)
#undef KTAP_SAME
    default:
      return variable();
  }
}

Step Translator::variable() const {
  const bool adds = static_cast<UpdateOp>(insn_.c()) == UpdateOp::Add;
  switch (insn_.op()) {
    case Op::GetGlobal:
      return a_imm(StepOp::GetGlobal, insn_.d() * kValueBytes);
    case Op::SetGlobal:
      return a_imm(StepOp::SetGlobal, insn_.d() * kValueBytes);
    case Op::UpdateGlobal:
      return raw_b_raw(adds ? StepOp::AddGlobal : StepOp::UpdateGlobal);
    case Op::GetUpval:
      return a_raw(StepOp::GetUpval);
    case Op::SetUpval:
      return a_raw(StepOp::SetUpval);
    case Op::UpdateUpval:
      return raw_b_raw(adds ? StepOp::AddUpval : StepOp::UpdateUpval);
    default:
      return table();
  }
}

Step Translator::table() const {
  switch (insn_.op()) {
    case Op::GetIndex:
      return abc(StepOp::GetIndex);
    case Op::GetField:
      return abc(StepOp::GetField);
    case Op::SetIndex:
      return abc(StepOp::SetIndex);
    case Op::SetField:
      return abc(StepOp::SetField);
    case Op::UpdateIndex: {
      const bool adds = static_cast<UpdateOp>(insn_.c()) == UpdateOp::Add;
      Step made = abc(adds ? StepOp::AddIndex : StepOp::UpdateIndex);
      made.c = insn_.c();
      return made;
    }
    case Op::Tuple: {
      Step made = abc(StepOp::Tuple);
      made.c = insn_.c();
      return made;
    }
    case Op::NewTable:
      return a_raw(StepOp::NewTable);
    case Op::SetList:
      return a_raw(StepOp::SetList);
    default:
      return test();
  }
}

Step Translator::number_constant(StepOp with_int, StepOp with_constant) const {
  Step made = abc(with_constant);
  const auto* number = std::get_if<int64_t>(&function_.constants[insn_.c()]);
  if (number != nullptr && *number >= INT32_MIN && *number <= INT32_MAX) {
    made.op = with_int;
    made.imm = static_cast<int32_t>(*number);
  }
  return made;
}

/// A test with the jump behind it.
Step Translator::test() const {
  if (!bytecode::is_test(insn_.op())) return control();
  const Insn next = function_.code[at_ + 1];
  KTAP_CHECK(next.op() == Op::Jmp);
  const bool sense = insn_.c() != 0;
  Step made = abc(StepOp::Test);
  made.imm = jump(next.j());  // from that step
  switch (insn_.op()) {
    case Op::Test:
      made.op = sense ? StepOp::Test : StepOp::TestNot;
      break;
    case Op::TestEq:
      made.op = sense ? StepOp::TestEq : StepOp::TestNotEq;
      break;
    case Op::TestLt:
      made.op = sense ? StepOp::TestLt : StepOp::TestNotLt;
      break;
    case Op::TestLe:
      made.op = sense ? StepOp::TestLe : StepOp::TestNotLe;
      break;
    case Op::TestEqK:
      if (std::holds_alternative<std::monostate>(function_.constants[insn_.b()])) {
        made.op = sense ? StepOp::TestNil : StepOp::TestNotNil;
      } else {
        made.op = sense ? StepOp::TestEqK : StepOp::TestNotEqK;
      }
      break;
    case Op::IterNext:
      made.op = StepOp::IterNext;
      made.b = insn_.b();
      break;
    default:
      KTAP_UNREACHABLE();
  }
  return made;
}

Step Translator::control() const {
  switch (insn_.op()) {
    case Op::Jmp: {
      Step made = step(StepOp::Jmp);
      made.imm = jump(insn_.j());
      return made;
    }
    case Op::ForPrep:
      return a_imm(StepOp::ForPrep, jump(insn_.s()));
    case Op::ForLoop:
      return a_imm(StepOp::ForLoop, jump(insn_.s()));
    case Op::IterPrep:
      return a_raw(StepOp::IterPrep);
    case Op::Closure:
      return a_imm(StepOp::Closure, insn_.d());
    case Op::Close:
      return a_raw(StepOp::Close);
    case Op::Call:
      return a_raw(StepOp::Call);
    case Op::TailCall:
      return a_raw(StepOp::TailCall);
    case Op::Return:
      if (!captured_ && insn_.b() == 1) return a_raw(StepOp::Return0);
      if (!captured_ && insn_.b() == 2) return a_raw(StepOp::Return1);
      return a_raw(StepOp::Return);
    default:
      return event();
  }
}

Step Translator::event() const {
  switch (insn_.op()) {
    case Op::EventVar:
      return a_imm(StepOp::EventVar, insn_.d());
    case Op::EventField:
      return a_imm(StepOp::EventField, insn_.d() * kValueBytes);
    case Op::EventWord:
      return a_imm(StepOp::EventWord, insn_.d() * kValueBytes);
    case Op::Register:
      return a_raw(StepOp::Register);
    case Op::AggAdd:
      return abc(StepOp::AggAdd);
    case Op::AggAddVar:
      return abc(StepOp::AggAddVar);
    default:
      KTAP_UNREACHABLE();
  }
}

/// What LoadInt becomes before a test that reads its register.
StepOp int_test(const Step& load, const Step& test) {
  const bool right = test.b == load.a;
  switch (test.op) {
    case StepOp::TestLt:
      return right ? StepOp::IntTestLt : StepOp::IntTestGt;
    case StepOp::TestNotLt:
      return right ? StepOp::IntTestNotLt : StepOp::IntTestNotGt;
    case StepOp::TestLe:
      return right ? StepOp::IntTestLe : StepOp::IntTestGe;
    default:
      return right ? StepOp::IntTestNotLe : StepOp::IntTestNotGe;
  }
}

/// `second` is still a step of its own.
void Translator::join(Step& first, const Step& second) {
  if (first.op != StepOp::LoadInt) return;
  switch (second.op) {
    case StepOp::TestLt:
    case StepOp::TestNotLt:
    case StepOp::TestLe:
    case StepOp::TestNotLe:
      if (second.a == first.a || second.b == first.a) first.op = int_test(first, second);
      return;
    case StepOp::Div:
      if (second.c == first.a && first.imm > 0) first.op = StepOp::IntDiv;
      return;
    case StepOp::Mod:
      if (second.c == first.a && first.imm > 0) first.op = StepOp::IntMod;
      return;
    case StepOp::BitAnd:
      if (second.c == first.a) first.op = StepOp::IntBitAnd;
      return;
    case StepOp::Shl:
      if (second.c == first.a) first.op = StepOp::IntShl;
      return;
    case StepOp::Shr:
      if (second.c == first.a) first.op = StepOp::IntShr;
      return;
    case StepOp::AddIndex:
      if (second.b + kValueBytes == first.a) first.op = StepOp::IntAddIndex;
      return;
    default:
      return;
  }
}

}  // namespace

std::string_view step_name(StepOp op) {
  static constexpr std::string_view kNames[] = {
#define KTAP_STEP(name, meaning) #name,
#include "vm/steps.def"
#undef KTAP_STEP
  };
  return kNames[static_cast<size_t>(op)];
}

std::vector<Step> translate(const bytecode::Function& function) {
  return Translator(function).run();
}

}  // namespace ktap::vm
