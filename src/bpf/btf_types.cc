// See btf_types.h. The bytes are the kernel's, but every reference in them is looked at before it
// is followed, and no chain is followed for ever (Documentation/bpf/btf.rst).
#include "bpf/btf_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/chars.h"

namespace ktap::bpf {

namespace {

using schema::CKind;
using schema::CMember;
using schema::CShape;
using schema::CType;

enum Kind : uint32_t {
  kVoid = 0,
  kInt = 1,
  kPointer = 2,
  kArray = 3,
  kStruct = 4,
  kUnion = 5,
  kEnum = 6,
  kForward = 7,
  kTypedef = 8,
  kVolatile = 9,
  kConst = 10,
  kRestrict = 11,
  kFunction = 12,
  kPrototype = 13,
  kTypeTag = 18,
  kEnum64 = 19,
  kKinds = 20,
};

/// Bytes behind struct btf_type, by kind: so many, and so many more for each of its parts.
constexpr struct {
  uint8_t bytes, each;
} kBehind[kKinds] = {{0, 0}, {4, 0},  {0, 0}, {12, 0}, {0, 12}, {0, 12}, {0, 8},
                     {0, 0}, {0, 0},  {0, 0}, {0, 0},  {0, 0},  {0, 0},  {0, 8},
                     {4, 0}, {0, 12}, {0, 0}, {4, 0},  {0, 0},  {0, 12}};

constexpr uint32_t kTypeBytes = 12;  // struct btf_type
constexpr int kMaxChain = 32;        // guessed: typedefs and qualifiers, structs in structs

uint32_t word(const uint8_t* at) {
  uint32_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// A C type's words and how many `*` are behind them.
struct Spelled {
  std::vector<std::string> words;
  uint32_t pointers = 0;
};

std::optional<Spelled> spelled(std::string_view text) {
  Spelled out;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == ' ' || c == '\t' || c == '\n') {
      ++i;
    } else if (c == '*') {
      ++out.pointers;
      ++i;
    } else if (is_name_part(c) && out.pointers == 0) {
      size_t end = i;
      while (end < text.size() && is_name_part(text[end])) ++end;
      const std::string word(text.substr(i, end - i));
      if (word != "const" && word != "volatile") out.words.push_back(word);
      i = end;
    } else {
      return std::nullopt;
    }
  }
  if (out.words.empty()) return std::nullopt;
  return out;
}

/// Of "struct", "union", "enum"; else kVoid.
uint32_t tag_kind(std::string_view word) {
  return word == "struct" ? kStruct : word == "union" ? kUnion : word == "enum" ? kEnum : kVoid;
}

/// "unsigned long" as BTF writes it: "long unsigned int". "" when the words are no integer's.
std::string integer_name(const std::vector<std::string>& words) {
  int longs = 0;
  bool is_unsigned = false, is_signed = false, is_short = false, is_char = false, is_any = false;
  for (const std::string& word : words) {
    if (word == "long") {
      ++longs;
    } else if (word == "unsigned") {
      is_unsigned = true;
    } else if (word == "signed") {
      is_signed = true;
    } else if (word == "short") {
      is_short = true;
    } else if (word == "char") {
      is_char = true;
    } else if (word == "int") {
      is_any = true;
    } else {
      return "";
    }
  }
  const std::string sign = is_unsigned ? "unsigned " : "";
  if (is_char) return is_unsigned ? "unsigned char" : is_signed ? "signed char" : "char";
  if (is_short) return is_unsigned ? "short unsigned int" : "short int";
  if (longs == 2) return is_unsigned ? "long long unsigned int" : "long long int";
  if (longs == 1) return is_unsigned ? "long unsigned int" : "long int";
  return is_any || is_unsigned || is_signed ? sign + "int" : "";
}

}  // namespace

