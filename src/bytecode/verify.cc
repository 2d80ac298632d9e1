// The check between those who make bytecode and those who trust it: what passes here can be run,
// lowered and disassembled without a look at any index or any register's kind. Two parts: this file
// looks at each instruction by itself (the shape), verify_flow.cc follows control through the
// function (what the registers hold). Types stay the machine's affair: a call of nil passes. The
// rules stand in this folder's README; whoever relies on one finds it there.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "base/limits.h"
#include "base/printable.h"
#include "bytecode/chunk.h"
#include "bytecode/verify_flow.h"

namespace ktap::bytecode {

namespace {

constexpr size_t kBuiltinVarCount = 0
#define KTAP_BUILTIN_VAR(name, spelling) +1
#include "schema/builtin_vars.def"
#undef KTAP_BUILTIN_VAR
    ;
constexpr int kUpdateOpCount = static_cast<int>(UpdateOp::Concat) + 1;
constexpr int kIterKindCount = static_cast<int>(IterKind::SortKeys) + 1;
constexpr int kHandlerKindCount = static_cast<int>(HandlerKind::End) + 1;
constexpr size_t kMaxCode = size_t{1} << 22;  // so that any Jmp reaches
constexpr size_t kMaxWide = 65536;            // what an operand of 16 bits can name

bool is_name(const std::string& name) { return printable(name) == name; }

bool has_missing_child(const Function& function) {
  return std::any_of(function.children.begin(), function.children.end(),
                     [](const auto& child) { return child == nullptr; });
}

/// Checks one function; the first finding stays in problem_.
class FunctionVerifier {
 public:
  FunctionVerifier(const Chunk& chunk, const Function& function, const Function* parent)
      : chunk_(chunk), function_(function), parent_(parent) {}

  std::string run_shape() {
    check_head();
    if (has_missing_child(function_)) fail("a child is missing");
    for (pc_ = 0; pc_ < function_.code.size() && problem_.empty(); ++pc_) {
      insn_ = function_.code[pc_];
      if (static_cast<int>(insn_.op()) >= kOpCount) {
        fail(fmt::format("no opcode {}", static_cast<int>(insn_.op())));
        break;
      }
      check_control();
      check_data();
      check_constants();
      check_indices();
    }
    return problem_;
  }

  std::string run_flow() {
    if (const std::optional<FlowProblem> problem = check_flow(function_)) {
      pc_ = problem->pc;
      fail(problem->text);
    }
    return problem_;
  }

 private:
  void fail(std::string_view what) {
    if (!problem_.empty()) return;
    const std::string name =
        function_.name.empty() ? "an anonymous function" : printable(function_.name);
    const bool at_insn = pc_ < function_.code.size();
    problem_ = at_insn && static_cast<int>(function_.code[pc_].op()) < kOpCount
                   ? fmt::format("{}, instruction {} ({}): {}", name, pc_,
                                 op_name(function_.code[pc_].op()), what)
                   : fmt::format("{}, instruction {}: {}", name, pc_, what);
  }

  void check_head() {
    if (function_.code.empty()) return fail("no code");
    if (function_.places.size() != function_.code.size()) return fail("places do not fit the code");
    if (function_.register_count > limits::kMaxRegisters) return fail("too many registers");
    if (function_.param_count > function_.register_count)
      return fail("more parameters than registers");
    if (function_.param_names.size() != function_.param_count)
      return fail("parameter names missing");
    if (function_.code.size() > kMaxCode) return fail("too many instructions");
    if (function_.constants.size() > kMaxWide) return fail("too many constants");
    if (function_.children.size() > kMaxWide) return fail("too many functions inside");
    if (function_.upvalues.size() > limits::kMaxUpvalues) return fail("too many upvalues");
    if (parent_ == nullptr && !function_.upvalues.empty()) return fail("upvalues without a parent");
    for (const UpvalueDesc& upvalue : function_.upvalues) {
      const size_t bound =
          upvalue.from_parent_register ? parent_->register_count : parent_->upvalues.size();
      if (upvalue.index >= bound) return fail("an upvalue that the parent does not have");
    }
    check_debug();
    const Op last = function_.code.back().op();
    if (last != Op::Return && last != Op::TailCall && last != Op::Jmp) {
      pc_ = function_.code.size() - 1;
      fail("the end can be crossed");
    }
  }

  /// What messages are made of.
  void check_debug() {
    bool good = is_name(function_.name);
    for (const std::string& name : function_.param_names) good = good && is_name(name);
    for (const UpvalueDesc& upvalue : function_.upvalues) good = good && is_name(upvalue.name);
    if (!good) return fail("a name with control characters");
    const auto forwards = [](const Place& place) { return place.span.begin <= place.span.end; };
    if (!forwards(function_.place)) return fail("a place that ends before it begins");
    for (pc_ = 0; pc_ < function_.places.size() && problem_.empty(); ++pc_) {
      if (!forwards(function_.places[pc_])) fail("a place that ends before it begins");
    }
    pc_ = 0;
  }

