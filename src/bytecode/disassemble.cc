// Bytecode → text for `ktap -b` and the golden tests: one function after the other, each
// instruction with its operands written as the operation that it is, source lines between. Reads a
// chunk that verify() accepts.
#include <fmt/format.h>

#include <iterator>
#include <string>

#include "bytecode/chunk.h"
#include "schema/builtin_vars.h"

namespace ktap::bytecode {

namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string constant_text(const Constant& constant) {
  struct Visitor {
    std::string operator()(std::monostate) const { return "nil"; }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(int64_t value) const { return fmt::format("{}", value); }
    std::string operator()(double value) const { return fmt::format("{:#.14g}", value); }
    std::string operator()(const std::string& value) const { return quoted(value); }
  };
  return std::visit(Visitor{}, constant);
}

std::string_view update_text(uint8_t op) {
  constexpr std::string_view kTexts[] = {
      "+=", "-=", "&=", "|=", "^=", "*=", "/=", "%=", "<<=", ">>=", "..="};
  return kTexts[op];
}

std::string_view binary_text(Op op) {
  switch (op) {
    case Op::Add:
    case Op::AddK:
      return "+";
    case Op::Sub:
    case Op::SubK:
      return "-";
    case Op::Mul:
    case Op::MulK:
      return "*";
    case Op::Div:
      return "/";
    case Op::Mod:
      return "%";
    case Op::BitAnd:
      return "&";
    case Op::BitOr:
      return "|";
    case Op::BitXor:
      return "^";
    case Op::Shl:
      return "<<";
    case Op::Shr:
      return ">>";
    case Op::Match:
      return "~";
    default:
      return "?";
  }
}

std::string builtin_text(uint16_t number) {
  return full_name(builtin_info(static_cast<Builtin>(number)));
}

std::string reg(int index) { return fmt::format("r{}", index); }

/// "r1..r3", "r1" or "nothing" for the `count` registers from `first`.
std::string range(int first, int count) {
  if (count <= 0) return "nothing";
  if (count == 1) return reg(first);
  return fmt::format("r{}..r{}", first, first + count - 1);
}

/// Writes one function; holds what an operand's text needs.
class FunctionPrinter {
 public:
  FunctionPrinter(const Chunk& chunk, const Function& function, int number, std::string& out)
      : chunk_(chunk), function_(function), number_(number), out_(out) {}

  void print(const diag::Source* source) {
    print_head();
    uint32_t line = 0;
    for (size_t pc = 0; pc < function_.code.size(); ++pc) {
      const uint32_t here = pc < function_.places.size() ? function_.places[pc].line : 0;
      if (source != nullptr && here != 0 && here != line) {
        out_ += fmt::format("{:4} | {}\n", here, source->line_text(here));
        line = here;
      }
      const Insn insn = function_.code[pc];
      const std::string operands = text(insn, pc);
      out_ += operands.empty()
                  ? fmt::format("  {:5}  {}\n", pc, op_name(insn.op()))
                  : fmt::format("  {:5}  {:<12} {}\n", pc, op_name(insn.op()), operands);
    }
  }

 private:
  void print_head() {
    std::string params;
    for (const std::string& name : function_.param_names) {
      if (!params.empty()) params += ", ";
      params += name;
    }
    out_ += fmt::format("function #{} {}({}): {} registers\n", number_,
                        function_.name.empty() ? "" : function_.name + " ", params,
                        function_.register_count);
    for (size_t i = 0; i < function_.upvalues.size(); ++i) {
      const UpvalueDesc& upvalue = function_.upvalues[i];
      out_ += fmt::format("  upvalue {}: {} = {} of the parent\n", i, upvalue.name,
                          upvalue.from_parent_register ? reg(upvalue.index)
                                                       : fmt::format("upvalue {}", upvalue.index));
    }
  }