std::optional<BtfTypes::Part> BtfTypes::read(const uint8_t* data, size_t size_bytes,
                                             bool is_module) {
  constexpr uint32_t kHeaderBytes = 24;
  if (size_bytes < kHeaderBytes) return std::nullopt;
  uint16_t magic = 0;
  std::memcpy(&magic, data, sizeof magic);
  const uint32_t header = word(data + 4);
  const uint32_t type_offset = word(data + 8), type_bytes = word(data + 12);
  const uint32_t string_offset = word(data + 16), string_bytes = word(data + 20);
  const auto fits = [&](uint32_t offset, uint32_t bytes) {
    return uint64_t{header} + offset + bytes <= size_bytes;
  };
  if (magic != 0xeb9f || header < kHeaderBytes) return std::nullopt;
  if (!fits(type_offset, type_bytes) || !fits(string_offset, string_bytes)) return std::nullopt;
  Part part;
  part.types = data + header + type_offset;
  part.strings = reinterpret_cast<const char*>(data) + header + string_offset;
  part.string_bytes = string_bytes;
  if (string_bytes == 0 ? !is_module : part.strings[string_bytes - 1] != '\0') return std::nullopt;
  if (!is_module) part.offsets.push_back(0);  // void
  for (uint32_t at = 0; at != type_bytes;) {
    if (type_bytes - at < kTypeBytes) return std::nullopt;
    const uint32_t info = word(part.types + at + 4), kind = info >> 24 & 31;
    if (kind == kVoid || kind >= kKinds) return std::nullopt;
    const uint32_t bytes =
        kTypeBytes + kBehind[kind].bytes + uint32_t{kBehind[kind].each} * (info & 0xffff);
    if (type_bytes - at < bytes) return std::nullopt;
    part.offsets.push_back(at);
    at += bytes;
  }
  return part;
}

std::optional<BtfTypes> BtfTypes::open(const uint8_t* data, size_t size_bytes) {
  std::optional<Part> base = read(data, size_bytes, false);
  if (!base) return std::nullopt;
  BtfTypes types;
  types.parts_.push_back(std::move(*base));
  return types;
}

bool BtfTypes::add_module(std::string name, const uint8_t* data, size_t size_bytes) {
  std::optional<Part> part = read(data, size_bytes, true);
  if (!part || part->offsets.size() >= schema::kUserTypes - parts_.back().end()) return false;
  part->module = std::move(name);
  part->first = parts_.back().end();
  parts_.push_back(std::move(*part));
  return true;
}

/// A module's strings go on where the kernel's end.
std::string_view BtfTypes::text(const Part& part, uint32_t offset) const {
  const Part& base = parts_.front();
  if (offset < base.string_bytes) return std::string_view(base.strings + offset);
  offset -= base.string_bytes;
  const bool is_there = &part != &base && offset < part.string_bytes;
  return is_there ? std::string_view(part.strings + offset) : std::string_view();
}

/// A module's numbers go on where the kernel's end.
uint32_t BtfTypes::number(const Part& part, uint32_t id) const {
  if (id < base_count()) return id;
  id -= base_count();
  return &part != &parts_.front() && id < part.offsets.size() ? part.first + id : 0;
}

const BtfTypes::Part* BtfTypes::part_of(uint32_t id) const {
  if (id < base_count()) return &parts_.front();
  const auto behind = std::upper_bound(parts_.begin(), parts_.end(), id,
                                       [](uint32_t n, const Part& part) { return n < part.first; });
  const Part& part = *(behind - 1);
  return id < part.end() ? &part : nullptr;
}

template <class Visit>
void BtfTypes::each_type(Visit visit) const {
  for (const Part& part : parts_) {
    for (uint32_t i = part.first == 0 ? 1 : 0; i < part.offsets.size(); ++i) {
      if (visit(part, part.first + i, part.types + part.offsets[i])) return;
    }
  }
}

BtfTypes::Entry BtfTypes::at(uint32_t id) const {
  Entry entry;
  const Part* part = part_of(id);
  if (id == 0 || part == nullptr) return entry;
  const uint8_t* type = part->types + part->offsets[id - part->first];
  const uint32_t info = word(type + 4);
  entry.part = part;
  entry.kind = info >> 24 & 31;
  entry.count = info & 0xffff;
  entry.flag = info >> 31 != 0;
  entry.name = text(*part, word(type));
  entry.size_or_type = word(type + 8);
  switch (entry.kind) {
    case kPointer:
    case kTypedef:
    case kVolatile:
    case kConst:
    case kRestrict:
    case kFunction:
    case kPrototype:
    case kTypeTag:
      entry.size_or_type = number(*part, entry.size_or_type);
      break;
    default:
      break;
  }
  entry.behind = type + kTypeBytes;
  return entry;
}

