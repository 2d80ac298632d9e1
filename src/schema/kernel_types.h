// What lies in the kernel's memory, as C names it: types, members, what a pointer leads to. `bpf`
// makes it of the running kernel's BTF; `lower`, the VM's host and the renderers ask. A type is a
// number that only its maker understands. `symbol` answers the same questions out of a program's
// debug information.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace ktap::schema {

/// A C type of the kernel or of a program: a number, and how often a pointer to it is meant. 0 and
/// kUserTypes are void.
struct CType {
  uint32_t id = 0;
  uint32_t pointers = 0;
  friend bool operator==(const CType&, const CType&) = default;
};

/// Numbers from here on are types of programs: what pointers to them lead to is the process's
/// memory.
inline constexpr uint32_t kUserTypes = 0x80000000;
constexpr bool is_user_type(CType type) { return type.id >= kUserTypes; }

enum class CKind : uint8_t {
  Void,
  Int,
  Bool,
  Enum,
  Pointer,
  Struct,  ///< or a union
  Array,
  Opaque,  ///< functions, floats, what the kernel declares alone
};

/// What a type is behind its typedefs and qualifiers.
struct CShape {
  CKind kind = CKind::Void;
  uint32_t size_bytes = 0;
  bool is_signed = false;  ///< Int, Enum
  CType target;            ///< Pointer: what it points to; Array: what it is made of
  uint32_t count = 0;      ///< Array
  bool is_text = false;    ///< Pointer, Array: of char
};

/// Where a member lies in its struct. Those of unnamed structs and unions inside count as its own.
struct CMember {
  CType type;
  uint32_t offset_bits = 0;
  uint32_t width_bits = 0;  ///< of a bit field; 0: it is none
};

class KernelTypes {
 public:
  virtual ~KernelTypes() = default;
  /// "struct sock *", "unsigned int", "u32 **". Errors: in words.
  virtual Result<CType> parse(std::string_view text) const = 0;
  virtual CShape shape(CType type) const = 0;
  /// Of a struct or union.
  virtual std::optional<CMember> member(CType type, std::string_view name) const = 0;
  virtual std::vector<std::string> member_names(CType type) const = 0;
  /// Names of types of that sort whose length is near, to say what may have been meant.
  virtual std::vector<std::string> names_like(std::string_view text) const = 0;
  /// As C writes it: "struct sock *".
  virtual std::string name(CType type) const = 0;
  /// The name that an enum gives the value; "" when it gives none.
  virtual std::string enum_name(CType type, int64_t value) const = 0;
  /// All names of an enum with their values, as it declares them; of another type none.
  virtual std::vector<std::pair<std::string, int64_t>> enumerators(CType type) const = 0;
  /// The enum that gives that name to a value: one without a name of its own has no other way to be
  /// named.
  virtual std::optional<CType> enum_of(std::string_view enumerator) const = 0;
};

}  // namespace ktap::schema
