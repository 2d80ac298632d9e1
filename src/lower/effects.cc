// A walk over the functions that a handler can reach, with the cells that their upvalues are. The
// base of each store is traced back to the instruction that loaded it; what cannot be traced could
// be any table in sight.
#include "lower/effects.h"

#include <optional>
#include <set>

#include "bytecode/chunk.h"
#include "lower/code_walk.h"

namespace ktap::lower {

namespace {

using bytecode::Builtin;
using bytecode::Insn;
using bytecode::Op;
using runtime::Table;
using runtime::Type;
using runtime::Value;

class Walk {
 public:
  Walk(const std::vector<Value>& globals, Effects& effects)
      : globals_(globals), effects_(effects) {}

  void value(Value v) {
    if (v.type == Type::Table) {
      touch(v.table());
    } else if (v.type == Type::Aggregate) {
      effects_.aggregates.insert(v.aggregate());
    } else if (v.type == Type::Function) {
      const runtime::Closure* closure = v.closure();
      if (!seen_closures_.insert(closure).second) return;
      function(*closure->function, {closure->upvalues.begin(), closure->upvalues.end()});
    } else if (v.type == Type::Builtin) {
      // It is somewhere a handler may call it from.
      hidden_write_ = hidden_write_ || is_writer(static_cast<Builtin>(v.builtin));
      removes_ = removes_ || static_cast<Builtin>(v.builtin) == Builtin::Delete;
      hidden_samples_ = hidden_samples_ || static_cast<Builtin>(v.builtin) == Builtin::Delete;
      note_action(static_cast<Builtin>(v.builtin));
    }
  }

  /// Every store whose base stayed unknown may have hit anything that was seen.
  void finish() {
    if (hidden_write_) effects_.written.insert(effects_.touched.begin(), effects_.touched.end());
    if (removes_) effects_.removed_from = effects_.touched;
    if (!hidden_samples_) return;
    effects_.resampled.insert(effects_.touched.begin(), effects_.touched.end());
    effects_.resampled.insert(effects_.aggregates.begin(), effects_.aggregates.end());
  }

 private:
  using Cells = std::vector<const runtime::Cell*>;  // null: a variable of a handler's own frame

  void touch(const Table* table) {
    if (!effects_.touched.insert(table).second) return;
    for (const auto& [key, entry] : table->entries()) value(entry);
  }

  void write_all(const Table* table) {
    if (!effects_.written.insert(table).second) return;
    for (const auto& [key, entry] : table->entries()) {
      if (entry.type == Type::Table) write_all(entry.table());
    }
  }

  void assign(const Variable& variable, bool by_adding) {
    effects_.assigned.insert(variable);
    if (!by_adding) effects_.replaced.insert(variable);
  }

  void note_action(Builtin builtin) {
    if (bytecode::acts_in_kernel(builtin)) effects_.actions.insert(builtin);
  }

  static bool adds(Insn update) {
    const auto op = static_cast<bytecode::UpdateOp>(update.c());
    return op == bytecode::UpdateOp::Add || op == bytecode::UpdateOp::Sub;
  }

