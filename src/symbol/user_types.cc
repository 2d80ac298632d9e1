// A type's number stands for a DIE, given when it is first met; a DIE lies at one place in memory,
// which is its name. libdw reads DWARF 2 to 5, compressed sections, split type units and the common
// file of `dwz`. What it gives of broken files is held to bounds here: no chain is followed for
// ever, no list goes backwards.
// Source: DWARF 5, chapters 3 to 5; the forms of older GCCs in 5.7.6 of DWARF 3.
#include "symbol/user_types.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "symbol/dwarf_file.h"
#include "symbol/dwarf_place.h"

namespace ktap::symbol {

using schema::CKind;
using schema::CMember;
using schema::CShape;
using schema::CType;
using schema::kUserTypes;

namespace {

constexpr int kMostChain = 32;  // guessed: typedefs and qualifiers, structs in structs, namespaces

/// The DIE that an attribute of this one, or of what it is made from, refers to.
std::optional<Dwarf_Die> referred(Dwarf_Die* die, unsigned attribute) {
  Dwarf_Attribute found;
  Dwarf_Die target;
  if (dwarf_attr_integrate(die, attribute, &found) == nullptr) return std::nullopt;
  if (dwarf_formref_die(&found, &target) == nullptr) return std::nullopt;
  return target;
}

std::string_view name_of(Dwarf_Die* die) {
  const char* name = dwarf_diename(die);
  return name == nullptr ? std::string_view() : std::string_view(name);
}

bool is_flagged(Dwarf_Die* die, unsigned attribute) {
  Dwarf_Attribute found;
  bool is_set = false;
  return dwarf_attr_integrate(die, attribute, &found) != nullptr &&
         dwarf_formflag(&found, &is_set) == 0 && is_set;
}

/// Itself, not what it completes: a definition names the declaration in its class (`struct A::B`).
bool is_declaration(Dwarf_Die* die) { return dwarf_hasattr(die, DW_AT_declaration) != 0; }

bool is_struct(int tag) {
  return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

bool is_pointer(int tag) {
  return tag == DW_TAG_pointer_type || tag == DW_TAG_reference_type ||
         tag == DW_TAG_rvalue_reference_type;
}

/// Whether the unit of a function describes types at all: with little debug information (-g1, or
/// that of assemblers) it has none, and a function without a result may give anything.
bool has_types(Dwarf_Die function) {
  Dwarf_Die unit;
  if (dwarf_cu_die(function.cu, &unit, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr) ==
      nullptr)
    return false;
  bool found = false;
  each_child(&unit, [&](Dwarf_Die* child) {
    const int tag = dwarf_tag(child);
    found = tag == DW_TAG_base_type || tag == DW_TAG_pointer_type;
    return !found;
  });
  return found;
}

/// The DW_LANG_* of what a function was written in, where a linker may have compiled it into a unit
/// of another language; -1: nobody says.
int language_of(Dwarf_Die function) {
  int language = -1;
  for (int i = 0; i < kMostChain; ++i) {
    Dwarf_Die unit;
    if (dwarf_cu_die(function.cu, &unit, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr) !=
        nullptr) {
      const int own = dwarf_srclang(&unit);
      if (own >= 0) language = own;
    }
    std::optional<Dwarf_Die> origin = referred(&function, DW_AT_abstract_origin);
    if (!origin) return language;
    function = *origin;
  }
  return language;
}

bool is_assembler(int language) {
  constexpr int kAssembly = 0x31;  // registered after DWARF 5
  return language == DW_LANG_Mips_Assembler || language == kAssembly;
}

/// Languages in which a function may be written without saying what it takes.
bool is_c(int language) {
  constexpr int kC17 = 0x2c, kC23 = 0x3e;  // registered after DWARF 5
  return language == DW_LANG_C89 || language == DW_LANG_C || language == DW_LANG_C99 ||
         language == DW_LANG_C11 || language == kC17 || language == kC23;
}

/// How many elements each dimension of an array has; 0 where it is not told.
std::vector<uint32_t> dimensions(Dwarf_Die* array) {
  std::vector<uint32_t> counts;
  each_child(array, [&](Dwarf_Die* child) {
    if (dwarf_tag(child) != DW_TAG_subrange_type) return true;
    const auto count = number_of(child, DW_AT_count);
    const auto last = number_of(child, DW_AT_upper_bound);
    const uint64_t all = count ? *count : last ? *last + 1 : 0;
    counts.push_back(all <= UINT32_MAX ? static_cast<uint32_t>(all) : 0);
    return counts.size() < kMostChain;
  });
  return counts;
}

struct DeclaredParameter {
  Dwarf_Die die;
  bool is_there = true;  ///< else the compiler has made a copy of the function without it
};

/// The parameters in the order of the declaration. A copy that GCC has made (`f.constprop.0`) lists
/// first those that it still takes: there what it was made from has the order.
std::vector<DeclaredParameter> parameters_of(Dwarf_Die* function) {
  const auto list = [](Dwarf_Die* of) {
    std::vector<DeclaredParameter> found;
    each_child(of, [&](Dwarf_Die* child) {
      if (dwarf_tag(child) == DW_TAG_formal_parameter) found.push_back({*child});
      return true;
    });
    return found;
  };
  const std::vector<DeclaredParameter> own = list(function);
  std::optional<Dwarf_Die> origin = referred(function, DW_AT_abstract_origin);
  if (!origin) return own;
  std::map<const void*, Dwarf_Die> by_origin;
  for (const DeclaredParameter& parameter : own) {
    Dwarf_Die die = parameter.die;
    const std::optional<Dwarf_Die> its_origin = referred(&die, DW_AT_abstract_origin);
    if (its_origin) by_origin.emplace(its_origin->addr, die);
  }
  std::vector<DeclaredParameter> declared;
  size_t known = 0;
  for (DeclaredParameter& parameter : list(&*origin)) {
    const auto found = by_origin.find(parameter.die.addr);
    parameter.is_there = found != by_origin.end();
    if (parameter.is_there) {
      parameter.die = found->second;
      ++known;
    } else if (is_flagged(&parameter.die, DW_AT_artificial)) {
      continue;  // constructors for whole objects do not take what those for bases take
    }
    declared.push_back(parameter);
  }
  return known == own.size() ? declared : own;
}

/// Where in its struct a member lies; nothing: where only the running program knows, or nowhere.
std::optional<CMember> place_of(Dwarf_Die* member, uint32_t type_bytes) {
  CMember out;
  if (is_flagged(member, DW_AT_external)) return std::nullopt;  // static
  const uint64_t bytes = number_of(member, DW_AT_data_member_location).value_or(0);
  Dwarf_Attribute location;
  Dwarf_Op* ops = nullptr;
  size_t count = 0;
  uint64_t offset = bytes;
  if (dwarf_attr(member, DW_AT_data_member_location, &location) != nullptr && offset == 0 &&
      dwarf_getlocation(&location, &ops, &count) == 0 && count > 0) {
    if (count != 1 || ops[0].atom != DW_OP_plus_uconst) return std::nullopt;
    offset = ops[0].number;
  }
  const auto width = number_of(member, DW_AT_bit_size);
  uint64_t bits = offset * 8;
  if (width) {
    if (*width == 0 || *width > 64) return std::nullopt;
    out.width_bits = static_cast<uint32_t>(*width);
    if (const auto from = number_of(member, DW_AT_data_bit_offset)) {
      bits += *from;
    } else if (const auto from_top = number_of(member, DW_AT_bit_offset)) {
      // Counted from the highest bit of the unit that holds it.
      const uint64_t unit = number_of(member, DW_AT_byte_size).value_or(type_bytes) * 8;
      bits += unit - *from_top - *width;
    }
  }
  if (bits > INT32_MAX) return std::nullopt;
  out.offset_bits = static_cast<uint32_t>(bits);
  return out;
}

}  // namespace

struct UserTypes::State {
  struct Type {
    Dwarf_Die die;
    uint32_t dimension = 0;  ///< of an array with several
  };
  struct File {
    DwarfFile dwarf;
    /// Of each unit that was walked, its functions by their first instruction.
    std::map<const void*, std::unordered_map<uint64_t, Dwarf_Die>> functions;
    bool is_named = false;
    std::unordered_map<std::string, Dwarf_Die> complete;  ///< types with members, by name
  };

