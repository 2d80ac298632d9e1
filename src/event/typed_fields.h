// Fields of functions whose argument types are known: from the kernel's BTF, or a program's debug
// information.
#pragma once

#include <vector>

#include "event/fetch_arguments.h"
#include "schema/event.h"
#include "schema/kernel_types.h"
#include "symbol/user_types.h"

namespace ktap::event {

/// A value of that C type in a register, as far as it is one: else the field is opaque. What a
/// pointer leads to is `target` where it has members or is a number.
void set_type(const schema::KernelTypes& types, schema::CType type, schema::Field* field);

/// Adds the arguments of a program's function at its first instruction to the fields of `event`,
/// then, without a number, the characters that `char *` ones point to. `context`: of the program.
void add_user_arguments(const schema::KernelTypes& types, const symbol::UserFunction& function,
                        const FetchContext& context, schema::Event* event);

/// Gives `retval`, the last of `fields`, the type of the result. False: the type is no value (void,
/// a struct, a float): `retval` stays a word, and behind it is a field of that type, which is what
/// `args.retval` means.
bool type_result(const schema::KernelTypes& types, schema::CType type,
                 std::vector<schema::Field>* fields);

/// The same of a program's function, if its debug information says what it gives; adds the
/// characters of a `char *`.
void type_user_result(const schema::KernelTypes& types, const symbol::UserFunction& function,
                      const FetchContext& context, schema::Event* event);

}  // namespace ktap::event