  void function(const bytecode::Function& f, const Cells& cells) {
    writers(f, cells);
    deletions(f, cells);
    for (size_t pc = 0; pc < f.code.size(); ++pc) {
      const Insn insn = f.code[pc];
      switch (insn.op()) {
        case Op::LoadBuiltin:
          removes_ = removes_ || static_cast<Builtin>(insn.d()) == Builtin::Delete;
          note_action(static_cast<Builtin>(insn.d()));
          break;
        case Op::GetUpval:
          if (const runtime::Cell* cell = cells[insn.b()]) {
            effects_.read.insert({cell, -1});
            value(*cell->slot);
          }
          break;
        case Op::SetUpval:
          if (cells[insn.b()] != nullptr) assign({cells[insn.b()], -1}, false);
          break;
        case Op::UpdateUpval:
          if (cells[insn.a()] != nullptr) assign({cells[insn.a()], -1}, adds(insn));
          break;
        case Op::GetGlobal:
          effects_.read.insert({nullptr, insn.d()});
          value(globals_[insn.d()]);
          break;
        case Op::SetGlobal:
          assign({nullptr, insn.d()}, false);
          break;
        case Op::UpdateGlobal:
          assign({nullptr, insn.a()}, adds(insn));
          break;
        case Op::Closure:
          child(f, insn.d(), cells);
          break;
        case Op::SetIndex:
        case Op::SetField:
          if (is_nil(f, pc, insn.c())) {
            removes_ = true;
            resample(f, pc, insn.a(), cells);
          } else {
            store(f, pc, insn.a(), cells);
          }
          break;
        case Op::UpdateIndex:
          store(f, pc, insn.a(), cells);
          break;
        case Op::AggAdd:
        case Op::AggAddVar:
          resample(f, pc, insn.a(), cells);
          break;
        default:
          break;
      }
    }
  }

  void child(const bytecode::Function& parent, uint16_t index, const Cells& cells) {
    const bytecode::Function& f = *parent.children[index];
    if (!seen_children_.insert(&f).second) return;
    Cells captured;
    for (const bytecode::UpvalueDesc& desc : f.upvalues) {
      captured.push_back(desc.from_parent_register ? nullptr : cells[desc.index]);
    }
    function(f, captured);
  }

  /// It changes the table that is its first argument; emptying is no change.
  static bool is_writer(Builtin builtin) {
    switch (builtin) {
      case Builtin::Count:
      case Builtin::InplaceInc:
      case Builtin::TableCount:
      case Builtin::TableInsert:
      case Builtin::TableRemove:
      case Builtin::TableSort:
        return true;
      default:
        return false;
    }
  }

  /// Visits the calls of such built-ins: visit(built-in, number of the call's instruction).
  /// True when one is loaded and not called where the text shows it: it may be called anywhere, on
  /// anything.
  template <class IsWanted, class Visit>
  static bool each_call_of(const bytecode::Function& f, IsWanted is_wanted, Visit visit) {
    std::set<size_t> loaded;
    for (size_t pc = 0; pc < f.code.size(); ++pc) {
      const Insn insn = f.code[pc];
      if (insn.op() == Op::LoadBuiltin && is_wanted(static_cast<Builtin>(insn.d())))
        loaded.insert(pc);
      if (insn.op() != Op::Call && insn.op() != Op::TailCall) continue;
      const std::optional<size_t> at = definition(f, pc, insn.a());
      if (at && loaded.erase(*at) != 0) visit(static_cast<Builtin>(f.code[*at].d()), pc);
    }
    return !loaded.empty();
  }

  void writers(const bytecode::Function& f, const Cells& cells) {
    const bool is_hidden = each_call_of(f, is_writer, [&](Builtin builtin, size_t pc) {
      const Insn call = f.code[pc];
      const bool counts_samples = builtin == Builtin::Count && call.b() == 2;
      if (!counts_samples) store(f, pc, static_cast<uint8_t>(call.a() + 1), cells);
    });
    hidden_write_ = hidden_write_ || is_hidden;
  }

  void deletions(const bytecode::Function& f, const Cells& cells) {
    const auto is_deletion = [](Builtin builtin) { return builtin == Builtin::Delete; };
    const bool is_hidden = each_call_of(f, is_deletion, [&](Builtin, size_t pc) {
      resample(f, pc, static_cast<uint8_t>(f.code[pc].a() + 1), cells);
    });
    hidden_samples_ = hidden_samples_ || is_hidden;
  }