  std::map<const uint8_t*, File> files;
  std::map<const Dwarf*, File*> file_of;  ///< also by the files of split units (.dwo)
  std::vector<Type> types = {{}};         // void
  std::map<std::pair<const void*, uint32_t>, uint32_t> ids;
  std::map<const void*, bool> by_reference;  ///< C++ classes that do not say it themselves

  File& file(const ElfFile& elf_file) {
    const Bytes bytes = elf_file.debug_information();
    const auto [at, is_new] = files.try_emplace(bytes.data());
    File& file = at->second;
    if (is_new) file.dwarf = DwarfFile(bytes);
    return file;
  }

  CType intern(const Dwarf_Die& die, uint32_t dimension = 0) {
    const auto next = static_cast<uint32_t>(kUserTypes + types.size());
    const auto [at, is_new] = ids.try_emplace({die.addr, dimension}, next);
    if (is_new) types.push_back({die, dimension});
    return {at->second, 0};
  }

  /// What DW_AT_type says; void where it says nothing.
  CType type_of(Dwarf_Die* die) {
    std::optional<Dwarf_Die> type = referred(die, DW_AT_type);
    if (!type) return {kUserTypes, 0};
    // Of a type that has a unit of its own (-fdebug-types-section) here is a stub without a name.
    const std::optional<Dwarf_Die> whole = referred(&*type, DW_AT_signature);
    return intern(whole ? *whole : *type);
  }

