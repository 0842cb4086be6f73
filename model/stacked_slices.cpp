#include "model/stacked_slices.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "quant/format/bf16.h"
#include "quant/format/e2m1.h"
#include "quant/format/e8m0.h"

namespace rotor {
namespace {

constexpr int64_t kBandBytes = int64_t{4} << 20;
constexpr int64_t kGroupBytes = kMxfp4Group / 2;

/// to[r, c] = from[c, r * step], `rows` by `cols`; strides in elements.
template <typename T>
void transpose(const void* from, int64_t from_stride, int64_t step, int64_t rows, int64_t cols,
               void* to, int64_t to_stride) {
  const auto* source = static_cast<const T*>(from);
  auto* out = static_cast<T*>(to);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t col = 0; col < cols; ++col) {
      out[row * to_stride + col] = source[col * from_stride + row * step];
    }
  }
}

/// A linear's weight [N, K] in a stack [E, K, N L].
class TransposedWeight final : public DecodedTensor {
 public:
  TransposedWeight(TensorSpec spec, const TensorSpec& stack, const StackSlice& slice)
      : DecodedTensor(std::move(spec)), stack_(stack), slice_(slice) {}

  std::vector<std::string> parts() const override { return {stack_.name}; }

  Status read_rows(const TensorSource& stored, int64_t first, int64_t count,
                   void* out) const override {
    const int64_t inputs = stack_.shape[1];
    const int64_t size = dtype_size(stack_.dtype);
    const int64_t input_bytes = stack_.shape[2] * size;
    const int64_t band = std::clamp<int64_t>(kBandBytes / input_bytes, 1, inputs);
    std::vector<char> bytes(static_cast<size_t>(band * input_bytes));
    auto* to = static_cast<char*>(out);
    auto* move = size == 2 ? &transpose<uint16_t> : &transpose<uint32_t>;
    for (int64_t begin = 0; begin < inputs; begin += band) {
      const int64_t many = std::min(band, inputs - begin);
      ROTOR_RETURN_IF_ERROR(stored.read(stack_.name, (slice_.expert * inputs + begin) * input_bytes,
                                        bytes.data(), static_cast<size_t>(many * input_bytes)));
      move(bytes.data() + (slice_.first + first * slice_.step) * size, stack_.shape[2], slice_.step,
           count, many, to + begin * size, inputs);
    }
    return {};
  }

 private:
  TensorSpec stack_;
  StackSlice slice_;
};

/// A linear's weight [N, K] in a stack [E, N L, K]: rows as they stand.
class RowsWeight final : public DecodedTensor {
 public:
  RowsWeight(TensorSpec spec, const TensorSpec& stack, const StackSlice& slice)
      : DecodedTensor(std::move(spec)), stack_(stack), slice_(slice) {}

  std::vector<std::string> parts() const override { return {stack_.name}; }

  Status read_rows(const TensorSource& stored, int64_t first, int64_t count,
                   void* out) const override {
    const int64_t row_bytes = stack_.shape[2] * dtype_size(stack_.dtype);
    const int64_t row = slice_.expert * stack_.shape[1] + slice_.first + first;
    return stored.read(stack_.name, row * row_bytes, out, static_cast<size_t>(count * row_bytes));
  }

 private:
  TensorSpec stack_;
  StackSlice slice_;
};

/// A tensor by another name.
class RenamedTensor final : public DecodedTensor {
 public:
  RenamedTensor(const std::string& name, const TensorSpec& stored)
      : DecodedTensor({name, stored.dtype, stored.shape}), stored_name_(stored.name) {}

  std::vector<std::string> parts() const override { return {stored_name_}; }

  Status read_rows(const TensorSource& stored, int64_t first, int64_t count,
                   void* out) const override {
    const int64_t cols = spec().shape.empty() ? 1 : spec().shape.back();
    const int64_t row_bytes = cols * dtype_size(spec().dtype);
    return stored.read(stored_name_, first * row_bytes, out,
                       static_cast<size_t>(count * row_bytes));
  }

 private:
  std::string stored_name_;
};

