// See register_use.h.
#include "bytecode/register_use.h"

#include "base/check.h"

namespace ktap::bytecode {

namespace {

RegisterUse control_use(const Function& function, size_t pc) {
  const Insn insn = function.code[pc];
  const int a = insn.a();
  const int b = insn.b();
  // A list is counted by B - 1, or open.
  const auto list = [&](int first) {
    if (b != 0) return RegisterRange{first, b - 1};
    return RegisterRange{first, pc == 0 ? 0 : function.code[pc - 1].a() - first};
  };
  switch (insn.op()) {
    case Op::ForPrep:
    case Op::ForLoop:
      return {{{{a, 3}}}, {a + 3, 1}};
    case Op::IterPrep:
      return {{{{a, 2}}}, {a, 1}};
    case Op::IterNext:
      return {{{{a, 1}}}, {a + 2, b}};
    case Op::Call:
      return {{{{a, 1}, list(a + 1)}}, {a, function.register_count - a}};
    case Op::TailCall:
      return {{{{a, 1}, list(a + 1)}}, {}};
    case Op::Return:
      return {{{list(a)}}, {}};
    case Op::Register:
      return {{{{a, 3}}}, {}};
    case Op::Jmp:
    case Op::Close:
      return {};
    default:
      KTAP_CHECK(false);
      return {};
  }
}

/// Instructions that give no value.
RegisterUse store_use(const Function& function, size_t pc) {
  const Insn insn = function.code[pc];
  const int a = insn.a();
  const int b = insn.b();
  const int c = insn.c();
  switch (insn.op()) {
    case Op::SetGlobal:
    case Op::SetUpval:
    case Op::Test:
    case Op::TestEqK:
      return {{{{a, 1}}}, {}};
    case Op::UpdateGlobal:
    case Op::UpdateUpval:
      return {{{{b, 1}}}, {}};
    case Op::TestEq:
    case Op::TestLt:
    case Op::TestLe:
    case Op::AggAddVar:
      return {{{{a, 1}, {b, 1}}}, {}};
    case Op::SetIndex:
    case Op::AggAdd:
      return {{{{a, 1}, {b, 1}, {c, 1}}}, {}};
    case Op::SetField:
      return {{{{a, 1}, {c, 1}}}, {}};
    case Op::UpdateIndex:
      return {{{{a, 1}, {b, 2}}}, {}};
    case Op::SetList: {
      const int end = b != 0 ? a + 1 + b : function.code[pc - 1].a();
      return {{{{a, end - a}}}, {}};
    }
    default:
      return control_use(function, pc);
  }
}

}  // namespace

RegisterUse register_use(const Function& function, size_t pc) {
  const Insn insn = function.code[pc];
  const int a = insn.a();
  const int b = insn.b();
  const int c = insn.c();
  switch (insn.op()) {
    case Op::LoadNil:
      return {{}, {a, b + 1}};
    case Op::LoadBool:
    case Op::LoadInt:
    case Op::LoadK:
    case Op::LoadBuiltin:
    case Op::GetGlobal:
    case Op::GetUpval:
    case Op::EventVar:
    case Op::EventField:
    case Op::EventWord:
    case Op::NewTable:
    case Op::Closure:
      return {{}, {a, 1}};
    case Op::Move:
    case Op::GetField:
    case Op::AddK:
    case Op::SubK:
    case Op::MulK:
    case Op::Neg:
    case Op::Not:
    case Op::BitNot:
      return {{{{b, 1}}}, {a, 1}};
    case Op::GetIndex:
    case Op::Add:
    case Op::Sub:
    case Op::Mul:
    case Op::Div:
    case Op::Mod:
    case Op::BitAnd:
    case Op::BitOr:
    case Op::BitXor:
    case Op::Shl:
    case Op::Shr:
    case Op::Match:
      return {{{{b, 1}, {c, 1}}}, {a, 1}};
    case Op::Tuple:
      return {{{{b, c}}}, {a, 1}};
    case Op::Concat:
      return {{{{b, c - b + 1}}}, {a, 1}};
    default:
      return store_use(function, pc);
  }
}

}  // namespace ktap::bytecode