  /// Null: void, or no type of ours.
  Type* at(CType type) {
    const uint32_t index = type.id - kUserTypes;
    return type.id > kUserTypes && index < types.size() ? &types[index] : nullptr;
  }

  /// Without typedefs and qualifiers.
  CType resolved(CType type) {
    for (int i = 0; i < kMostChain && type.pointers == 0; ++i) {
      Type* entry = at(type);
      if (entry == nullptr) return type;
      Dwarf_Die die = entry->die;
      switch (dwarf_tag(&die)) {
        case DW_TAG_typedef:
        case DW_TAG_const_type:
        case DW_TAG_volatile_type:
        case DW_TAG_restrict_type:
        case DW_TAG_atomic_type:
          type = type_of(&die);
          break;
        default:
          return type;
      }
    }
    return type.pointers != 0 ? type : CType{kUserTypes, 0};
  }

  bool is_char(CType type) {
    for (int i = 0; i < kMostChain && type.pointers == 0; ++i) {
      Type* entry = at(type);
      if (entry == nullptr) return false;
      Dwarf_Die die = entry->die;
      const int tag = dwarf_tag(&die);
      if (tag == DW_TAG_base_type)
        return dwarf_bytesize(&die) == 1 && name_of(&die).find("char") != std::string_view::npos;
      if (tag != DW_TAG_const_type && tag != DW_TAG_volatile_type) return false;
      type = type_of(&die);
    }
    return false;
  }

  static uint32_t bytes_of(Dwarf_Die* die) {
    const auto bytes = number_of(die, DW_AT_byte_size);
    return bytes && *bytes <= INT32_MAX ? static_cast<uint32_t>(*bytes) : 0;
  }

  static uint32_t address_bytes(const Dwarf_Die& die) {
    Dwarf_Die unit;
    uint8_t bytes = sizeof(void*);
    if (dwarf_cu_die(die.cu, &unit, nullptr, nullptr, &bytes, nullptr, nullptr, nullptr) == nullptr)
      return sizeof(void*);
    return bytes;
  }

