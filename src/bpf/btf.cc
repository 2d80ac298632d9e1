// One walk over the type section. A type is looked at closer when the first four characters of its
// name are those of a name that is asked for: two loads for most types.
#include "bpf/btf.h"

#include <algorithm>
#include <cstring>

namespace ktap::bpf {

namespace {

struct Header {
  uint16_t magic;
  uint8_t version;
  uint8_t flags;
  uint32_t header_bytes;
  uint32_t type_offset, type_bytes;  // from the header's end
  uint32_t string_offset, string_bytes;
};

struct Type {
  uint32_t name;
  uint32_t info;  // vlen in the low 16 bits, kind from bit 24, bit 31 the kind's flag
  uint32_t size_or_type;
};

struct Member {
  uint32_t name;
  uint32_t type;
  uint32_t offset;  // in bits; with the kind's flag the upper 8 bits are a bit field's width
};

constexpr uint16_t kMagic = 0xeb9f;

uint32_t first_four(std::string_view name) {
  uint32_t word = 0;
  std::memcpy(&word, name.data(), std::min(name.size(), sizeof word));
  return word;
}

constexpr uint8_t kStruct = 4, kTypedef = 8, kFunction = 12, kVariable = 14, kSection = 15;

struct InSection {  // struct btf_var_secinfo
  uint32_t variable, offset, size;
};

/// What is behind struct btf_type, by kind: so many bytes, and so many more for each of vlen.
struct Extra {
  uint8_t bytes;
  uint8_t each;
  bool known;
};
constexpr Extra kExtra[32] = {
    {0, 0, false},  // 0: no kind
    {4, 0, true},   // integer
    {0, 0, true},   // pointer
    {12, 0, true},  // array
    {0, 12, true},  // struct
    {0, 12, true},  // union
    {0, 8, true},   // enum
    {0, 0, true},   // forward
    {0, 0, true},   // typedef
    {0, 0, true},   // volatile
    {0, 0, true},   // const
    {0, 0, true},   // restrict
    {0, 0, true},   // function
    {0, 8, true},   // function prototype
    {4, 0, true},   // variable
    {0, 12, true},  // data section
    {0, 0, true},   // float
    {4, 0, true},   // declaration tag
    {0, 0, true},   // type tag
    {0, 12, true},  // enum of 64 bits
};

class Walk {
 public:
  Walk(std::vector<BtfType>& types, std::vector<BtfMember>& members,
       std::vector<BtfVariable>& variables)
      : types_(types), members_(members), variables_(variables) {
    for (const BtfType& type : types_) starts_.push_back(first_four(type.name));
    for (const BtfMember& member : members_) starts_.push_back(first_four(member.of));
    for (const BtfVariable& variable : variables_) starts_.push_back(first_four(variable.name));
    std::sort(starts_.begin(), starts_.end());
    starts_.erase(std::unique(starts_.begin(), starts_.end()), starts_.end());
  }

  bool run(const uint8_t* data, size_t size_bytes) {
    Header header;
    if (size_bytes < sizeof header) return false;
    std::memcpy(&header, data, sizeof header);
    if (header.magic != kMagic || header.header_bytes < sizeof header) return false;
    const auto fits = [&](uint32_t offset, uint32_t bytes) {
      return uint64_t{header.header_bytes} + offset + bytes <= size_bytes;
    };
    if (!fits(header.type_offset, header.type_bytes)) return false;
    if (!fits(header.string_offset, header.string_bytes)) return false;
    strings_ = reinterpret_cast<const char*>(data) + header.header_bytes + header.string_offset;
    string_bytes_ = header.string_bytes;
    // Every name is compared by its first four bytes: the last one must have as many behind it.
    if (string_bytes_ < 4 || strings_[string_bytes_ - 1] != '\0') return false;
    return walk(data + header.header_bytes + header.type_offset, header.type_bytes);
  }

