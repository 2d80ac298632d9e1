// Every named limit of the language and the programs, in one place. Each is tested at its edge.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ktap::limits {

constexpr int kMaxDiagnostics = 20;  ///< compile errors reported per run
constexpr int kMaxNesting = 200;     ///< nested blocks, expressions and functions in source
constexpr int kMaxChain = 500;       ///< operators, calls and indexes chained in one expression
constexpr int kMaxLocals = 200;      ///< local variables per function
constexpr int kMaxRegisters = 250;   ///< registers per function
constexpr int kMaxUpvalues = 250;    ///< captured variables per function
constexpr int kMaxGlobals = 256;     ///< global variables per script
constexpr int kMaxKeyParts = 16;     ///< parts of a multi-key
constexpr int64_t kHandlerIterations = 100000;  ///< loop iterations of one handler run
constexpr int64_t kHandlerCalls = 1000000;      ///< calls of one handler run
constexpr int kHandlerCallDepth = 200;          ///< call depth of one handler run
constexpr int kMainCallDepth = 200000;          ///< call depth of the main chunk and trace_end
constexpr uint32_t kDefaultTableSize = 10240;   ///< entries of a table that lives in the kernel
constexpr uint32_t kTableEntries = 16777216;    ///< of a table in the kernel, that may be asked for
constexpr uint32_t kStackFrames = 50;           ///< of stack() and ustack() at most, and by default
constexpr uint32_t kStackSkip = 50;     ///< innermost frames that stack() leaves out at most
constexpr uint32_t kStringBytes = 256;  ///< bytes user_string/kernel_string read at most by default
constexpr uint32_t kMaxMadeBytes = 512;  ///< bytes of a string that kernel code makes or keeps
constexpr int64_t kMaxStringBytes =
    4096;  ///< bytes user_string reads at most, whatever is asked for
constexpr uint32_t kMaxTextBytes = 256u << 20;   ///< bytes of one string in user space
constexpr uint32_t kMaxStackValues = 16u << 20;  ///< registers of all active calls in user space
constexpr size_t kMaxLinearBuckets = 10000;      ///< buckets of one linear hist between its bounds
constexpr size_t kMaxLinearShapes = 32;          ///< different linear hists of one script
constexpr size_t kMaxAggregateValues = 65536;  ///< different values for hists with computed bounds
constexpr uint32_t kMaxCompiledBytes = 16u << 20;  ///< bytes of a .ktap file
constexpr uint64_t kLeastClockNs = 100000;         ///< between two samples of a clock of perf's
constexpr int kMaxNestedRuns = 100;  ///< compare functions that sort with compare functions, …

/// Functions of the kernel in one handler where each takes a probe of its own. Guessed: some
/// seconds.
constexpr int kFunctionsOneByOne = 500;

}  // namespace ktap::limits
