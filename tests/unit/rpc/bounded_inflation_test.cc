#include "server/rpc/bounded_inflation.h"

#include <grpc/impl/codegen/compression_types.h>
#include <grpc/slice.h>
#include <grpc/slice_buffer.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <vector>

// gRPC's own, by the name by which gRPC calls it: the linker puts ours in its place.
int grpc_msg_decompress(grpc_compression_algorithm algorithm, grpc_slice_buffer* input,
                        grpc_slice_buffer* output);

namespace calserve {
namespace {

constexpr size_t kLimit = 100'000;  // bytes: more than one slice of the output

class Slices {
 public:
  explicit Slices(const std::vector<std::string>& texts) {
    grpc_slice_buffer_init(&buffer_);
    // Indexed: two slices that are added otherwise may become one.
    for (const std::string& text : texts) {
      grpc_slice_buffer_add_indexed(&buffer_, grpc_slice_from_copied_buffer(text.data(), text.size()));
    }
  }
  ~Slices() { grpc_slice_buffer_destroy(&buffer_); }
  Slices(const Slices&) = delete;
  Slices& operator=(const Slices&) = delete;

  grpc_slice_buffer* buffer() { return &buffer_; }
  std::string Text() const {
    std::string text;
    for (size_t i = 0; i < buffer_.count; ++i) {
      const grpc_slice& slice = buffer_.slices[i];
      text.append(reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)), GRPC_SLICE_LENGTH(slice));
    }
    EXPECT_EQ(text.size(), buffer_.length);
    return text;
  }

 private:
  grpc_slice_buffer buffer_;
};

// Of `size` bytes, which take half of that when they are compressed.
std::string Message(size_t size) {
  std::string text(size, ' ');
  unsigned state = 1;
  for (char& byte : text) byte = static_cast<char>('a' + ((state = state * 1664525 + 1013904223) >> 28));
  return text;
}

class BoundedInflationTest : public testing::TestWithParam<grpc_compression_algorithm> {
 protected:
  ~BoundedInflationTest() override { LimitInflation(std::numeric_limits<size_t>::max()); }

  static std::string Compress(const std::string& text) {
    z_stream stream = {};
    const int bits = MAX_WBITS | (GetParam() == GRPC_COMPRESS_GZIP ? 16 : 0);
    EXPECT_EQ(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string compressed(deflateBound(&stream, text.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
    stream.avail_out = static_cast<uInt>(compressed.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    compressed.resize(stream.total_out);
    deflateEnd(&stream);
    return compressed;
  }

  // What is appended to an output of `before`; none where the message is refused, which leaves it alone.
  static std::optional<std::string> Inflate(const std::vector<std::string>& slices,
                                            const std::string& before = "") {
    Slices input(slices), output(before.empty() ? std::vector<std::string>() : std::vector{before});
    const int whole = grpc_msg_decompress(GetParam(), input.buffer(), output.buffer());
    const std::string text = output.Text();
    EXPECT_EQ(text.substr(0, before.size()), before);
    if (whole == 1) return text.substr(before.size());
    EXPECT_EQ(whole, 0);
    EXPECT_EQ(text, before);
    EXPECT_EQ(output.buffer()->count, before.empty() ? 0 : 1);
    return std::nullopt;
  }
};

INSTANTIATE_TEST_SUITE_P(Algorithms, BoundedInflationTest,
                         testing::Values(GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE), [](const auto& info) {
                           return info.param == GRPC_COMPRESS_GZIP ? "Gzip" : "Deflate";
                         });

TEST_P(BoundedInflationTest, AMessageMayComeInSlicesOfAnySize) {
  const std::string message = Message(kLimit), compressed = Compress(message);
  for (const size_t size : {size_t{1}, size_t{1000}, compressed.size()}) {
    std::vector<std::string> slices;
    for (size_t at = 0; at < compressed.size(); at += size) slices.push_back(compressed.substr(at, size));
    EXPECT_EQ(Inflate(slices), message) << size;
  }
  EXPECT_EQ(Inflate({Compress("")}), "");
  EXPECT_EQ(Inflate({compressed}, "before"), message);
}

TEST_P(BoundedInflationTest, EmptySlicesAreNothing) {
  const std::string message = Message(kLimit), compressed = Compress(message);
  const std::string head = compressed.substr(0, 100), tail = compressed.substr(100);
  EXPECT_EQ(Inflate({"", compressed}), message);
  EXPECT_EQ(Inflate({head, "", tail}), message);
  EXPECT_EQ(Inflate({compressed, ""}), message);
  EXPECT_EQ(Inflate({"", "", head, "", "", tail, "", ""}), message);
}

TEST_P(BoundedInflationTest, AMessageIsCutToOneByteMoreThanTheLimit) {
  const std::string message = Message(3 * kLimit);
  for (const size_t limit : {size_t{1}, size_t{64} << 10, kLimit}) {
    LimitInflation(limit);
    EXPECT_EQ(Inflate({Compress(message.substr(0, limit))}), message.substr(0, limit));
    EXPECT_EQ(Inflate({Compress(message.substr(0, limit + 1))}), message.substr(0, limit + 1));
    EXPECT_EQ(Inflate({Compress(message)}), message.substr(0, limit + 1));
    EXPECT_EQ(Inflate({Compress(message)}, "before"), message.substr(0, limit + 1));
  }
}

TEST_P(BoundedInflationTest, WithoutALimitNothingIsCut) {
  const std::string message = Message(30 * kLimit);
  EXPECT_EQ(Inflate({Compress(message)}), message);
  LimitInflation(std::numeric_limits<size_t>::max());
  EXPECT_EQ(Inflate({Compress(message)}), message);
}

TEST_P(BoundedInflationTest, WhatIsNotWholeIsRefusedAndLeavesTheOutputAsItWas) {
  const std::string compressed = Compress(Message(kLimit));
  for (const std::string before : {"", "before"}) {
    EXPECT_EQ(Inflate({}, before), std::nullopt);
    EXPECT_EQ(Inflate({""}, before), std::nullopt);
    EXPECT_EQ(Inflate({"garbage"}, before), std::nullopt);
    for (const size_t size : {size_t{1}, size_t{12}, compressed.size() / 2, compressed.size() - 1}) {
      EXPECT_EQ(Inflate({compressed.substr(0, size)}, before), std::nullopt) << size;
    }
    EXPECT_EQ(Inflate({compressed + "x"}, before), std::nullopt);
    EXPECT_EQ(Inflate({compressed, "", "x"}, before), std::nullopt);
    EXPECT_EQ(Inflate({compressed, compressed}, before), std::nullopt);
    std::string changed = compressed;
    changed.back() ^= 1;  // of the checksum, or of gzip's size
    EXPECT_EQ(Inflate({changed}, before), std::nullopt);
  }
}

TEST(UncompressedMessageTest, IsLeftToGrpc) {
  LimitInflation(1);
  Slices input({"as", "it", "is"}), output({});
  EXPECT_EQ(grpc_msg_decompress(GRPC_COMPRESS_NONE, input.buffer(), output.buffer()), 1);
  EXPECT_EQ(output.Text(), "asitis");
  LimitInflation(std::numeric_limits<size_t>::max());
}

}  // namespace
}  // namespace calserve
