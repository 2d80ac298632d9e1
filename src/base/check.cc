// A check that failed: our own mistake. Says where, and stops.
#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace ktap {

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, expression);
  std::abort();
}

void out_of_memory() {
  std::fputs("ktap: error: out of memory; a table or string of the script has grown too large\n",
             stderr);
  std::_Exit(1);
}

}  // namespace ktap
