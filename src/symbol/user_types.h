// What a program's debug information (DWARF) says: the arguments and the result of a function, and
// the types that they lead to. Read through libdw, in the program or its separate debug file; what
// is not asked for is not read.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schema/kernel_types.h"
#include "symbol/calling_convention.h"
#include "symbol/elf_file.h"

namespace ktap::symbol {

/// A function as its debug information has it.
struct UserFunction {
  struct Parameter {
    std::string name;  ///< "" where it has none
    schema::CType type;
    ArgumentPlace place;
    ArgumentPlace usual;  ///< where the calling convention puts it
  };
  schema::CType result;
  bool is_result_told = false;  ///< else there is too little debug information (-g1) to say
  /// Else `parameters` is empty and that says nothing: assembler, C without a prototype, -g1.
  bool are_parameters_told = false;
  std::vector<Parameter> parameters;
  bool is_variadic = false;
};

/// The types of all programs that a script names: schema::is_user_type() of each.
class UserTypes final : public schema::KernelTypes {
 public:
  UserTypes();
  ~UserTypes() override;

  /// The function that begins at `address`; nothing when no debug information has it.
  /// Requires: `file` outlives the object.
  /// Cost: a walk over the file that was compiled, once for all of its functions.
  std::optional<UserFunction> function(const ElfFile& file, uint64_t address);

  /// Errors: always. cast() is for the kernel's types.
  Result<schema::CType> parse(std::string_view text) const override;
  schema::CShape shape(schema::CType type) const override;
  std::optional<schema::CMember> member(schema::CType type, std::string_view name) const override;
  std::vector<std::string> member_names(schema::CType type) const override;
  std::vector<std::string> names_like(std::string_view text) const override;
  std::string name(schema::CType type) const override;
  std::string enum_name(schema::CType type, int64_t value) const override;
  std::vector<std::pair<std::string, int64_t>> enumerators(schema::CType type) const override;
  /// Nothing: types of programs have no names in scripts.
  std::optional<schema::CType> enum_of(std::string_view enumerator) const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ktap::symbol