BtfTypes::Member BtfTypes::member_at(const Entry& entry, uint32_t index) const {
  const uint8_t* at = entry.behind + size_t{index} * 12;
  const uint32_t offset = word(at + 8);
  Member member{text(*entry.part, word(at)), number(*entry.part, word(at + 4)), offset, 0};
  if (entry.flag) {
    member.offset_bits = offset & 0xffffff;
    member.width_bits = offset >> 24;
  }
  return member;
}

CType BtfTypes::resolved(CType type) const {
  for (int i = 0; i < kMaxChain && type.pointers == 0; ++i) {
    const Entry entry = at(type.id);
    switch (entry.kind) {
      case kTypedef:
      case kVolatile:
      case kConst:
      case kRestrict:
      case kTypeTag:
        type.id = entry.size_or_type;
        break;
      default:
        return type;
    }
  }
  return type.pointers != 0 ? type : CType{};
}

bool BtfTypes::is_char(CType type) const {
  for (int i = 0; i < kMaxChain && type.pointers == 0; ++i) {
    const Entry entry = at(type.id);
    if (entry.kind == kInt)
      return entry.size_or_type == 1 && entry.name.find("char") != entry.name.npos;
    if (entry.kind != kVolatile && entry.kind != kConst && entry.kind != kTypeTag) return false;
    type.id = entry.size_or_type;
  }
  return false;
}

CShape BtfTypes::shape(CType type) const { return shape_of(type, 0); }

CShape BtfTypes::shape_of(CType type, int depth) const {
  CShape shape;
  type = depth < kMaxChain ? resolved(type) : CType{};
  if (type.pointers != 0) {
    shape.kind = CKind::Pointer;
    shape.size_bytes = sizeof(void*);
    shape.target = CType{type.id, type.pointers - 1};
    shape.is_text = is_char(shape.target);
    return shape;
  }
  const Entry entry = at(type.id);
  shape.size_bytes = entry.size_or_type;
  switch (entry.kind) {
    case kVoid:
      shape.size_bytes = 0;
      return shape;
    case kInt: {
      const uint32_t encoding = word(entry.behind) >> 24 & 15;  // 1 signed, 2 char, 4 bool
      shape.kind = (encoding & 4) != 0 ? CKind::Bool : CKind::Int;
      shape.is_signed = (encoding & 1) != 0;
      return shape;
    }
    case kPointer:
      return shape_of(CType{entry.size_or_type, 1}, depth + 1);
    case kArray:
      shape.kind = CKind::Array;
      shape.target = CType{number(*entry.part, word(entry.behind)), 0};
      shape.count = word(entry.behind + 8);
      shape.size_bytes = shape.count * shape_of(shape.target, depth + 1).size_bytes;
      shape.is_text = is_char(shape.target);
      return shape;
    case kStruct:
    case kUnion:
      shape.kind = CKind::Struct;
      return shape;
    case kEnum:
    case kEnum64:
      shape.kind = CKind::Enum;
      shape.is_signed = entry.flag;
      return shape;
    default:
      shape.kind = CKind::Opaque;
      shape.size_bytes = 0;
      return shape;
  }
}

std::optional<CMember> BtfTypes::find_member(uint32_t id, std::string_view name, int depth) const {
  const Entry entry = at(resolved(CType{id, 0}).id);
  if ((entry.kind != kStruct && entry.kind != kUnion) || depth > kMaxChain) return std::nullopt;
  for (uint32_t i = 0; i < entry.count; ++i) {
    const Member member = member_at(entry, i);
    if (member.name == name)
      return CMember{CType{member.type, 0}, member.offset_bits, member.width_bits};
    if (!member.name.empty()) continue;
    if (std::optional<CMember> inner = find_member(member.type, name, depth + 1)) {
      inner->offset_bits += member.offset_bits;
      return inner;
    }
  }
  return std::nullopt;
}

std::optional<CMember> BtfTypes::member(CType type, std::string_view name) const {
  if (type.pointers != 0 || name.empty()) return std::nullopt;
  return find_member(type.id, name, 0);
}

void BtfTypes::add_names(uint32_t id, int depth, std::vector<std::string>& names) const {
  const Entry entry = at(resolved(CType{id, 0}).id);
  if ((entry.kind != kStruct && entry.kind != kUnion) || depth > kMaxChain) return;
  for (uint32_t i = 0; i < entry.count; ++i) {
    const Member member = member_at(entry, i);
    if (member.name.empty()) {
      add_names(member.type, depth + 1, names);
    } else {
      names.emplace_back(member.name);
    }
  }
}

