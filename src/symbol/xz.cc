// liblzma in a loop: the size of what comes out is not known before.
#include "symbol/xz.h"

#include <lzma.h>

#include <algorithm>

namespace ktap::symbol {

namespace {

constexpr uint64_t kMostDecoderMemory = uint64_t{128} << 20;
constexpr size_t kFirstBytes = size_t{64} << 10;

/// Decodes into `out`, which grows up to `limit_bytes`. True when all of it was there.
bool run(lzma_stream& stream, std::vector<uint8_t>& out, size_t limit_bytes) {
  while (true) {
    const size_t done = stream.total_out;
    if (done == out.size()) {
      if (done >= limit_bytes) return false;
      out.resize(std::min(std::max(done * 2, kFirstBytes), limit_bytes));
    }
    stream.next_out = out.data() + done;
    stream.avail_out = out.size() - done;
    const lzma_ret status = lzma_code(&stream, LZMA_FINISH);
    if (status == LZMA_STREAM_END) return true;
    if (status != LZMA_OK) return false;
  }
}

}  // namespace

std::optional<std::vector<uint8_t>> decompress_xz(Bytes compressed, size_t limit_bytes) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, kMostDecoderMemory, 0) != LZMA_OK) return std::nullopt;
  stream.next_in = compressed.data();
  stream.avail_in = compressed.size();
  std::vector<uint8_t> out;
  const bool whole = run(stream, out, limit_bytes);
  out.resize(stream.total_out);
  lzma_end(&stream);
  if (!whole) return std::nullopt;
  return out;
}

uint32_t crc32(Bytes bytes) { return lzma_crc32(bytes.data(), bytes.size(), 0); }

}  // namespace ktap::symbol