  /// Of a struct that is only declared here, the declaration that has its members, of the same
  /// name elsewhere in the program.
  Dwarf_Die complete(Dwarf_Die die) {
    if (!is_declaration(&die)) return die;
    const std::string name(name_of(&die));
    const auto at = file_of.find(dwarf_cu_getdwarf(die.cu));
    if (at == file_of.end() || name.empty()) return die;
    File& file = *at->second;
    index_names(file);
    const auto found = file.complete.find(name);
    return found != file.complete.end() ? found->second : die;
  }

  void index_names(File& file) {
    if (file.is_named) return;
    file.is_named = true;
    each_unit(file.dwarf.get(), [&](Dwarf_Die* unit, Dwarf_Die* /*in_file*/) {
      file_of.emplace(dwarf_cu_getdwarf(unit->cu), &file);
      each_child(unit, [&](Dwarf_Die* child) {
        if (is_struct(dwarf_tag(child)) && !is_declaration(child))
          file.complete.emplace(name_of(child), *child);
        return true;
      });
      return true;
    });
  }

  /// All functions below a unit: also those of namespaces, classes and blocks.
  static void index_functions(Dwarf_Die* parent, int depth,
                              std::unordered_map<uint64_t, Dwarf_Die>& out) {
    if (depth > kMostChain) return;
    each_child(parent, [&](Dwarf_Die* child) {
      const int tag = dwarf_tag(child);
      if (tag == DW_TAG_subprogram) {
        Dwarf_Addr begin = 0, end = 0, base = 0;
        const bool has_code =
            dwarf_entrypc(child, &begin) == 0 || dwarf_ranges(child, 0, &base, &begin, &end) > 0;
        if (has_code) out.try_emplace(begin, *child);
      }
      if (tag == DW_TAG_namespace || tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block ||
          is_struct(tag))
        index_functions(child, depth + 1, out);
      return true;
    });
  }

  std::optional<Dwarf_Die> find_function(File& file, uint64_t address) {
    const auto within = [&](Dwarf_Die* unit) -> std::optional<Dwarf_Die> {
      const auto [at, is_new] = file.functions.try_emplace(unit->addr);
      if (is_new) index_functions(unit, 0, at->second);
      file_of.emplace(dwarf_cu_getdwarf(unit->cu), &file);
      const auto found = at->second.find(address);
      if (found == at->second.end()) return std::nullopt;
      return found->second;
    };
    Dwarf_Die unit;
    std::optional<Dwarf_Die> found;
    if (dwarf_addrdie(file.dwarf.get(), address, &unit) != nullptr) found = within(&unit);
    if (found) return found;
    // Compilers may leave out the list of which unit has which addresses (.debug_aranges).
    each_unit(file.dwarf.get(), [&](Dwarf_Die* one, Dwarf_Die* in_file) {
      if (dwarf_haspc(in_file, address) > 0) found = within(one);
      return !found.has_value();
    });
    return found;
  }

  PassedType passed(Dwarf_Die* die, int language) {
    PassedType out;
    out.type = type_of(die);
    Type* type = at(resolved(out.type));
    Dwarf_Die target = type != nullptr ? type->die : Dwarf_Die{};
    const bool is_class = type != nullptr && is_struct(dwarf_tag(&target));
    if (is_class) out.is_by_reference = is_by_reference(target, 0);
    out.is_unknown = language == DW_LANG_Rust && type != nullptr && !is_simple_in_rust(target);
    if (out.is_by_reference && !dwarf_hasattr(&target, DW_AT_calling_convention))
      out.is_unknown = !tells_defaults(target);
    return out;
  }

  /// Whether it says what is `= default`: DWARF 4 as it was written does not, as GCC extends it
  /// does.
  static bool tells_defaults(Dwarf_Die die) {
    Dwarf_Die unit;
    Dwarf_Half version = 0;
    if (dwarf_cu_die(die.cu, &unit, &version, nullptr, nullptr, nullptr, nullptr, nullptr) ==
        nullptr)
      return false;
    Dwarf_Attribute found;
    const char* producer = dwarf_formstring(dwarf_attr(&unit, DW_AT_producer, &found));
    const std::string_view by = producer == nullptr ? "" : producer;
    // Units of single types (-fdebug-types-section) do not say who made them.
    const bool is_gcc = by.empty() || by.substr(0, 4) == "GNU ";
    return version >= 5 || (is_gcc && by.find("strict-dwarf") == by.npos);
  }