/// A linear's weight [N, K] in blocks [E, N L, K/32, 16] and scales [E, N L, K/32].
class Mxfp4Weight final : public DecodedTensor {
 public:
  Mxfp4Weight(TensorSpec spec, const TensorSpec& blocks, std::string scales,
              const StackSlice& slice)
      : DecodedTensor(std::move(spec)),
        blocks_(blocks),
        scales_(std::move(scales)),
        slice_(slice) {}

  std::vector<std::string> parts() const override { return {blocks_.name, scales_}; }

  std::optional<Format> four_bit_format() const override { return Format::kMxfp4; }

  Status read_rows(const TensorSource& stored, int64_t first, int64_t count,
                   void* out) const override {
    if (count == 0) {
      return {};
    }
    const int64_t groups = blocks_.shape[2];
    const int64_t begin = slice_.expert * blocks_.shape[1] + slice_.first + first * slice_.step;
    const int64_t span = (count - 1) * slice_.step + 1;  // rows of the stack
    std::vector<uint8_t> codes(static_cast<size_t>(span * groups * kGroupBytes));
    std::vector<uint8_t> scales(static_cast<size_t>(span * groups));
    ROTOR_RETURN_IF_ERROR(
        stored.read(blocks_.name, begin * groups * kGroupBytes, codes.data(), codes.size()));
    ROTOR_RETURN_IF_ERROR(stored.read(scales_, begin * groups, scales.data(), scales.size()));
    auto* values = static_cast<uint16_t*>(out);
    for (int64_t row = 0; row < count; ++row) {
      for (int64_t group = row * slice_.step * groups; group < (row * slice_.step + 1) * groups;
           ++group) {
        const float scale = e8m0_decode(scales[static_cast<size_t>(group)]);
        const uint8_t* packed = codes.data() + group * kGroupBytes;
        for (int64_t i = 0; i < kGroupBytes; ++i) {
          *values++ = f32_to_bf16(e2m1_decode(packed[i]) * scale);
          *values++ = f32_to_bf16(e2m1_decode(packed[i] >> 4U) * scale);
        }
      }
    }
    return {};
  }

 private:
  TensorSpec blocks_;
  std::string scales_;
  StackSlice slice_;
};

/// A linear's bias [N] in a stack [E, N L].
class StackedBias final : public DecodedTensor {
 public:
  StackedBias(TensorSpec spec, const TensorSpec& stack, const StackSlice& slice)
      : DecodedTensor(std::move(spec)), stack_(stack), slice_(slice) {}

  std::vector<std::string> parts() const override { return {stack_.name}; }

  /// There is one row.
  Status read_rows(const TensorSource& stored, int64_t, int64_t count, void* out) const override {
    const int64_t size = dtype_size(stack_.dtype);
    const int64_t expert_bytes = stack_.shape[1] * size;
    std::vector<char> bytes(static_cast<size_t>(expert_bytes));
    ROTOR_RETURN_IF_ERROR(
        stored.read(stack_.name, slice_.expert * expert_bytes, bytes.data(), bytes.size()));
    auto* move = size == 2 ? &transpose<uint16_t> : &transpose<uint32_t>;
    move(bytes.data() + slice_.first * size, 0, slice_.step, count * spec().shape[0], 1, out, 1);
    return {};
  }

 private:
  TensorSpec stack_;
  StackSlice slice_;
};

}  // namespace

StackedTensor transposed_slice(TensorSpec spec, const TensorSpec& stack, const StackSlice& slice) {
  return std::make_unique<TransposedWeight>(std::move(spec), stack, slice);
}

StackedTensor rows_slice(TensorSpec spec, const TensorSpec& stack, const StackSlice& slice) {
  return std::make_unique<RowsWeight>(std::move(spec), stack, slice);
}

StackedTensor mxfp4_slice(TensorSpec spec, const TensorSpec& blocks, const std::string& scales,
                          const StackSlice& slice) {
  return std::make_unique<Mxfp4Weight>(std::move(spec), blocks, scales, slice);
}

StackedTensor bias_slice(TensorSpec spec, const TensorSpec& stack, const StackSlice& slice) {
  return std::make_unique<StackedBias>(std::move(spec), stack, slice);
}

StackedTensor renamed_tensor(const std::string& name, const TensorSpec& stored) {
  return std::make_unique<RenamedTensor>(name, stored);
}

}  // namespace rotor