  // ---- registers ----

  void reg(int index) { range(index, 1); }

  /// Registers [first, first + count).
  void range(int first, int count) {
    if (count > 0 && first + count > function_.register_count) {
      fail(fmt::format("register {} of {}", first + count - 1, function_.register_count));
    }
  }

  // ---- jumps, tests, calls ----

  void jump(int offset) {
    const int64_t target = static_cast<int64_t>(pc_) + 1 + offset;
    if (target < 0 || target >= static_cast<int64_t>(function_.code.size())) {
      return fail(fmt::format("a jump to {}", target));
    }
    if (target > 0 && is_test(function_.code[static_cast<size_t>(target) - 1].op())) {
      return fail(fmt::format("a jump to {}, between a test and its jump", target));
    }
    if (consumes_open(function_.code[static_cast<size_t>(target)])) {
      fail(fmt::format("a jump to {}, between open results and their use", target));
    }
  }

  static bool consumes_open(Insn insn) {
    switch (insn.op()) {
      case Op::Call:
      case Op::TailCall:
      case Op::Return:
      case Op::SetList:
        return insn.b() == 0;
      default:
        return false;
    }
  }

  /// The first register of the list that `insn` takes up to the open top.
  static int open_list_begin(Insn insn) {
    return insn.op() == Op::Return ? insn.a() : insn.a() + 1;
  }

  void check_open() {
    if (insn_.op() == Op::Call && insn_.c() == 0) {
      if (pc_ + 1 >= function_.code.size() || !consumes_open(function_.code[pc_ + 1])) {
        return fail("open results that nothing uses");
      }
    }
    if (!consumes_open(insn_)) return;
    if (pc_ == 0) return fail("no open results");
    const Insn before = function_.code[pc_ - 1];
    if (before.op() != Op::Call || before.c() != 0) return fail("no open results");
    if (before.a() < open_list_begin(insn_)) fail("open results below the list");
  }

  void check_control() {
    const bool follows_test = pc_ > 0 && is_test(function_.code[pc_ - 1].op());
    if (follows_test && insn_.op() != Op::Jmp) fail("a test is not followed by a jump");
    if (is_test(insn_.op()) && pc_ + 2 >= function_.code.size()) {
      fail("a test at the end of the code");
    }
    check_open();
    switch (insn_.op()) {
      case Op::Jmp:
        return jump(insn_.j());
      case Op::ForPrep:
        // Backwards it would be a loop that counts no iterations.
        if (insn_.s() < 0) fail("a jump backwards out of an empty loop");
        range(insn_.a(), 4);
        return jump(insn_.s());
      case Op::ForLoop:
        if (insn_.s() >= 0) fail("a loop that does not jump back");
        range(insn_.a(), 4);
        return jump(insn_.s());
      case Op::IterPrep:
        range(insn_.a(), 2);
        if (insn_.b() >= kIterKindCount) fail("no such iterator");
        return;
      case Op::IterNext:
        if (insn_.b() == 0) fail("an iterator without variables");
        if (insn_.b() > limits::kMaxKeyParts + 1) fail("too many parts of a key");
        return range(insn_.a(), 2 + insn_.b());
      case Op::Call:
        range(insn_.a(), insn_.b() == 0 ? 1 : insn_.b());
        return range(insn_.a(), insn_.c() - 1);
      case Op::TailCall:
        return range(insn_.a(), insn_.b() == 0 ? 1 : insn_.b());
      case Op::Return:
        return insn_.b() == 0 ? reg(insn_.a()) : range(insn_.a(), insn_.b() - 1);
      case Op::Register:
        range(insn_.a(), 3);
        if (insn_.b() >= kHandlerKindCount) fail("no such kind of handler");
        return;
      case Op::Close:
        return reg(insn_.a());
      default:
        return;
    }
  }

  // ---- operands of everything else ----

