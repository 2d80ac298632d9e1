// System calls by name, for the architecture that we are built for, and the sizes of their
// arguments' C types.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "schema/event.h"

namespace ktap::event {

/// Number of the system call that tracefs calls `name` ("read", "newfstat"), or -1 when it is not
/// known here.
int64_t syscall_number(std::string_view name);

/// The name in <asm/unistd.h> of a number of this architecture ("openat"), or "" when there is
/// none.
std::string_view syscall_name(int64_t number);

/// Kind, width and sign of an argument of C type `c_type` ("unsigned int", "const char *",
/// "umode_t"). The tracepoint's own record cannot tell: it holds every argument in a word. An
/// unknown type is a word.
struct ArgumentShape {
  schema::FieldKind kind;
  uint32_t size_bytes;
  bool is_signed;
};
ArgumentShape argument_shape(std::string_view c_type);

/// Gives the arguments of a system call, all fields but the first, the shape of their types; they
/// come as the record has them, each in a word of the machine. Where a word has 4 bytes an argument
/// of 8 is in two registers, the first of them with an even number (ARM EABI), and the record,
/// which holds as many registers as there are arguments, says of all from there on where they are
/// not: those that it does not hold become Opaque. Pure.
void shape_arguments(std::vector<schema::Field>& fields, uint32_t word_bytes);

}  // namespace ktap::event
