// What lowering and the user-space side say alike of the kernel's types: which member is meant,
// what cast() takes, the words of their mistakes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lower/lower.h"
#include "runtime/value.h"
#include "schema/kernel_types.h"

namespace ktap::lower {

/// Of what a pointer to `of` leads to. A member that is not there: the error, and the mistake with
/// the names there are at the end of `mistakes`, when that is not null.
Result<schema::CMember> find_member(const schema::KernelTypes& types, schema::CType of,
                                    const std::string& name, std::vector<EventMistake>* mistakes);
/// What cast()'s pointer leads to.
Result<schema::CType> cast_target(const schema::KernelTypes& types, const std::string& text,
                                  std::vector<EventMistake>* mistakes);
/// What enum_name() looks a number up in: a type ("enum pid_type", a typedef), or one of its names.
Result<schema::CType> enum_type(const schema::KernelTypes& types, const std::string& text,
                                std::vector<EventMistake>* mistakes);
/// Of kaddr(): what the kernel's symbols say.
EventMistake no_kernel_symbol(const Error& error);
/// Of pointer[x]: the run-time error.
std::string pointer_index_error(runtime::Type got);

}  // namespace ktap::lower
