// See mutator.h. Instructions are changed on the loaded chunk, which is then written as it is:
// whether it still holds what verify() promises is for the reader of the file to find out.
#include "mutator.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "bytecode/file.h"
#include "bytecode/numbering.h"
#include "diag/source.h"

namespace ktap::testing {

using bytecode::Chunk;
using bytecode::Function;
using bytecode::Insn;
using bytecode::Op;

uint64_t Chance::next() {
  state_ += 0x9e3779b97f4a7c15;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::string mutate_bytes(std::string bytes, const std::string& other, Chance& chance) {
  const size_t changes = 1 + chance.below(3);
  for (size_t i = 0; i < changes && !bytes.empty(); ++i) {
    // Most of it behind the header, where a change is not simply another checksum.
    const size_t first = chance.once_in(20) ? 0 : bytecode::kFileHeaderBytes;
    const size_t at = std::min(first + chance.below(bytes.size()), bytes.size() - 1);
    switch (chance.below(6)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << chance.below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(chance.next());
        break;
      case 2:
        bytes[at] = static_cast<char>(bytes[at] + (chance.once_in(2) ? 1 : -1));
        break;
      case 3:
        bytes.erase(at, 1 + chance.below(4));
        break;
      case 4:
        bytes.insert(at, bytes.substr(chance.below(bytes.size()), 1 + chance.below(8)));
        break;
      default: {
        const size_t from = chance.below(other.size());
        bytes.replace(at, chance.below(16), other.substr(from, chance.below(32)));
        break;
      }
    }
  }
  if (!chance.once_in(50)) bytecode::mend_header(bytes);
  return bytes;
}

namespace {

void collect(Function& function, std::vector<Function*>& all) {
  all.push_back(&function);
  for (auto& child : function.children) collect(*child, all);
}

/// Numbers of lists stay in them: other ones cannot be written.
Insn writable(Insn insn) {
  if (static_cast<int>(insn.op()) >= bytecode::kOpCount) insn.word &= ~uint32_t{0xff};
  const bytecode::Reference reference = bytecode::reference_of(insn.op());
  if (reference.operand == bytecode::Operand::None) return insn;
  const size_t value = bytecode::operand_value(insn, reference.operand);
  return with_operand(insn, reference.operand, value % bytecode::list_size(reference.list));
}

class CodeMutator {
 public:
  CodeMutator(Function& function, Chance& chance) : function_(function), chance_(chance) {}

  void once() {
    const size_t kind = chance_.below(14);
    if (function_.code.empty()) return;
    const size_t at = chance_.below(function_.code.size());
    Insn& insn = function_.code[at];
    if (kind < 5) {
      change_operand(insn);
    } else if (kind < 7) {
      change_op(insn);
    } else if (kind < 12) {
      move_code(kind, at);
    } else if (kind == 12) {
      change_constant();
    } else {
      change_head();
    }
    for (Insn& each : function_.code) each = writable(each);
  }

 private:
  uint8_t some_register() {
    return static_cast<uint8_t>(chance_.below(size_t{function_.register_count} + 1));
  }

  void change_operand(Insn& insn) {
    const auto other = some_register();
    switch (chance_.below(5)) {
      case 0:
        insn = Insn::abc(insn.op(), other, insn.b(), insn.c());
        break;
      case 1:
        insn = Insn::abc(insn.op(), insn.a(), other, insn.c());
        break;
      case 2:
        insn = Insn::abc(insn.op(), insn.a(), insn.b(), other);
        break;
      case 3:
        insn = Insn::abc(insn.op(), insn.a(), insn.c(), insn.b());
        break;
      default:
        insn.word += (chance_.once_in(2) ? 1U : ~0U) << (8 + 8 * chance_.below(3));
        break;
    }
  }

  /// Another operation on the same operands: of the near ones, most times, which are of its form.
  void change_op(Insn& insn) {
    const size_t op = static_cast<size_t>(insn.op());
    const size_t other =
        chance_.once_in(3) ? chance_.below(bytecode::kOpCount)
                           : (op + bytecode::kOpCount + 3 - chance_.below(7)) % bytecode::kOpCount;
    insn.word = (insn.word & ~uint32_t{0xff}) | static_cast<uint32_t>(other);
  }

  void move_code(size_t kind, size_t at) {
    auto& code = function_.code;
    auto& places = function_.places;
    const size_t other = chance_.below(code.size());
    const auto begin = static_cast<std::ptrdiff_t>(at);
    switch (kind) {
      case 7:
        std::swap(code[at], code[other]);
        break;
      case 8:
        code[at] = code[other];
        break;
      case 9:
        code.insert(code.begin() + begin, Insn(code[other]));
        places.insert(places.begin() + begin, bytecode::Place(places[other]));
        break;
      case 10:
        if (code.size() < 2) break;
        code.erase(code.begin() + begin);
        places.erase(places.begin() + begin);
        break;
      default:
        // Nothing is a good instruction too.
        code[at] = Insn::abc(Op::LoadNil, some_register(), 0, 0);
        break;
    }
  }

  void change_constant() {
    if (function_.constants.empty()) return;
    bytecode::Constant& constant = function_.constants[chance_.below(function_.constants.size())];
    switch (chance_.below(5)) {
      case 0:
        constant = static_cast<int64_t>(chance_.next() >> chance_.below(64));
        break;
      case 1:
        constant = std::string(chance_.below(60), static_cast<char>(chance_.next()));
        break;
      case 2:
        constant = static_cast<double>(chance_.next()) / 3;
        break;
      case 3:
        constant = chance_.once_in(2);
        break;
      default:
        constant = function_.constants[chance_.below(function_.constants.size())];
        break;
    }
  }

  void change_head() {
    const auto by = static_cast<uint8_t>(chance_.once_in(2) ? 1 : 255);
    switch (chance_.below(4)) {
      case 0:
        function_.register_count = static_cast<uint8_t>(function_.register_count + by);
        break;
      case 1:
        function_.param_count = static_cast<uint8_t>(function_.param_count + by);
        function_.param_names.resize(function_.param_count);
        break;
      case 2:
        if (!function_.children.empty())
          std::swap(function_.children[0],
                    function_.children[chance_.below(function_.children.size())]);
        break;
      default:
        if (function_.upvalues.empty()) break;
        bytecode::UpvalueDesc& upvalue =
            function_.upvalues[chance_.below(function_.upvalues.size())];
        upvalue.index = static_cast<uint8_t>(chance_.below(size_t{upvalue.index} + 2));
        if (chance_.once_in(3)) upvalue.from_parent_register = !upvalue.from_parent_register;
        break;
    }
  }

  Function& function_;
  Chance& chance_;
};

}  // namespace

std::string mutate_code(const std::string& bytes, Chance& chance) {
  Result<bytecode::CompiledScript> loaded = bytecode::load(bytes);
  if (!loaded.ok()) return bytes;
  const bytecode::CompiledScript script = std::move(loaded).value();
  std::vector<Function*> functions;
  collect(*script.chunk->main, functions);
  const size_t changes = 1 + chance.below(3);
  for (size_t i = 0; i < changes; ++i)
    CodeMutator(*functions[chance.below(functions.size())], chance).once();
  const diag::Source source(script.chunk->source_name, script.source_text);
  const Result<std::string> saved = bytecode::save(*script.chunk, source, script.stripped);
  return saved.ok() ? saved.value() : bytes;
}

}  // namespace ktap::testing