std::vector<std::string> BtfTypes::member_names(CType type) const {
  std::vector<std::string> names;
  if (type.pointers == 0) add_names(type.id, 0, names);
  return names;
}

std::string BtfTypes::name(CType type) const { return name_of(type, 0); }

std::string BtfTypes::name_of(CType type, int depth) const {
  std::string stars(std::min<uint32_t>(type.pointers, kMaxChain), '*');
  std::string text;
  for (int i = depth; i < kMaxChain && text.empty(); ++i) {
    const Entry entry = at(type.id);
    switch (entry.kind) {
      case kVoid:
        text = "void";
        break;
      case kPointer:
        stars += '*';
        [[fallthrough]];
      case kVolatile:
      case kConst:
      case kRestrict:
      case kTypeTag:
        type.id = entry.size_or_type;
        break;
      case kArray:
        return fmt::format("{}[{}]{}",
                           name_of(CType{number(*entry.part, word(entry.behind)), 0}, i + 1),
                           word(entry.behind + 8), stars.empty() ? "" : " " + stars);
      default: {
        const char* word = entry.kind == kStruct || entry.kind == kForward ? "struct "
                           : entry.kind == kUnion                          ? "union "
                           : entry.kind == kEnum || entry.kind == kEnum64  ? "enum "
                                                                           : "";
        text = entry.kind == kPrototype
                   ? "function"
                   : word + std::string(entry.name.empty() ? "{…}" : entry.name);
        break;
      }
    }
  }
  return stars.empty() ? text : text + " " + stars;
}

bool BtfTypes::is_enum(const Entry& entry) { return entry.kind == kEnum || entry.kind == kEnum64; }

std::pair<std::string_view, int64_t> BtfTypes::enumerator_at(const Entry& entry,
                                                             uint32_t index) const {
  const bool is_wide = entry.kind == kEnum64;
  const uint8_t* from = entry.behind + size_t{index} * (is_wide ? 12 : 8);
  const uint32_t low = word(from + 4);
  int64_t value = entry.flag ? static_cast<int32_t>(low) : int64_t{low};
  if (is_wide) value = static_cast<int64_t>(uint64_t{word(from + 8)} << 32 | low);
  return {text(*entry.part, word(from)), value};
}

std::string BtfTypes::enum_name(CType type, int64_t value) const {
  type = resolved(type);
  const Entry entry = at(type.id);
  if (type.pointers != 0 || !is_enum(entry)) return "";
  for (uint32_t i = 0; i < entry.count; ++i) {
    if (const auto [name, named] = enumerator_at(entry, i); named == value)
      return std::string(name);
  }
  return "";
}

std::vector<std::pair<std::string, int64_t>> BtfTypes::enumerators(CType type) const {
  std::vector<std::pair<std::string, int64_t>> names;
  type = resolved(type);
  const Entry entry = at(type.id);
  if (type.pointers != 0 || !is_enum(entry)) return names;
  for (uint32_t i = 0; i < entry.count; ++i) names.emplace_back(enumerator_at(entry, i));
  return names;
}

std::optional<CType> BtfTypes::enum_of(std::string_view enumerator) const {
  std::optional<CType> found;
  each_type([&](const Part&, uint32_t id, const uint8_t* type) {
    const uint32_t kind = word(type + 4) >> 24 & 31;
    if (kind != kEnum && kind != kEnum64) return false;
    const Entry entry = at(id);
    for (uint32_t i = 0; i < entry.count && !found; ++i) {
      if (enumerator_at(entry, i).first == enumerator) found = CType{id, 0};
    }
    return found.has_value();
  });
  return found;
}

std::optional<uint32_t> BtfTypes::find(uint32_t kind, std::string_view name) const {
  std::optional<uint32_t> found;
  each_type([&](const Part& part, uint32_t id, const uint8_t* type) {
    const uint32_t is = word(type + 4) >> 24 & 31;
    if ((is == kind || (kind == kEnum && is == kEnum64)) && text(part, word(type)) == name)
      found = id;
    return found.has_value();
  });
  return found;
}