  /// What the text shows that a register holds.
  struct Root {
    enum class Kind : uint8_t { Hidden, Fresh, Known } kind = Kind::Hidden;
    bool nested = false;           ///< what it holds is in `value`, at some depth
    const Value* value = nullptr;  ///< Known: of a variable
  };
  Root root_of(const bytecode::Function& f, size_t pc, uint8_t base, const Cells& cells) const {
    Root root;
    for (int steps = 0; steps < 64; ++steps) {
      const std::optional<size_t> at = definition(f, pc, base);
      if (!at) break;
      const Insn insn = f.code[*at];
      pc = *at;
      if (insn.op() == Op::NewTable && !root.nested) {
        root.kind = Root::Kind::Fresh;
        break;
      }
      if (insn.op() == Op::Move || insn.op() == Op::GetField || insn.op() == Op::GetIndex) {
        root.nested = root.nested || insn.op() != Op::Move;
        base = insn.b();
        continue;
      }
      if (insn.op() == Op::GetGlobal) root.value = &globals_[insn.d()];
      if (insn.op() == Op::GetUpval && cells[insn.b()] != nullptr)
        root.value = cells[insn.b()]->slot;
      if (root.value != nullptr) root.kind = Root::Kind::Known;
      break;
    }
    return root;
  }

  void store(const bytecode::Function& f, size_t pc, uint8_t base, const Cells& cells) {
    const Root root = root_of(f, pc, base, cells);
    if (root.kind == Root::Kind::Fresh) return;
    if (root.kind == Root::Kind::Hidden || root.value->type != Type::Table) {
      hidden_write_ = true;
    } else if (root.nested) {
      write_all(root.value->table());
    } else {
      effects_.written.insert(root.value->table());
    }
  }

  /// Samples are added to the aggregate, or to a cell of the table, in the register, or go there.
  void resample(const bytecode::Function& f, size_t pc, uint8_t base, const Cells& cells) {
    const Root root = root_of(f, pc, base, cells);
    if (root.kind == Root::Kind::Fresh) return;
    if (root.kind == Root::Kind::Hidden || root.nested) {
      hidden_samples_ = true;
    } else if (root.value->type == Type::Table) {
      effects_.resampled.insert(root.value->table());
    } else if (root.value->type == Type::Aggregate) {
      effects_.resampled.insert(root.value->aggregate());
    }
  }

  /// The text shows that the register is nil there: `t[k] = nil` is delete(t, k).
  static bool is_nil(const bytecode::Function& f, size_t pc, uint8_t reg) {
    const std::optional<size_t> at = definition(f, pc, reg);
    return at && f.code[*at].op() == Op::LoadNil;
  }

  static bool is_jump_target(const bytecode::Function& f, size_t target) {
    for (size_t pc = 0; pc < f.code.size(); ++pc) {
      for (const size_t next : successors(f, pc)) {
        if (next == target && next != pc + 1) return true;
      }
    }
    return false;
  }

  /// The nearest earlier instruction that writes `reg` with no jump or jump target between, by text
  /// order.
  static std::optional<size_t> definition(const bytecode::Function& f, size_t pc, uint8_t reg) {
    while (pc > 0) {
      if (is_jump_target(f, pc)) return std::nullopt;
      const Insn insn = f.code[--pc];
      const Op op = insn.op();
      if (op == Op::Jmp || op == Op::ForLoop || op == Op::ForPrep) return std::nullopt;
      if (writes_upwards(op) && reg >= insn.a()) return std::nullopt;
      const int last = op == Op::LoadNil ? insn.a() + insn.b() : insn.a();
      if (writes_a(op) && reg >= insn.a() && reg <= last) return pc;
    }
    return std::nullopt;
  }

  const std::vector<Value>& globals_;
  Effects& effects_;
  std::set<const runtime::Closure*> seen_closures_;
  std::set<const bytecode::Function*> seen_children_;
  bool hidden_write_ = false;
  bool hidden_samples_ = false;
  bool removes_ = false;  // delete() is called; which table, nobody needs to know so far
};

}  // namespace

Effects effects_of(const Handler& handler, const std::vector<Value>& globals) {
  Effects effects;
  Walk walk(globals, effects);
  walk.value(handler.function);
  walk.value(handler.filter);
  walk.finish();
  return effects;
}

}  // namespace ktap::lower