  /// Numbers, pointers, and those with a length or a vtable (`&str`, `&dyn Trait`): of all else
  /// Rust leaves open how it is handed over.
  static bool is_simple_in_rust(Dwarf_Die type) {
    const int tag = dwarf_tag(&type);
    const bool is_number = tag == DW_TAG_base_type || tag == DW_TAG_enumeration_type;
    const std::string_view name = name_of(&type);
    const bool is_reference = !name.empty() && (name[0] == '&' || name[0] == '*');
    return is_pointer(tag) || is_reference || (is_number && bytes_of(&type) - 1 < sizeof(uint64_t));
  }

  /// Whether C++ hands objects of the class over by their address (Itanium C++ ABI, "non-trivial
  /// for the purposes of calls"): somebody wrote how they are copied, moved or destroyed.
  bool is_by_reference(Dwarf_Die type, int depth) {
    constexpr uint64_t kByReference = 4;  // DW_CC_pass_by_reference
    if (depth > kMostChain) return false;
    type = complete(type);
    if (const auto told = number_of(&type, DW_AT_calling_convention)) return *told == kByReference;
    const auto [known, is_new] = by_reference.emplace(type.addr, false);
    if (!is_new) return known->second;
    bool found = false;
    each_child(&type, [&](Dwarf_Die* child) {
      const int tag = dwarf_tag(child);
      if (tag == DW_TAG_subprogram) found = is_written_copy(type, child);
      if (tag == DW_TAG_inheritance)
        found = dwarf_hasattr(child, DW_AT_virtuality) != 0 || is_of_such(child, depth);
      if (tag == DW_TAG_member && !is_declaration(child)) found = is_of_such(child, depth);
      return !found;
    });
    by_reference[type.addr] = found;
    return found;
  }

  /// Of a base or a member.
  bool is_of_such(Dwarf_Die* part, int depth) {
    Type* type = at(resolved(type_of(part)));
    if (type == nullptr) return false;
    Dwarf_Die target = type->die;
    if (dwarf_tag(&target) == DW_TAG_array_type) {
      type = at(resolved(type_of(&target)));
      if (type == nullptr) return false;
      target = type->die;
    }
    return is_struct(dwarf_tag(&target)) && is_by_reference(target, depth + 1);
  }

  /// A destructor, a copy or move constructor that is not the compiler's own, or a virtual
  /// function.
  bool is_written_copy(Dwarf_Die& type, Dwarf_Die* function) {
    if (dwarf_hasattr(function, DW_AT_virtuality) != 0) return true;
    const bool is_own = dwarf_hasattr(function, DW_AT_artificial) != 0 ||
                        number_of(function, DW_AT_defaulted) == uint64_t{1} ||
                        dwarf_hasattr(function, DW_AT_deleted) != 0;
    if (is_own) return false;
    const std::string_view name = name_of(function);
    const std::string_view own = name_of(&type).substr(0, name_of(&type).find('<'));
    if (own.empty() || name.empty()) return false;
    if (name[0] == '~') return true;
    if (name != own) return false;
    std::vector<Dwarf_Die> parameters;
    each_child(function, [&](Dwarf_Die* child) {
      const bool is_hidden = dwarf_hasattr(child, DW_AT_artificial) != 0;
      if (dwarf_tag(child) == DW_TAG_formal_parameter && !is_hidden) parameters.push_back(*child);
      return true;
    });
    if (parameters.size() != 1) return false;
    std::optional<Dwarf_Die> target = referred(&parameters[0], DW_AT_type);
    if (!target || dwarf_tag(&*target) == DW_TAG_pointer_type || !is_pointer(dwarf_tag(&*target)))
      return false;
    Type* of = at(resolved(type_of(&*target)));
    if (of == nullptr) return false;
    return complete(of->die).addr == type.addr;
  }

