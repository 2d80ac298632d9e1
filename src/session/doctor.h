// `ktap doctor`: what works on this machine with the present privileges, found by doing it.
#pragma once

namespace ktap::session {

/// Prints the table, or an object a line. Attaches a program that does nothing in each way there
/// is, and lets go of it. Returns the exit status: 0 when events can be traced at all, else 1.
int doctor(bool json);

}  // namespace ktap::session
