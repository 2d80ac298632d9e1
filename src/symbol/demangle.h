// Names of C++ and Rust as people write them.
#pragma once

#include <string>
#include <string_view>

namespace ktap::symbol {

/// Does it look mangled: `_Z…`, `__Z…`, `_R…`? Cheap.
bool is_mangled(std::string_view name);

/// "std::vector<int, std::allocator<int> >::push_back(int const&)"; Rust names lose their hash.
/// "" for a name that is not mangled, or not well.
/// Cost: about a microsecond; up to milliseconds for names of kilobytes.
std::string demangle(std::string_view name);

/// A demangled name without parameter list, what follows it, and the return type that templates
/// have: "void f<int>(int) const [clone .cold]" → "f<int>". A view into `demangled`.
std::string_view without_parameters(std::string_view demangled);

/// The same with all that stands behind the name: "f<int>(int) const [clone .cold]".
std::string_view without_result(std::string_view demangled);

/// A demangled name without the tags that compilers add by themselves, mostly where a function
/// gives a std::string: "f[abi:cxx11](int)" → "f(int)". "": it has none.
std::string without_abi_tags(std::string_view demangled);

}  // namespace ktap::symbol