  void check_data() {
    const int a = insn_.a();
    const int b = insn_.b();
    const int c = insn_.c();
    switch (insn_.op()) {
      case Op::LoadNil:
        return range(a, b + 1);
      case Op::SetList:
        reg(a);
        return range(a + 1, b);
      case Op::Tuple:
        if (c < 2 || c > limits::kMaxKeyParts) fail("a multi-key of impossible size");
        reg(a);
        return range(b, c);
      case Op::Concat:
        if (c <= b) fail("fewer than two operands");
        reg(a);
        return range(b, c - b + 1);
      case Op::UpdateIndex:
        reg(a);
        return range(b, 2);
      case Op::UpdateGlobal:
      case Op::UpdateUpval:
        return reg(b);
      case Op::SetField:
        reg(a);
        return reg(c);
      case Op::GetField:
      case Op::AddK:
      case Op::SubK:
      case Op::MulK:
      case Op::Move:
      case Op::Neg:
      case Op::Not:
      case Op::BitNot:
      case Op::TestEq:
      case Op::TestLt:
      case Op::TestLe:
      case Op::AggAddVar:
        reg(a);
        return reg(b);
      case Op::GetIndex:
      case Op::SetIndex:
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
      case Op::AggAdd:
        reg(a);
        reg(b);
        return reg(c);
      case Op::Jmp:
      case Op::Return:
        return;
      default:
        return reg(a);  // at least register A; more of it in check_control
    }
  }

  const Constant* constant(size_t index) {
    if (index < function_.constants.size()) return &function_.constants[index];
    fail(fmt::format("constant {} of {}", index, function_.constants.size()));
    return nullptr;
  }
  void string_constant(size_t index) {
    const Constant* found = constant(index);
    if (found != nullptr && !std::holds_alternative<std::string>(*found))
      fail("not a string constant");
  }
  void number_constant(size_t index) {
    const Constant* found = constant(index);
    if (found != nullptr && !std::holds_alternative<int64_t>(*found) &&
        !std::holds_alternative<double>(*found)) {
      fail("not a number constant");
    }
  }

  void check_constants() {
    switch (insn_.op()) {
      case Op::LoadK:
        constant(insn_.d());
        return;
      case Op::TestEqK:
        constant(insn_.b());
        return;
      case Op::GetField:
        return string_constant(insn_.c());
      case Op::SetField:
        return string_constant(insn_.b());
      case Op::EventField:
      case Op::EventWord:
        return string_constant(insn_.d());
      case Op::AddK:
      case Op::SubK:
      case Op::MulK:
        return number_constant(insn_.c());
      default:
        return;
    }
  }

  void index(std::string_view what, size_t value, size_t bound) {
    if (value >= bound) fail(fmt::format("{} {} of {}", what, value, bound));
  }

  void check_indices() {
    switch (insn_.op()) {
      case Op::LoadBuiltin:
        return index("built-in function", insn_.d(), builtin_count());
      case Op::EventVar:
        return index("built-in variable", insn_.d(), kBuiltinVarCount);
      case Op::GetGlobal:
      case Op::SetGlobal:
        return index("global", insn_.d(), chunk_.globals.size());
      case Op::UpdateGlobal:
        index("global", insn_.a(), chunk_.globals.size());
        return index("update", insn_.c(), kUpdateOpCount);
      case Op::GetUpval:
      case Op::SetUpval:
        return index("upvalue", insn_.b(), function_.upvalues.size());
      case Op::UpdateUpval:
        index("upvalue", insn_.a(), function_.upvalues.size());
        return index("update", insn_.c(), kUpdateOpCount);
      case Op::UpdateIndex:
        return index("update", insn_.c(), kUpdateOpCount);
      case Op::Closure:
        return index("child", insn_.d(), function_.children.size());
      default:
        return;
    }
  }

  const Chunk& chunk_;
  const Function& function_;
  const Function* parent_;
  size_t pc_ = 0;
  Insn insn_;
  std::string problem_;
};

std::string verify_shapes(const Chunk& chunk, const Function& function, const Function* parent,
                          int depth) {
  if (depth > limits::kMaxNesting) return "functions nested too deeply";
  std::string problem = FunctionVerifier(chunk, function, parent).run_shape();
  for (const auto& child : function.children) {
    if (!problem.empty()) return problem;
    problem = verify_shapes(chunk, *child, &function, depth + 1);
  }
  return problem;
}

/// Looks at what children capture too: their shapes are good.
std::string verify_flows(const Chunk& chunk, const Function& function) {
  std::string problem = FunctionVerifier(chunk, function, nullptr).run_flow();
  for (const auto& child : function.children) {
    if (!problem.empty()) return problem;
    problem = verify_flows(chunk, *child);
  }
  return problem;
}

}  // namespace

std::string verify(const Chunk& chunk) {
  if (chunk.main == nullptr) return "no main function";
  if (chunk.main->param_count != 0) return "a main function with parameters";
  if (chunk.globals.empty() || chunk.globals.front() != "arg") return "global 0 is not 'arg'";
  if (chunk.globals.size() > limits::kMaxGlobals) return "too many globals";
  for (const std::string& name : chunk.globals) {
    if (!is_name(name)) return "a global's name with control characters";
  }
  const std::string problem = verify_shapes(chunk, *chunk.main, nullptr, 0);
  return problem.empty() ? verify_flows(chunk, *chunk.main) : problem;
}

}  // namespace ktap::bytecode
