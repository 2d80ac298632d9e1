// libFuzzer target for .ktap files: any bytes behind a good magic go the whole way that needs no
// kernel (tests/file/run_compiled.h). Header and checksum are mended before, so that they hide
// nothing; the mutator changes instructions of files that load as often as bytes.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "../tests/file/mutator.h"
#include "../tests/file/run_compiled.h"
#include "bytecode/file.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  ktap::bytecode::mend_header(bytes);
  ktap::testing::run_compiled(bytes);
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  ktap::testing::Chance chance(seed);
  if (chance.once_in(2)) return LLVMFuzzerMutate(data, size, max_size);
  std::string bytes(reinterpret_cast<const char*>(data), size);
  ktap::bytecode::mend_header(bytes);
  const std::string mutant = ktap::testing::mutate_code(bytes, chance);
  if (mutant.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, mutant.data(), mutant.size());
  return mutant.size();
}