  std::optional<CMember> find_member(CType type, std::string_view name, int depth);
  void add_names(CType type, int depth, std::vector<std::string>& names);
  CShape shape_of(CType type, int depth);
  CShape shape_of_array(Type entry, int depth);
  CShape shape_of_enum(Dwarf_Die die, int depth);
  std::string name_of_type(CType type, int depth);
};

CShape UserTypes::State::shape_of_array(Type entry, int depth) {
  CShape shape;
  const std::vector<uint32_t> counts = dimensions(&entry.die);
  shape.kind = CKind::Array;
  const bool has_more = entry.dimension + 1 < counts.size();
  shape.target = has_more ? intern(entry.die, entry.dimension + 1) : type_of(&entry.die);
  shape.count = entry.dimension < counts.size() ? counts[entry.dimension] : 0;
  shape.size_bytes = shape.count * shape_of(shape.target, depth + 1).size_bytes;
  shape.is_text = is_char(shape.target);
  return shape;
}

CShape UserTypes::State::shape_of_enum(Dwarf_Die die, int depth) {
  CShape shape;
  shape.kind = CKind::Enum;
  shape.size_bytes = bytes_of(&die);
  if (referred(&die, DW_AT_type)) {
    const CShape number = shape_of(type_of(&die), depth + 1);
    shape.is_signed = number.is_signed;
    if (shape.size_bytes == 0) shape.size_bytes = number.size_bytes;
    return shape;
  }
  each_child(&die, [&](Dwarf_Die* child) {
    Dwarf_Attribute value;
    Dwarf_Sword number = 0;
    const bool is_sdata = dwarf_attr(child, DW_AT_const_value, &value) != nullptr &&
                          dwarf_whatform(&value) == DW_FORM_sdata;
    if (is_sdata && dwarf_formsdata(&value, &number) == 0 && number < 0) shape.is_signed = true;
    return !shape.is_signed;
  });
  return shape;
}

CShape UserTypes::State::shape_of(CType type, int depth) {
  CShape shape;
  type = depth < kMostChain ? resolved(type) : CType{kUserTypes, 0};
  if (type.pointers != 0) {
    shape.kind = CKind::Pointer;
    Type* target = at(type);
    shape.size_bytes = target != nullptr ? address_bytes(target->die) : sizeof(void*);
    shape.target = {type.id, type.pointers - 1};
    shape.is_text = is_char(shape.target);
    return shape;
  }
  Type* entry = at(type);
  if (entry == nullptr) return shape;
  Dwarf_Die die = entry->die;
  const int tag = dwarf_tag(&die);
  if (is_pointer(tag)) {
    shape.kind = CKind::Pointer;
    shape.size_bytes = address_bytes(die);
    shape.target = type_of(&die);
    shape.is_text = is_char(shape.target);
    return shape;
  }
  if (tag == DW_TAG_array_type) return shape_of_array(*entry, depth);
  if (tag == DW_TAG_enumeration_type) return shape_of_enum(die, depth);
  if (is_struct(tag)) {
    die = complete(die);
    shape.kind = is_declaration(&die) ? CKind::Opaque : CKind::Struct;
    shape.size_bytes = bytes_of(&die);
    return shape;
  }
  shape.kind = CKind::Opaque;
  shape.size_bytes = bytes_of(&die);
  if (tag != DW_TAG_base_type) return shape;
  switch (number_of(&die, DW_AT_encoding).value_or(0)) {
    case DW_ATE_boolean:
      shape.kind = CKind::Bool;
      break;
    case DW_ATE_signed:
    case DW_ATE_signed_char:
      shape.is_signed = true;
      [[fallthrough]];
    case DW_ATE_unsigned:
    case DW_ATE_unsigned_char:
    case DW_ATE_address:
    case DW_ATE_UTF:
      shape.kind = CKind::Int;
      break;
    default:
      break;
  }
  return shape;
}

/// Those of unnamed structs and unions, and of base classes, count as its own.
std::optional<CMember> UserTypes::State::find_member(CType type, std::string_view name, int depth) {
  Type* entry = at(resolved(type));
  if (entry == nullptr || type.pointers != 0 || depth > kMostChain) return std::nullopt;
  Dwarf_Die die = complete(entry->die);
  if (!is_struct(dwarf_tag(&die))) return std::nullopt;
  std::optional<CMember> found;
  each_child(&die, [&](Dwarf_Die* child) {
    const int tag = dwarf_tag(child);
    if (tag != DW_TAG_member && tag != DW_TAG_inheritance) return true;
    const std::string_view its_name = tag == DW_TAG_member ? name_of(child) : std::string_view();
    if (!its_name.empty() && its_name != name) return true;
    const CType its_type = type_of(child);
    const std::optional<CMember> place = place_of(child, shape_of(its_type, depth + 1).size_bytes);
    if (!place) return true;
    if (!its_name.empty()) {
      found = place;
      found->type = its_type;
      return false;
    }
    found = find_member(its_type, name, depth + 1);
    if (found) found->offset_bits += place->offset_bits;
    return !found.has_value();
  });
  return found;
}

void UserTypes::State::add_names(CType type, int depth, std::vector<std::string>& names) {
  Type* entry = at(resolved(type));
  if (entry == nullptr || type.pointers != 0 || depth > kMostChain) return;
  Dwarf_Die die = complete(entry->die);
  if (!is_struct(dwarf_tag(&die))) return;
  each_child(&die, [&](Dwarf_Die* child) {
    const int tag = dwarf_tag(child);
    if (tag != DW_TAG_member && tag != DW_TAG_inheritance) return true;
    if (!place_of(child, 0)) return true;
    const std::string_view its_name = tag == DW_TAG_member ? name_of(child) : std::string_view();
    if (its_name.empty()) {
      add_names(type_of(child), depth + 1, names);
    } else {
      names.emplace_back(its_name);
    }
    return true;
  });
}

std::string UserTypes::State::name_of_type(CType type, int depth) {
  std::string stars(std::min<uint32_t>(type.pointers, kMostChain), '*');
  for (int i = depth; i < kMostChain; ++i) {
    Type* entry = at(type);
    std::string text = "void";
    if (entry != nullptr) {
      Dwarf_Die die = entry->die;
      const int tag = dwarf_tag(&die);
      if (is_pointer(tag)) stars.insert(0, tag == DW_TAG_pointer_type ? "*" : "&");
      if (is_pointer(tag) || tag == DW_TAG_const_type || tag == DW_TAG_volatile_type ||
          tag == DW_TAG_restrict_type || tag == DW_TAG_atomic_type) {
        type = type_of(&die);
        continue;
      }
      if (tag == DW_TAG_array_type) {
        text = name_of_type(type_of(&die), i + 1);
        for (const uint32_t count : dimensions(&die)) text += fmt::format("[{}]", count);
      } else {
        const std::string_view name = name_of(&die);
        text = tag == DW_TAG_subroutine_type    ? "function"
               : tag == DW_TAG_structure_type   ? "struct "
               : tag == DW_TAG_class_type       ? "class "
               : tag == DW_TAG_union_type       ? "union "
               : tag == DW_TAG_enumeration_type ? "enum "
                                                : "";
        if (tag != DW_TAG_subroutine_type) text += name.empty() ? "{…}" : name;
      }
    }
    return stars.empty() ? text : text + " " + stars;
  }
  return "{…}";
}

UserTypes::UserTypes() : state_(std::make_unique<State>()) {}
UserTypes::~UserTypes() = default;

std::optional<UserFunction> UserTypes::function(const ElfFile& file, uint64_t address) {
  State::File& from = state_->file(file);
  if (from.dwarf.get() == nullptr) return std::nullopt;
  std::optional<Dwarf_Die> die = state_->find_function(from, address);
  if (!die) return std::nullopt;
  UserFunction out;
  const int language = language_of(*die);
  if (is_assembler(language)) return out;  // assemblers write where it is, and a type that is none
  const PassedType result = state_->passed(&*die, language);
  out.result = result.type;
  out.is_result_told = state_->resolved(result.type) != CType{kUserTypes, 0} || has_types(*die);
  each_child(&*die, [&](Dwarf_Die* child) {
    out.is_variadic = dwarf_tag(child) == DW_TAG_unspecified_parameters;
    return !out.is_variadic;
  });
  std::vector<DeclaredParameter> declared = parameters_of(&*die);
  std::vector<PassedType> passed;
  // What a closure has captured comes before the rest, and is not told.
  const bool is_closure =
      language == DW_LANG_Rust && name_of(&*die).find("{closure") != std::string_view::npos;
  if (is_closure) passed.push_back({.is_unknown = true});
  for (DeclaredParameter& parameter : declared) {
    Dwarf_Die* its_die = &parameter.die;
    out.parameters.push_back({std::string(name_of(its_die)), state_->type_of(its_die), {}, {}});
    if (parameter.is_there) passed.push_back(state_->passed(its_die, language));
  }
  const bool takes_nothing =
      out.is_result_told && (!is_c(language) || is_flagged(&*die, DW_AT_prototyped));
  out.are_parameters_told = takes_nothing || !out.parameters.empty() || out.is_variadic;
  const Machine machine = file.image().machine();
  // Functions of 32-bit arm that take any number of arguments take them all alike.
  const bool has_float_registers =
      machine != Machine::Arm || (file.image().is_hard_float() && !out.is_variadic);
  const std::vector<ArgumentPlace> usual =
      argument_places(machine, *this, result, passed, has_float_registers);
  size_t next = is_closure ? 1 : 0;
  for (size_t i = 0; i < declared.size(); ++i) {
    if (!declared[i].is_there) continue;
    UserFunction::Parameter& parameter = out.parameters[i];
    const CShape type = shape(parameter.type);
    const uint32_t value_bits = type.kind == CKind::Bool ? 1 : type.size_bytes * 8;
    parameter.usual = usual[next++];
    parameter.place =
        place_at_entry(&declared[i].die, &*die, address, machine, value_bits, parameter.usual);
  }
  return out;
}

Result<CType> UserTypes::parse(std::string_view text) const {
  return Error{fmt::format("'{}': types of programs have no names in scripts", text)};
}

CShape UserTypes::shape(CType type) const { return state_->shape_of(type, 0); }

std::optional<CMember> UserTypes::member(CType type, std::string_view name) const {
  if (type.pointers != 0 || name.empty()) return std::nullopt;
  return state_->find_member(type, name, 0);
}

std::vector<std::string> UserTypes::member_names(CType type) const {
  std::vector<std::string> names;
  state_->add_names(type, 0, names);
  return names;
}

std::vector<std::string> UserTypes::names_like(std::string_view text) const {
  (void)text;
  return {};
}

std::string UserTypes::name(CType type) const { return state_->name_of_type(type, 0); }

std::string UserTypes::enum_name(CType type, int64_t value) const {
  const uint32_t bytes = state_->shape_of(type, 0).size_bytes;
  // As wide as the type is: how a compiler writes a negative one differs.
  const uint32_t unused = 64 - 8 * std::clamp<uint32_t>(bytes, 1, 8);
  for (auto& [name, named] : enumerators(type)) {
    if (static_cast<uint64_t>(named) << unused == static_cast<uint64_t>(value) << unused)
      return name;
  }
  return "";
}

std::vector<std::pair<std::string, int64_t>> UserTypes::enumerators(CType type) const {
  std::vector<std::pair<std::string, int64_t>> names;
  State::Type* entry = state_->at(state_->resolved(type));
  if (entry == nullptr || state_->shape_of(type, 0).kind != CKind::Enum) return names;
  Dwarf_Die die = entry->die;
  each_child(&die, [&](Dwarf_Die* child) {
    const auto number = number_of(child, DW_AT_const_value);
    if (number) names.emplace_back(name_of(child), static_cast<int64_t>(*number));
    return true;
  });
  return names;
}

std::optional<CType> UserTypes::enum_of(std::string_view enumerator) const {
  (void)enumerator;
  return std::nullopt;
}

}  // namespace ktap::symbol