 private:
  bool walk(const uint8_t* at, size_t left) {
    for (uint32_t id = 1; left != 0; ++id) {
      Type type;
      if (left < sizeof type) return false;
      std::memcpy(&type, at, sizeof type);
      const uint32_t kind = type.info >> 24 & 31;
      const Extra extra = kExtra[kind];
      const size_t bytes = sizeof type + extra.bytes + size_t{extra.each} * (type.info & 0xffff);
      if (!extra.known || left < bytes) return false;
      const bool is_asked_kind =
          kind == kFunction || kind == kTypedef || kind == kStruct || kind == kVariable;
      if (is_asked_kind && may_be_asked(type.name)) {
        look(id, kind, type, at + sizeof type);
        if (missing() == 0) return true;
      }
      if (kind == kSection && !variables_.empty()) {
        find_offsets(type, at + sizeof type);
        if (missing() == 0) return true;
      }
      at += bytes;
      left -= bytes;
    }
    return true;
  }

  bool may_be_asked(uint32_t name) const {
    if (name > string_bytes_ - 4) return false;
    uint32_t start = 0;
    std::memcpy(&start, strings_ + name, sizeof start);
    for (const uint32_t asked : starts_) {
      if (start == asked) return true;
    }
    return false;
  }

  std::string_view text(uint32_t offset) const {
    return offset < string_bytes_ ? std::string_view(strings_ + offset) : std::string_view();
  }

  void look(uint32_t id, uint32_t kind, const Type& type, const uint8_t* behind) {
    const std::string_view name = text(type.name);
    for (BtfType& asked : types_) {
      if (asked.id == 0 && static_cast<uint32_t>(asked.kind) == kind && asked.name == name)
        asked.id = id;
    }
    if (kind == kVariable) {
      for (BtfVariable& asked : variables_) {
        if (asked.id == 0 && asked.name == name) asked.id = id;
      }
    }
    if (kind != kStruct || std::find(done_.begin(), done_.end(), name) != done_.end()) return;
    for (BtfMember& asked : members_) {
      if (asked.of != name) continue;
      if (done_.empty() || done_.back() != name) done_.push_back(name);
      find_member(type, behind, asked);
    }
  }

  void find_member(const Type& type, const uint8_t* behind, BtfMember& asked) const {
    const bool has_bit_fields = type.info >> 31 != 0;
    for (uint32_t i = 0; i < (type.info & 0xffff); ++i) {
      Member member;
      std::memcpy(&member, behind + size_t{i} * sizeof member, sizeof member);
      if (text(member.name) != asked.name) continue;
      const bool is_bit_field = has_bit_fields && member.offset >> 24 != 0;
      if (!is_bit_field && member.offset % 8 == 0)
        asked.offset_bytes = static_cast<int32_t>(member.offset / 8);
      return;
    }
  }

  void find_offsets(const Type& section, const uint8_t* behind) {
    for (uint32_t i = 0; i < (section.info & 0xffff); ++i) {
      InSection at;
      std::memcpy(&at, behind + size_t{i} * sizeof at, sizeof at);
      for (BtfVariable& asked : variables_) {
        if (asked.id != 0 && asked.id == at.variable && at.offset <= INT32_MAX)
          asked.offset_bytes = static_cast<int32_t>(at.offset);
      }
    }
  }

  size_t missing() const {
    size_t count = 0;
    for (const BtfVariable& variable : variables_) count += variable.offset_bytes < 0 ? 1 : 0;
    for (const BtfType& type : types_) count += type.id == 0 ? 1 : 0;
    for (const BtfMember& member : members_) {
      count += std::find(done_.begin(), done_.end(), member.of) == done_.end() ? 1 : 0;
    }
    return count;
  }

  std::vector<BtfType>& types_;
  std::vector<BtfMember>& members_;
  std::vector<BtfVariable>& variables_;
  std::vector<uint32_t> starts_;
  std::vector<std::string_view> done_;  // structs whose members have been looked for
  const char* strings_ = nullptr;
  uint32_t string_bytes_ = 0;
};

}  // namespace

bool find_in_btf(const uint8_t* data, size_t size_bytes, std::vector<BtfType>& types,
                 std::vector<BtfMember>& members, std::vector<BtfVariable>* variables) {
  std::vector<BtfVariable> none;
  return Walk(types, members, variables == nullptr ? none : *variables).run(data, size_bytes);
}

}  // namespace ktap::bpf
