// The bytes of a .ktap file → a chunk that verify() accepts, or what is wrong with them. Whoever
// made the file is not trusted: every count is held to the bytes that follow, every number of a
// list to that list, and what the shape cannot show is verify()'s affair.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/printable.h"
#include "bytecode/file.h"
#include "bytecode/file_header.h"
#include "bytecode/numbering.h"
#include "bytecode/wire.h"

namespace ktap::bytecode {

namespace {

constexpr size_t kLeastFunctionBytes = 11;
constexpr size_t kMostShown = 60;  // bytes of a name in a message

double double_of(uint64_t bits) {
  double value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// "" or what is wrong before the first byte behind the header is looked at.
std::string check_header(std::string_view bytes) {
  // Whoever has so much of it knows the file; behind it stand the line ends.
  constexpr size_t kMagicWordBytes = 5;
  const bool is_cut = bytes.size() >= kMagicWordBytes && kMagic.starts_with(bytes);
  if (!is_cut && !is_compiled(bytes)) {
    return bytes.substr(0, kMagicWordBytes) == kMagic.substr(0, kMagicWordBytes)
               ? "damaged: its line ends were converted on the way, as if it were text"
               : "no compiled script: it does not begin as one";
  }
  if (bytes.size() < kFileHeaderBytes) {
    return fmt::format("cut short: it has {} bytes, its header alone {}", bytes.size(),
                       kFileHeaderBytes);
  }
  const FileHeader header = read_header(bytes);
  if (header.version > kFileVersion) {
    return fmt::format("it needs a newer ktap: its format has the version {}, this one reads {}",
                       header.version, kFileVersion);
  }
  if (header.version == 0) return "damaged: its format has the version 0";
  const size_t size = bytes.size() - kFileHeaderBytes;
  if (size < header.size_bytes) {
    return fmt::format("cut short: it has {} bytes of {}", bytes.size(),
                       size_t{header.size_bytes} + kFileHeaderBytes);
  }
  if (size > header.size_bytes)
    return fmt::format("damaged: {} bytes follow its end", size - header.size_bytes);
  if (bytes.size() > limits::kMaxCompiledBytes) {
    return fmt::format("too large: it has {} bytes, the most is {}", bytes.size(),
                       limits::kMaxCompiledBytes);
  }
  if (file_checksum(bytes) != header.checksum)
    return "damaged: its checksum is not that of its bytes";
  if ((header.flags & ~kKnownFlags) != 0)
    return fmt::format("it needs a newer ktap: it has the flags {:#x}", header.flags);
  return "";
}

class FileReader {
 public:
  explicit FileReader(std::string_view bytes)
      : in_(bytes.substr(kFileHeaderBytes)),
        has_debug_((read_header(bytes).flags & kFlagDebug) != 0) {}

  Result<CompiledScript> run() {
    CompiledScript script;
    script.stripped = !has_debug_;
    script.chunk = std::make_unique<Chunk>();
    read_lists();
    for (size_t i = in_.count(1); i > 0; --i) script.chunk->globals.emplace_back(in_.text());
    script.chunk->main = read_function(0);
    if (has_debug_ && good()) {
      script.chunk->source_name = printable(in_.text());
      script.source_text = in_.text();
      find_end(script.source_text);
      if (good()) read_debug(*script.chunk->main);
    }
    if (!problem_.empty()) return Error{problem_, 0};
    if (in_.failed()) return Error{"damaged: its parts do not fit together", 0};
    if (in_.left() != 0) return Error{"damaged: bytes follow its last part", 0};
    const std::string wrong = verify(*script.chunk);
    if (!wrong.empty()) return Error{"it does not hold good bytecode: " + wrong, 0};
    return script;
  }

 private:
  bool good() const { return problem_.empty() && !in_.failed(); }
  void fail(std::string text) {
    if (good()) problem_ = std::move(text);
  }

  void read_lists() {
    for (const List list : kLists) {
      std::vector<size_t>& members = lists_[static_cast<size_t>(list)];
      for (size_t i = in_.count(1); i > 0 && good(); --i) {
        const std::string_view name = in_.text();
        const std::optional<size_t> member = find(list, name);
        if (!member) {
          return fail(fmt::format("it needs a newer ktap: this one has no {} '{}'",
                                  list_title(list), printable(name.substr(0, kMostShown))));
        }
        if (members.size() == list_size(list))
          return fail(
              fmt::format("damaged: it has too many names in its list '{}'", list_title(list)));
        members.push_back(*member);
      }
    }
  }

  static std::optional<size_t> find(List list, std::string_view name) {
    for (size_t member = 0; member < list_size(list); ++member) {
      if (list_name(list, member) == name) return member;
    }
    return std::nullopt;
  }

  /// The member that the file's instructions know as `place`.
  size_t member(List list, size_t place) {
    const std::vector<size_t>& members = lists_[static_cast<size_t>(list)];
    if (place < members.size()) return members[place];
    fail(fmt::format("damaged: its bytecode names {} {} of {}", list_title(list), place,
                     members.size()));
    return 0;
  }

  Insn insn_of(uint32_t word) {
    const size_t op = member(List::Op, word & 0xff);
    const Insn insn{(word & ~uint32_t{0xff}) | static_cast<uint32_t>(op)};
    const Reference reference = reference_of(insn.op());
    if (reference.operand == Operand::None) return insn;
    return with_operand(insn, reference.operand,
                        member(reference.list, operand_value(insn, reference.operand)));
  }

  Constant read_constant() {
    const uint8_t tag = in_.byte();
    switch (static_cast<Tag>(tag)) {
      case Tag::Nil:
        return {};
      case Tag::False:
        return false;
      case Tag::True:
        return true;
      case Tag::Integer:
        return in_.signed_number();
      case Tag::Float:
        return double_of(in_.fixed(8));
      case Tag::Text:
        return std::string(in_.text());
    }
    fail(fmt::format("damaged: a constant of kind {}", tag));
    return {};
  }

  std::unique_ptr<Function> read_function(int depth) {
    auto function = std::make_unique<Function>();
    if (depth > limits::kMaxNesting) {
      fail("it does not hold good bytecode: functions nested too deeply");
      return function;
    }
    function->name = in_.text();
    function->param_count = in_.byte();
    function->register_count = in_.byte();
    const size_t size = in_.count(4);
    function->code.reserve(size);
    for (size_t i = 0; i < size && good(); ++i)
      function->code.push_back(insn_of(static_cast<uint32_t>(in_.fixed(4))));
    function->places.resize(size);
    for (int i = 0; i < function->param_count; ++i)
      function->param_names.push_back(fmt::format("p{}", i));
    for (size_t i = in_.count(1); i > 0 && good(); --i)
      function->constants.push_back(read_constant());
    for (size_t i = in_.count(2); i > 0; --i) {
      const uint8_t from = in_.byte();
      if (from > 1) fail("damaged: an upvalue from nowhere");
      function->upvalues.push_back(
          {from == 1, in_.byte(), fmt::format("v{}", function->upvalues.size())});
    }
    for (size_t i = in_.count(kLeastFunctionBytes); i > 0 && good(); --i)
      function->children.push_back(read_function(depth + 1));
    return function;
  }

  void find_end(const std::string& source) {
    end_ = static_cast<int64_t>(source.size());
    last_line_ = 1 + std::count(source.begin(), source.end(), '\n');
  }

  /// `base` moved by the next number; false when that leaves [0, most].
  bool move(uint32_t& base, int64_t most) {
    const int64_t by = in_.signed_number();
    if (by < -most || by > most) return false;
    const int64_t moved = base + by;
    if (moved < 0 || moved > most) return false;
    base = static_cast<uint32_t>(moved);
    return true;
  }

  Place read_place() {
    if (!good()) return {};
    bool inside = move(last_.span.begin, end_);
    const uint64_t length = in_.number();
    inside = inside && length <= static_cast<uint64_t>(end_ - last_.span.begin);
    last_.span.end = inside ? last_.span.begin + static_cast<uint32_t>(length) : 0;
    inside = move(last_.line, last_line_) && inside;
    if (!inside) fail("damaged: a place outside of its source text");
    return last_;
  }

  void read_debug(Function& function) {
    function.place = read_place();
    for (std::string& name : function.param_names) name = in_.text();
    for (UpvalueDesc& upvalue : function.upvalues) upvalue.name = in_.text();
    for (Place& place : function.places) place = read_place();
    for (auto& child : function.children) read_debug(*child);
  }

  Reader in_;
  const bool has_debug_;
  std::array<std::vector<size_t>, kListCount> lists_;  // the file's place → number
  Place last_;
  int64_t end_ = 0;
  int64_t last_line_ = 0;
  std::string problem_;
};

}  // namespace

Result<CompiledScript> load(std::string_view bytes) {
  const std::string wrong = check_header(bytes);
  if (!wrong.empty()) return Error{wrong, 0};
  return FileReader(bytes).run();
}

}  // namespace ktap::bytecode
