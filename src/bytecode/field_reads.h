// Whether a script reads what its events carry: if not, nobody has to find out what that is.
#pragma once

#include "bytecode/chunk.h"

namespace ktap::bytecode {

/// Does this function or one written inside it read a field, an argument, a result or the text of
/// an event, or take the event as a value, from which all of these can be had?
bool reads_event_fields(const Function& function);

}  // namespace ktap::bytecode
