// See reader_uses.h. A built-in that is loaded counts as called. What prints may get an aggregate,
// or a table of them, unless the code shows that each argument is something else: the compiler
// computes the arguments of a call behind the loading of its callee, each in its own register.
#include "bytecode/reader_uses.h"

#include <optional>

namespace ktap::bytecode {
namespace {

/// Its result may be an aggregate, or a table that holds one.
bool may_give_aggregate(Builtin builtin) {
  switch (builtin) {
    case Builtin::Aggr:
    case Builtin::Assert:
    case Builtin::Ptable:
    case Builtin::TableNew:
    case Builtin::TableRemove:
      return true;
    default:
      return false;
  }
}

class Finder {
 public:
  explicit Finder(const Function& function) : f_(function) {}

  ReaderUses run() {
    find_hist_calls(f_, &uses_.linear);
    for (size_t pc = 0; pc < f_.code.size(); ++pc) {
      if (f_.code[pc].op() == Op::LoadBuiltin) loaded(pc);
    }
    return uses_;
  }

 private:
  void loaded(size_t pc) {
    switch (static_cast<Builtin>(f_.code[pc].d())) {
      case Builtin::Sum:
        uses_.sum = true;
        return;
      case Builtin::Min:
        uses_.least = true;
        return;
      case Builtin::Max:
        uses_.greatest = true;
        return;
      case Builtin::Stddev:
        uses_.squares = true;
        [[fallthrough]];
      case Builtin::Avg:
        uses_.whole_sum = true;
        return;
      case Builtin::Quantile:
        uses_.log_linear = uses_.least = uses_.greatest = true;
        return;
      case Builtin::Hist:
        return hist(pc);
      case Builtin::PrintHist:
      case Builtin::Histogram:
      case Builtin::PrintHeatmap:
        uses_.log2 = true;
        return;
      case Builtin::PrintTable:
        uses_.whole_sum = uses_.least = uses_.greatest = true;
        return;
      case Builtin::Print:
      case Builtin::Printf:
      case Builtin::Warn:
      case Builtin::Format:
      case Builtin::StringFormat:
      case Builtin::Tostring:
      case Builtin::Stringof:
      case Builtin::Error:
        if (may_print_aggregate(pc)) {
          uses_.whole_sum = uses_.least = uses_.greatest = true;
        }
        return;
      default:
        return;
    }
  }

  /// The linear ones are found by find_hist_calls.
  void hist(size_t pc) {
    const std::optional<size_t> call = call_of(pc);
    const int arguments = call ? f_.code[*call].b() - 1 : -1;
    uses_.log2 = uses_.log2 || arguments == 1 || arguments < 0;
    uses_.log_linear = uses_.log_linear || arguments == 2 || arguments < 0;
  }

  /// The call of the function that was loaded at `pc`, by the order of the text.
  std::optional<size_t> call_of(size_t pc) const {
    const uint8_t reg = f_.code[pc].a();
    for (size_t at = pc + 1; at < f_.code.size(); ++at) {
      const Insn insn = f_.code[at];
      if ((insn.op() == Op::Call || insn.op() == Op::TailCall) && insn.a() == reg) return at;
      if (op_format(insn.op()) != Format::J && insn.a() == reg) return std::nullopt;
    }
    return std::nullopt;
  }

  bool may_print_aggregate(size_t pc) const {
    const std::optional<size_t> call = call_of(pc);
    if (!call || f_.code[*call].b() == 0) return true;
    const int first = f_.code[pc].a() + 1;
    const int end = f_.code[pc].a() + f_.code[*call].b();
    for (int reg = first; reg < end; ++reg) {
      if (!is_plain(pc, *call, reg)) return true;
    }
    return false;
  }

  /// What is in `reg` at `end` was put there behind `begin`, and is neither an aggregate nor a
  /// table. What a later value replaces does not count, unless a jump leads past that one.
  bool is_plain(size_t begin, size_t end, int reg) const {
    bool plain = false;
    bool any = false;
    for (size_t at = begin + 1; at < end; ++at) {
      const Insn insn = f_.code[at];
      const bool jumps = is_test(insn.op()) || op_format(insn.op()) == Format::J;
      if (jumps && any && !plain) return false;
      if (!writes(insn, reg)) continue;
      plain = gives_plain(at, begin);
      any = true;
    }
    return plain;
  }