  std::string k(size_t index) const { return constant_text(function_.constants[index]); }
  std::string global(size_t slot) const { return "global " + chunk_.globals[slot]; }
  std::string upvalue(size_t index) const { return "upvalue " + function_.upvalues[index].name; }
  static std::string target(size_t pc, int offset) {
    return fmt::format("-> {}", static_cast<int64_t>(pc) + 1 + offset);
  }

  std::string text(Insn insn, size_t pc) const {
    switch (insn.op()) {
      case Op::Jmp:
        return target(pc, insn.j());
      case Op::Test:
      case Op::TestEq:
      case Op::TestLt:
      case Op::TestLe:
      case Op::TestEqK:
        return test_text(insn);
      case Op::ForPrep:
        return fmt::format("r{} = {}, empty {}", insn.a() + 3, range(insn.a(), 3),
                           target(pc, insn.s()));
      case Op::ForLoop:
        return fmt::format("r{} = {}, more {}", insn.a() + 3, range(insn.a(), 3),
                           target(pc, insn.s()));
      case Op::IterPrep: {
        constexpr std::string_view kKinds[] = {"pairs", "sort_pairs", "sort_keys"};
        return fmt::format("r{0} = {2}(r{0}, r{1})", insn.a(), insn.a() + 1, kKinds[insn.b()]);
      }
      case Op::IterNext:
        return fmt::format("{} = next of r{}", range(insn.a() + 2, insn.b()), insn.a());
      case Op::Call:
        return fmt::format("{} = r{}({})", results(insn), insn.a(), arguments(insn));
      case Op::TailCall:
        return fmt::format("r{}({})", insn.a(), arguments(insn));
      case Op::Return:
        return insn.b() == 0 ? fmt::format("r{}...", insn.a()) : returned(insn);
      default:
        return data_text(insn);
    }
  }

  static std::string returned(Insn insn) {
    return insn.b() == 1 ? "" : range(insn.a(), insn.b() - 1);
  }
  static std::string arguments(Insn insn) {
    if (insn.b() == 0) return fmt::format("r{}...", insn.a() + 1);
    return insn.b() == 1 ? "" : range(insn.a() + 1, insn.b() - 1);
  }
  static std::string results(Insn insn) {
    return insn.c() == 0 ? fmt::format("r{}...", insn.a()) : range(insn.a(), insn.c() - 1);
  }

  std::string test_text(Insn insn) const {
    const std::string_view wanted = insn.c() != 0 ? "true" : "false";
    switch (insn.op()) {
      case Op::TestEq:
        return fmt::format("r{} == r{} is {}", insn.a(), insn.b(), wanted);
      case Op::TestLt:
        return fmt::format("r{} < r{} is {}", insn.a(), insn.b(), wanted);
      case Op::TestLe:
        return fmt::format("r{} <= r{} is {}", insn.a(), insn.b(), wanted);
      case Op::TestEqK:
        return fmt::format("r{} == {} is {}", insn.a(), k(insn.b()), wanted);
      default:
        return fmt::format("r{} is {}", insn.a(), wanted);
    }
  }

