// Random scripts with handlers: a main chunk with tables, variables, functions and closures, one to
// three handlers on system calls, sometimes a tick, what happens (events.h), and a trace_end that
// shows everything. Mostly well typed; now and then an operand of any type, so that run-time errors
// are judged too.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "program.h"

namespace ktap::differential {

/// What scripts are made of, beside integers, strings as they are, tables of integers and
/// functions.
struct HandlerFeatures {
  bool loops = true;
  bool strings = true;  ///< joined, taken apart, searched
  bool values = true;   ///< strings, booleans and nil in variables and tables
  bool aggregates = true;
  bool updates = true;     ///< every operator of an update, on variables and table entries
  bool choices = true;     ///< `c && a || b`
  bool calls = true;       ///< math, names of numbers, text from formats
  bool closures = true;    ///< functions made in handlers, functions in tables
  bool user_space = true;  ///< now and then what has no kernel form
  bool argstr = true;
};

Node random_script(uint64_t seed, const HandlerFeatures& features);

}  // namespace ktap::differential