  static bool writes(Insn insn, int reg) {
    switch (insn.op()) {
      case Op::LoadNil:
        return insn.a() <= reg && reg <= insn.a() + insn.b();
      case Op::Call:
        return insn.a() <= reg && (insn.c() == 0 || reg < insn.a() + insn.c() - 1);
      case Op::SetGlobal:
      case Op::SetUpval:
      case Op::SetIndex:
      case Op::SetField:
      case Op::SetList:
      case Op::UpdateIndex:
      case Op::UpdateGlobal:
      case Op::UpdateUpval:
      case Op::Jmp:
      case Op::Test:
      case Op::TestEq:
      case Op::TestLt:
      case Op::TestLe:
      case Op::TestEqK:
        return false;
      default:
        return insn.a() == reg;
    }
  }

  bool gives_plain(size_t at, size_t begin) const {
    const Insn insn = f_.code[at];
    switch (insn.op()) {
      case Op::LoadNil:
      case Op::LoadBool:
      case Op::LoadInt:
      case Op::LoadK:
      case Op::LoadBuiltin:
      case Op::Add:
      case Op::Sub:
      case Op::Mul:
      case Op::Div:
      case Op::Mod:
      case Op::AddK:
      case Op::SubK:
      case Op::MulK:
      case Op::BitAnd:
      case Op::BitOr:
      case Op::BitXor:
      case Op::Shl:
      case Op::Shr:
      case Op::Concat:
      case Op::Neg:
      case Op::Not:
      case Op::BitNot:
      case Op::Match:
      case Op::EventVar:
      case Op::EventField:
      case Op::EventWord:
      case Op::Closure:
        return true;
      case Op::Call:
        return calls_plain(at, begin);
      case Op::Move:
        return is_plain_local(insn.b());
      default:
        return false;
    }
  }

  /// A local variable, or several in one register, that only get constants and results of
  /// operators, keys of a walk, counters of a loop.
  bool is_plain_local(int reg) const {
    if (reg < f_.param_count || is_captured(reg)) return false;
    bool any = false;
    for (size_t at = 0; at < f_.code.size(); ++at) {
      const Insn insn = f_.code[at];
      bool plain = false;
      if (insn.op() == Op::IterNext) {
        const int first = insn.a() + 2;
        const int value = insn.b() == 1 ? -1 : insn.a() + 1 + insn.b();
        if (reg < first || reg >= first + insn.b()) continue;
        plain = reg != value;
      } else if (insn.op() == Op::ForPrep || insn.op() == Op::ForLoop) {
        if (reg < insn.a() || reg > insn.a() + 3) continue;
        plain = true;
      } else if (!writes(insn, reg)) {
        continue;
      } else {
        plain = insn.op() != Op::Call && insn.op() != Op::Move && gives_plain(at, 0);
      }
      if (!plain) return false;
      any = true;
    }
    return any;
  }

  bool is_captured(int reg) const {
    for (const auto& child : f_.children) {
      for (const UpvalueDesc& upvalue : child->upvalues) {
        if (upvalue.from_parent_register && upvalue.index == reg) return true;
      }
    }
    return false;
  }

  /// A call of a built-in function whose result is plain.
  bool calls_plain(size_t call, size_t begin) const {
    for (size_t at = call; at-- > begin;) {
      const Insn insn = f_.code[at];
      if (!writes(insn, f_.code[call].a())) continue;
      return insn.op() == Op::LoadBuiltin && !may_give_aggregate(static_cast<Builtin>(insn.d()));
    }
    return false;
  }

  const Function& f_;
  ReaderUses uses_;
};

}  // namespace

ReaderUses ReaderUses::all() {
  ReaderUses uses;
  uses.sum = uses.whole_sum = uses.squares = uses.least = uses.greatest = true;
  uses.log2 = uses.log_linear = true;
  return uses;
}

void ReaderUses::add(const ReaderUses& more) {
  sum |= more.sum;
  whole_sum |= more.whole_sum;
  squares |= more.squares;
  least |= more.least;
  greatest |= more.greatest;
  log2 |= more.log2;
  log_linear |= more.log_linear;
  linear.computed |= more.linear.computed;
  linear.constant.insert(linear.constant.end(), more.linear.constant.begin(),
                         more.linear.constant.end());
}

ReaderUses find_reader_uses(const Function& function) {
  ReaderUses uses = Finder(function).run();
  for (const auto& child : function.children) uses.add(find_reader_uses(*child));
  return uses;
}

}  // namespace ktap::bytecode
