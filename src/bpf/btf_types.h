// The kernel's types out of its BTF: members by name, pointers, arrays, enums. For scripts that
// follow pointers; what ktap itself wants to know at every start is find_in_btf's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schema/kernel_types.h"

namespace ktap::bpf {

/// A function as its types have it.
struct BtfFunction {
  struct Parameter {
    std::string_view name;  ///< lives as long as the bytes; "" where it has none
    schema::CType type;
  };
  uint32_t kernel_id = 0;  ///< the kernel's own number, in its BTF or that of the module
  schema::CType result;
  std::vector<Parameter> parameters;
  bool is_variadic = false;
};

class BtfTypes final : public schema::KernelTypes {
 public:
  /// `data` outlives the object. Nothing when the bytes are no BTF of this machine's byte order, or
  /// broken.
  /// Cost: one walk, 0.3 ms and 0.5 MB for a kernel of 130 000 types.
  static std::optional<BtfTypes> open(const uint8_t* data, size_t size_bytes);
  /// Types of a module of the kernel, which build on those of the kernel itself: what is in
  /// /sys/kernel/btf/NAME. They get numbers behind all that are there. `data` outlives the object.
  /// False when the bytes are broken.
  bool add_module(std::string name, const uint8_t* data, size_t size_bytes);
  /// A type of the kernel itself, and of no module.
  bool is_base(schema::CType type) const { return type.id < base_count(); }

  /// Cost: a look at the name of each type, 1 ms.
  Result<schema::CType> parse(std::string_view text) const override;
  schema::CShape shape(schema::CType type) const override;
  std::optional<schema::CMember> member(schema::CType type, std::string_view name) const override;
  std::vector<std::string> member_names(schema::CType type) const override;
  std::string name(schema::CType type) const override;
  std::string enum_name(schema::CType type, int64_t value) const override;
  std::vector<std::pair<std::string, int64_t>> enumerators(schema::CType type) const override;
  std::optional<schema::CType> enum_of(std::string_view enumerator) const override;
  std::vector<std::string> names_like(std::string_view text) const override;

  /// All functions of the kernel ("") or of a module that was added, by name, with the number of
  /// each. Cost: 2 ms for 50 000.
  std::vector<std::pair<std::string_view, uint32_t>> functions(std::string_view module = "") const;
  /// Requires: a number of functions().
  BtfFunction function(uint32_t id) const;

 private:
  /// The bytes of the kernel itself, or of a module.
  struct Part {
    std::string module;
    const uint8_t* types = nullptr;
    const char* strings = nullptr;
    uint32_t string_bytes = 0;
    uint32_t first = 0;             ///< the number of its first type
    std::vector<uint32_t> offsets;  ///< in types; of the kernel itself also that of void
    uint32_t end() const { return first + static_cast<uint32_t>(offsets.size()); }
  };
  /// struct btf_type and what is behind it.
  struct Entry {
    const Part* part = nullptr;
    uint32_t kind = 0;
    uint32_t count = 0;  ///< of members, enumerators
    bool flag = false;
    std::string_view name;
    uint32_t size_or_type = 0;
    const uint8_t* behind = nullptr;
  };
  struct Member {
    std::string_view name;
    uint32_t type = 0;
    uint32_t offset_bits = 0;
    uint32_t width_bits = 0;
  };

  BtfTypes() = default;
  static std::optional<Part> read(const uint8_t* data, size_t size_bytes, bool is_module);
  uint32_t base_count() const { return static_cast<uint32_t>(parts_.front().offsets.size()); }
  const Part* part_of(uint32_t id) const;
  Entry at(uint32_t id) const;
  /// A number in the part's bytes, as ours; 0 when it is none.
  uint32_t number(const Part& part, uint32_t id) const;
  /// Visits (part, number, the bytes of the type) until one says true.
  template <class Visit>
  void each_type(Visit visit) const;
  std::string ambiguity(uint32_t id) const;
  static bool is_enum(const Entry& entry);
  /// Requires: an enum, and a number below its count.
  std::pair<std::string_view, int64_t> enumerator_at(const Entry& entry, uint32_t index) const;
  Member member_at(const Entry& entry, uint32_t index) const;
  std::string_view text(const Part& part, uint32_t offset) const;
  /// Behind typedefs and qualifiers.
  schema::CType resolved(schema::CType type) const;
  /// `char` itself, in any of its signs; a typedef of it is a byte.
  bool is_char(schema::CType type) const;
  std::optional<uint32_t> find(uint32_t kind, std::string_view name) const;
  schema::CShape shape_of(schema::CType type, int depth) const;
  std::string name_of(schema::CType type, int depth) const;
  std::optional<schema::CMember> find_member(uint32_t id, std::string_view name, int depth) const;
  void add_names(uint32_t id, int depth, std::vector<std::string>& names) const;

  std::vector<Part> parts_;  ///< the kernel itself, then modules
};

}  // namespace ktap::bpf