  std::string data_text(Insn insn) const {
    const int a = insn.a();
    const int b = insn.b();
    const int c = insn.c();
    switch (insn.op()) {
      case Op::LoadNil:
        return fmt::format("{} = nil", range(a, b + 1));
      case Op::LoadBool:
        return fmt::format("r{} = {}", a, b != 0);
      case Op::LoadInt:
        return fmt::format("r{} = {}", a, insn.s());
      case Op::LoadK:
        return fmt::format("r{} = {}", a, k(insn.d()));
      case Op::LoadBuiltin:
        return fmt::format("r{} = {}", a, builtin_text(insn.d()));
      case Op::Move:
        return fmt::format("r{} = r{}", a, b);
      case Op::GetGlobal:
        return fmt::format("r{} = {}", a, global(insn.d()));
      case Op::SetGlobal:
        return fmt::format("{} = r{}", global(insn.d()), a);
      case Op::UpdateGlobal:
        return fmt::format("{} {} r{}", global(insn.a()), update_text(insn.c()), b);
      case Op::GetUpval:
        return fmt::format("r{} = {}", a, upvalue(insn.b()));
      case Op::SetUpval:
        return fmt::format("{} = r{}", upvalue(insn.b()), a);
      case Op::UpdateUpval:
        return fmt::format("{} {} r{}", upvalue(insn.a()), update_text(insn.c()), b);
      case Op::GetIndex:
        return fmt::format("r{} = r{}[r{}]", a, b, c);
      case Op::GetField:
        return fmt::format("r{} = r{}[{}]", a, b, k(insn.c()));
      case Op::SetIndex:
        return fmt::format("r{}[r{}] = r{}", a, b, c);
      case Op::SetField:
        return fmt::format("r{}[{}] = r{}", a, k(insn.b()), c);
      case Op::UpdateIndex:
        return fmt::format("r{}[r{}] {} r{}", a, b, update_text(insn.c()), b + 1);
      case Op::Tuple:
        return fmt::format("r{} = key of {}", a, range(b, c));
      case Op::NewTable:
        return fmt::format("r{} = {{}} for {} + {}", a, b, c);
      case Op::SetList:
        return fmt::format("r{}[{}...] = {}", a, c * 50 + 1,
                           b == 0 ? fmt::format("r{}...", a + 1) : range(a + 1, b));
      case Op::AddK:
      case Op::SubK:
      case Op::MulK:
        return fmt::format("r{} = r{} {} {}", a, b, binary_text(insn.op()), k(insn.c()));
      default:
        return more_text(insn);
    }
  }

  std::string more_text(Insn insn) const {
    const int a = insn.a();
    const int b = insn.b();
    const int c = insn.c();
    switch (insn.op()) {
      case Op::Concat:
        return fmt::format("r{} = join {}", a, range(b, c - b + 1));
      case Op::Neg:
        return fmt::format("r{} = -r{}", a, b);
      case Op::Not:
        return fmt::format("r{} = !r{}", a, b);
      case Op::BitNot:
        return fmt::format("r{} = ~r{}", a, b);
      case Op::Closure: {
        const std::string& name = function_.children[insn.d()]->name;
        return fmt::format("r{} = function {}{}{}", a, insn.d(), name.empty() ? "" : " ", name);
      }
      case Op::Close:
        return fmt::format("from r{}", a);
      case Op::EventVar:
        return fmt::format("r{} = {}", a,
                           schema::builtin_var_name(static_cast<schema::BuiltinVar>(insn.d())));
      case Op::EventField:
        return fmt::format("r{} = field {}", a, k(insn.d()));
      case Op::EventWord:
        return fmt::format("r{} = field or word {}", a, k(insn.d()));
      case Op::Register: {
        constexpr std::string_view kKinds[] = {"event", "tick", "profile", "end"};
        return fmt::format("{} {}", kKinds[insn.b()], range(a, 3));
      }
      case Op::AggAdd:
        return fmt::format("r{}[r{}] <<< r{}", a, b, c);
      case Op::AggAddVar:
        return fmt::format("r{} <<< r{}", a, b);
      default:
        return fmt::format("r{} = r{} {} r{}", a, b, binary_text(insn.op()), c);
    }
  }

  const Chunk& chunk_;
  const Function& function_;
  const int number_;
  std::string& out_;
};

void print_function(const Chunk& chunk, const Function& function, const diag::Source* source,
                    int& next_number, std::string& out) {
  if (next_number > 0) out += '\n';
  FunctionPrinter(chunk, function, next_number++, out).print(source);
  for (const auto& child : function.children) {
    print_function(chunk, *child, source, next_number, out);
  }
}

}  // namespace

std::string disassemble(const Chunk& chunk, const diag::Source* source) {
  std::string out;
  int next_number = 0;
  print_function(chunk, *chunk.main, source, next_number, out);
  return out;
}

}  // namespace ktap::bytecode