/// Modules may have types of their own by one name: which of them is meant nobody says. "" when
/// they look alike.
std::string BtfTypes::ambiguity(uint32_t id) const {
  if (id < base_count()) return "";
  const Entry entry = at(id);
  std::string other;
  each_type([&](const Part& part, uint32_t, const uint8_t* type) {
    const bool is_same = (word(type + 4) >> 24 & 31) == entry.kind &&
                         text(part, word(type)) == entry.name &&
                         word(type + 8) != entry.size_or_type;
    if (is_same && &part != entry.part && entry.kind != kTypedef) other = part.module;
    return !other.empty();
  });
  return other.empty() ? "" : fmt::format("{} and {}", entry.part->module, other);
}

std::vector<std::string> BtfTypes::names_like(std::string_view text) const {
  std::vector<std::string> names;
  const std::optional<Spelled> type = spelled(text);
  if (!type) return names;
  const std::string& name = type->words.back();
  const bool has_tag = type->words.size() == 2;
  const uint32_t kind = tag_kind(has_tag ? type->words[0] : "");
  each_type([&](const Part& part, uint32_t, const uint8_t* of) {
    if ((word(of + 4) >> 24 & 31) != (kind == kVoid ? uint32_t{kTypedef} : kind)) return false;
    const std::string_view other = this->text(part, word(of));
    const size_t length = other.size();
    if (length != 0 && length <= name.size() + 3 && length + 3 >= name.size())
      names.push_back(has_tag ? fmt::format("{} {}", type->words[0], other) : std::string(other));
    return false;
  });
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Result<CType> BtfTypes::parse(std::string_view text) const {
  const std::optional<Spelled> type = spelled(text);
  if (!type) return Error{fmt::format("'{}' is no C type", text)};
  const std::vector<std::string>& words = type->words;
  const uint32_t pointers = type->pointers;
  if (words.size() == 1 && words[0] == "void") return CType{0, pointers};
  const uint32_t kind = words.size() == 2 ? tag_kind(words[0]) : uint32_t{kVoid};
  if (kind != kVoid) {
    if (const auto id = find(kind, words[1])) {
      const std::string modules = ambiguity(*id);
      if (modules.empty()) return CType{*id, pointers};
      return Error{fmt::format("the modules {} each have a '{} {}' of their own", modules, words[0],
                               words[1])};
    }
    return Error{fmt::format("this kernel has no '{} {}'", words[0], words[1])};
  }
  if (const std::string integer = integer_name(words); !integer.empty()) {
    if (const auto id = find(kInt, integer)) return CType{*id, pointers};
  }
  if (words.size() != 1) return Error{fmt::format("'{}' is no C type", text)};
  for (const uint32_t named : {kTypedef, kInt}) {
    if (const auto id = find(named, words[0])) return CType{*id, pointers};
  }
  if (find(kStruct, words[0]))
    return Error{fmt::format("'{0}' is a struct: write \"struct {0}{1}\"", words[0],
                             pointers == 0 ? "" : " " + std::string(pointers, '*'))};
  return Error{fmt::format("this kernel has no type '{}'", words[0])};
}

std::vector<std::pair<std::string_view, uint32_t>> BtfTypes::functions(
    std::string_view module) const {
  std::vector<std::pair<std::string_view, uint32_t>> out;
  each_type([&](const Part& part, uint32_t id, const uint8_t* type) {
    if ((word(type + 4) >> 24 & 31) == kFunction && part.module == module)
      out.emplace_back(text(part, word(type)), id);
    return false;
  });
  return out;
}

BtfFunction BtfTypes::function(uint32_t id) const {
  BtfFunction out;
  const Entry prototype = at(at(id).size_or_type);
  if (at(id).kind != kFunction || prototype.kind != kPrototype) return out;
  const Part& part = *part_of(id);
  out.kernel_id = part.first == 0 ? id : base_count() + (id - part.first);
  out.result = CType{prototype.size_or_type, 0};
  for (uint32_t i = 0; i < prototype.count; ++i) {
    const uint8_t* from = prototype.behind + size_t{i} * 8;
    const uint32_t type = number(*prototype.part, word(from + 4));
    // `...` is a last one without a name and a type.
    if (type == 0 && word(from) == 0 && i + 1 == prototype.count) {
      out.is_variadic = true;
    } else {
      out.parameters.push_back({text(*prototype.part, word(from)), CType{type, 0}});
    }
  }
  return out;
}

}  // namespace ktap::bpf
