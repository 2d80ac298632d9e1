// A chunk → the bytes of a .ktap file: header, name lists, globals, functions, debug part (see
// docs/decisions/0007-ktap-file.md). The same chunk gives the same bytes everywhere.
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <vector>

#include "base/limits.h"
#include "bytecode/file.h"
#include "bytecode/file_header.h"
#include "bytecode/numbering.h"
#include "bytecode/wire.h"

namespace ktap::bytecode {

namespace {

uint64_t bits_of(double value) {
  uint64_t bits = 0;
  static_assert(sizeof bits == sizeof value);
  std::memcpy(&bits, &value, sizeof bits);  // the number's bits, not its bytes in memory
  return bits;
}

class FileWriter {
 public:
  FileWriter(const Chunk& chunk, const diag::Source& source, bool strip)
      : chunk_(chunk), source_(source), strip_(strip) {}

  std::string run() {
    for (const List list : kLists) used_[at(list)].assign(list_size(list), kUnused);
    mark_used(*chunk_.main);
    const uint16_t flags = strip_ ? uint16_t{0} : kFlagDebug;
    out_.bytes() = kMagic;
    out_.fixed(kFileVersion, 2);
    out_.fixed(flags, 2);
    out_.fixed(0, 8);  // size and checksum: mend_header does them
    write_lists();
    out_.number(chunk_.globals.size());
    for (const std::string& name : chunk_.globals) out_.text(name);
    write_function(*chunk_.main);
    if (!strip_) {
      out_.text(chunk_.source_name);
      out_.text(source_.text());
      write_debug(*chunk_.main);
    }
    mend_header(out_.bytes());
    return std::move(out_.bytes());
  }

 private:
  static constexpr size_t kUnused = SIZE_MAX;
  static size_t at(List list) { return static_cast<size_t>(list); }

  void mark_used(const Function& function) {
    for (const Insn insn : function.code) {
      used_[at(List::Op)][static_cast<size_t>(insn.op())] = 0;
      const Reference reference = reference_of(insn.op());
      if (reference.operand != Operand::None)
        used_[at(reference.list)][operand_value(insn, reference.operand)] = 0;
    }
    for (const auto& child : function.children) mark_used(*child);
  }

  void write_lists() {
    for (const List list : kLists) {
      std::vector<std::string> names;
      std::vector<size_t>& places = used_[at(list)];
      for (size_t member = 0; member < places.size(); ++member) {
        if (places[member] == kUnused) continue;
        places[member] = names.size();
        names.push_back(list_name(list, member));
      }
      out_.number(names.size());
      for (const std::string& name : names) out_.text(name);
    }
  }

  uint32_t word_of(Insn insn) const {
    const Reference reference = reference_of(insn.op());
    if (reference.operand != Operand::None) {
      const size_t member = operand_value(insn, reference.operand);
      insn = with_operand(insn, reference.operand, used_[at(reference.list)][member]);
    }
    const size_t op = used_[at(List::Op)][static_cast<size_t>(insn.op())];
    return (insn.word & ~uint32_t{0xff}) | static_cast<uint32_t>(op);
  }

  void write_constant(const Constant& constant) {
    const auto tag = [this](Tag t) { out_.byte(static_cast<uint8_t>(t)); };
    if (const auto* boolean = std::get_if<bool>(&constant)) {
      tag(*boolean ? Tag::True : Tag::False);
    } else if (const auto* integer = std::get_if<int64_t>(&constant)) {
      tag(Tag::Integer);
      out_.signed_number(*integer);
    } else if (const auto* number = std::get_if<double>(&constant)) {
      tag(Tag::Float);
      out_.fixed(bits_of(*number), 8);
    } else if (const auto* text = std::get_if<std::string>(&constant)) {
      tag(Tag::Text);
      out_.text(*text);
    } else {
      tag(Tag::Nil);
    }
  }

  void write_function(const Function& function) {
    out_.text(function.name);
    out_.byte(function.param_count);
    out_.byte(function.register_count);
    out_.number(function.code.size());
    for (const Insn insn : function.code) out_.fixed(word_of(insn), 4);
    out_.number(function.constants.size());
    for (const Constant& constant : function.constants) write_constant(constant);
    out_.number(function.upvalues.size());
    for (const UpvalueDesc& upvalue : function.upvalues) {
      out_.byte(upvalue.from_parent_register ? 1 : 0);
      out_.byte(upvalue.index);
    }
    out_.number(function.children.size());
    for (const auto& child : function.children) write_function(*child);
  }

  void write_place(const Place& place) {
    out_.signed_number(int64_t{place.span.begin} - last_.span.begin);
    out_.number(place.span.end - place.span.begin);
    out_.signed_number(int64_t{place.line} - last_.line);
    last_ = place;
  }

  void write_debug(const Function& function) {
    write_place(function.place);
    for (const std::string& name : function.param_names) out_.text(name);
    for (const UpvalueDesc& upvalue : function.upvalues) out_.text(upvalue.name);
    for (const Place& place : function.places) write_place(place);
    for (const auto& child : function.children) write_debug(*child);
  }

  const Chunk& chunk_;
  const diag::Source& source_;
  const bool strip_;
  Writer out_;
  Place last_;
  std::array<std::vector<size_t>, kListCount> used_;  // number → place in the file's list
};

}  // namespace

Result<std::string> save(const Chunk& chunk, const diag::Source& source, bool strip) {
  std::string bytes = FileWriter(chunk, source, strip).run();
  if (bytes.size() <= limits::kMaxCompiledBytes) return bytes;
  return Error{
      fmt::format("the compiled script has {} bytes, the most is {}{}", bytes.size(),
                  limits::kMaxCompiledBytes, strip ? "" : "; -s leaves the source text out"),
      0};
}

}  // namespace ktap::bytecode
