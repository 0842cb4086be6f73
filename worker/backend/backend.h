// What a device does for the pipeline, at the level of whole operations: the forward pass of a
// decoder on one micro-batch, the Hessian of a stage, and the solve of a range of weight rows.
//
// Design goals: the pipeline is written once and never asks which device it is on; results depend
// on the operands alone, never on the number of threads or ranks; nothing is allocated behind the
// caller's back but scratch.
// Not goals: a general tensor library; broadcasting; autograd; views other than row ranges.
//
// Activations are [tokens, features] in activation_dtype() (CPU F32, CUDA BF16); a micro-batch is
// `sequences` times `seq_len` consecutive rows. Weights may be BF16, F16 or F32. Sums are taken in
// F32 at least. Outputs are caller-allocated, and are never an input of the same call unless said
// so.
//
// Thread-safety: one caller at a time. Operations run in order; on a GPU they are asynchronous and
// only download() and functions that return numbers wait.
// Errors: RESOURCE_EXHAUSTED for memory (with bytes needed and free), INTERNAL for a device error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/routing_rule.h"
#include "quant/scheme.h"
#include "worker/backend/tensor.h"
#include "worker/comm/communicator.h"

namespace rotor::worker {

struct DeviceInfo {
  std::string name;  // "cpu", "cuda sm_90 NVIDIA H200"
  int64_t memory_bytes = 0;
};

struct AttentionShape {
  int64_t sequences = 1;
  int64_t seq_len = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;        // of queries and keys
  double scale = 0.0;          // 1/sqrt(head_dim) for most families
  int64_t sliding_window = 0;  // 0: causal over the whole sequence
  double soft_cap = 0.0;       // scaled scores become cap * tanh(score / cap); 0: they stay
  int64_t value_dim = 0;       // of values and the output; 0: head_dim
  int64_t value_features() const { return value_dim > 0 ? value_dim : head_dim; }  // of a head
};

/// A gated delta net (DeltaNet in model/architecture.h).
struct DeltaShape {
  int64_t sequences = 1;
  int64_t seq_len = 0;
  int64_t key_heads = 0;
  int64_t value_heads = 0;  // a multiple of the key heads
  int64_t key_dim = 0;
  int64_t value_dim = 0;
  int64_t key_features() const { return key_heads * key_dim; }
  int64_t value_features() const { return value_heads * value_dim; }
  int64_t mixed_features() const { return 2 * key_features() + value_features(); }
};

/// Which experts take which tokens of a micro-batch of T tokens. A token's row is there once for
/// each of its k experts: expert e has rows [begin[e], begin[e + 1]) of T * k, tokens ascending.
struct Routing {
  std::vector<int64_t> begin;  // experts + 1 of them
  Tensor tokens;               // I32 [T * k, 1]: the token of each row
  Tensor places;               // I32 [T, k]: the rows of each token, experts ascending
  Tensor weights;              // F32 [T, k]: what each of them counts
  int64_t rows(int64_t expert) const {
    const auto e = static_cast<size_t>(expert);
    return begin[e + 1] - begin[e];
  }
};

/// What a router multiplies its input with, and what it adds.
struct RouterWeights {
  Tensor weight;      // [experts, K]
  Tensor bias;        // [1, experts] of the logits, or empty
  Tensor correction;  // [1, experts] of RoutingRule::corrected, or empty
};

/// The columns of a row that RoPE rotates.
struct RopeShape {
  int64_t seq_len = 0;
  int64_t head_dim = 0;
  int64_t first = 0;         // the column of each head that rotation begins at
  bool interleaved = false;  // pairs are (first + 2i, first + 2i + 1), not halves
};

/// Runs of columns: that of a head begins at first + head * step.
struct ColumnRuns {
  int64_t first = 0;
  int64_t step = 0;
};

/// How activations are quantized at run time (formats.md section 1, "Activations with a4").
struct ActivationQuant {
  QuantScheme scheme;
  float input_global_scale = 1.0F;  // NVFP4 only, in the direction of scheme.global
  bool operator==(const ActivationQuant&) const = default;
};

struct FactorOptions {
  double damping = 0.01;
  bool act_order = true;
};

/// How far the damping ladder of algorithm.md section 3 had to go.
enum class FactorKind : int32_t { kGptq = 0, kDiagonal = 1, kFailed = 2 };

/// What the solve needs of H', with what led to it. On the CPU H'^-1 = U^T U, places in the order
/// of quantization (quant/gptq/solve.h); on CUDA H' = L L^T, places against it (kernels/solve.h).
struct Factor {
  Tensor triangle;  // F32 [K, K]: U or L
  Tensor order;     // I32 [1, K]: the original column at each place
  Tensor dead;      // U8 [1, K], by original column: 1 where H'_cc was 0
  FactorKind kind = FactorKind::kGptq;
  double damping = 0.0;  // that made it succeed
};

/// Stored scales of a range of rows and what they decode to.
struct Scales {
  Tensor stored;     // scheme.scale_dtype as U8 bytes [n, groups * dtype_size]
  Tensor effective;  // F32 [n, groups]: what they are worth with the global scale
};

/// The logits of a micro-batch, never kept whole: x head^T, x [T, hidden] and head [vocabulary,
/// hidden], or soft_cap * tanh(x head^T / soft_cap) of it unless that is 0.
struct Logits {
  Tensor x;
  Tensor head;
  double soft_cap = 0.0;
};

/// How far one row of logits is from those of another model, of which P are the probabilities.
struct Divergence {
  double kl = 0.0;  // sum over the vocabulary of P (log P - log Q), nats, >= 0 but for rounding
  bool same_top =
      false;  // whether both have their largest logit (the first of several) in one place
};

/// Two models on the same tokens: an element for every position that predicts a token, in order.
struct ComparedPredictions {
  std::vector<double> source_losses;  // as next_token_losses gives them, nats
  std::vector<double> other_losses;
  std::vector<Divergence> divergences;
};

/// Rows of a weight [n, K] that GPTQ makes codes of.
struct RowsToSolve {
  Tensor w;       // F32 [n, K], rotated
  Scales scales;  // of these rows
  Tensor codes;   // U8 [n, K/2]
};

/// A copy on its way from the device to the host. May be taken, and destroyed, on any thread.
class Download {
 public:
  virtual ~Download() = default;
  /// Waits for it and copies it to `dst`; `bytes` must be the tensor's.
  virtual Status take(void* dst, size_t bytes) = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual DeviceInfo info() const = 0;
  virtual DType activation_dtype() const = 0;
  /// Rows of a weight that are solved together. Part of the plan: ranges given to the solve
  /// operations below start at a multiple of it.
  virtual int64_t row_tile() const = 0;

  // --- memory ---
  /// Bytes of device memory that allocate may still give; 0: no limit is known, as on a CPU whose
  /// user gave none.
  virtual int64_t memory_left() const = 0;
  /// Whether upload and download cross a bus: memory of allocate_host is no device memory.
  virtual bool host_is_apart() const = 0;
  virtual Result<Tensor> allocate(DType dtype, int64_t rows, int64_t cols) = 0;
  /// Host memory that upload and download move fastest from and to (page-locked, on a GPU). Slow to
  /// get: keep it. May be read and written from any thread, and freed on any.
  virtual Result<std::shared_ptr<Buffer>> allocate_host(size_t bytes) = 0;
  /// Copies from host memory, which may be used again when it returns; `bytes` is src's size and
  /// must equal dst's.
  virtual Status upload(const void* src, size_t bytes, const Tensor& dst) = 0;
  /// Waits, then copies to host memory.
  virtual Status download(const Tensor& src, void* dst, size_t bytes) = 0;
  /// Starts a copy of what `src` holds once everything asked for so far is done; does not wait.
  /// `src` must stay as it is until the copy is taken.
  virtual Result<std::unique_ptr<Download>> begin_download(const Tensor& src) = 0;
  virtual Status copy(const Tensor& src, const Tensor& dst) = 0;
  /// Waits until everything asked for so far is done, and tells the first error of it.
  virtual Status synchronize() = 0;

  // --- many small problems ---
  /// Calls piece(backend, i) once for each i in [0, count), several at the same time where the
  /// device is not filled by one; returns when the device has done all of it. The backend that a
  /// piece is given is of the same device and gives the same bits; a piece may use tensors of this
  /// one, but what it allocates from its own must be gone when it returns. Gives the error of the
  /// lowest piece that failed; the others may or may not have run.
  virtual Status for_each(int64_t count, const std::function<Status(Backend&, int64_t)>& piece) = 0;

  // --- forward ---
  /// out[t, :] = table[ids[t], :] * scale.
  virtual Status embed(const Tensor& table, std::span<const int32_t> ids, float scale,
                       const Tensor& out) = 0;
  /// out = x / sqrt(mean(x^2) + eps) * weight, row by row. out may be x.
  virtual Status rms_norm(const Tensor& x, const Tensor& weight, double eps, const Tensor& out) = 0;
  /// out [T, N] = x [T, K] weight[N, K]^T (+ bias [1, N] unless empty).
  virtual Status linear(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const Tensor& out) = 0;
  /// Rotates columns of each head of x [tokens, heads * head_dim] in place, from shape.first on;
  /// the others stay. Pairs are halves (i, i + rotary/2) or neighbours, and a column keeps its
  /// place. The position is the row's place within its sequence. `cos`, `sin`: F32 [seq_len or
  /// more, rotary/2], whose width says how many columns are rotated.
  virtual Status rope(const Tensor& x, const RopeShape& shape, const Tensor& cos,
                      const Tensor& sin) = 0;
  /// Causal grouped-query attention; q [T, heads * head_dim], k [T, kv_heads * head_dim], v [T,
  /// kv_heads * value_dim] and out [T, heads * value_dim]. `sinks` [1, heads], unless empty,
  /// holds for each head one more score of every query's softmax, neither scaled nor capped, whose
  /// share goes to no value.
  virtual Status attention(const AttentionShape& shape, const Tensor& q, const Tensor& k,
                           const Tensor& v, const Tensor& sinks, const Tensor& out) = 0;
  /// For each row and head: `width` columns of `out` from to.first + head * to.step on are those of
  /// `in` from from.first + head * from.step on. The other columns of `out` stay; a step of 0 gives
  /// all heads the same.
  virtual Status copy_columns(const Tensor& in, const ColumnRuns& from, const Tensor& out,
                              const ColumnRuns& to, int64_t heads, int64_t width) = 0;
  /// out = what `activation` makes of gate and up. out may be gate.
  virtual Status gated_activation(const GatedActivation& activation, const Tensor& gate,
                                  const Tensor& up, const Tensor& out) = 0;
  /// out[t, c] = silu(sum over taps i of weight[c, i] * x[t - taps + 1 + i, c]), over the rows of a
  /// sequence; those before its first are zeros. weight [cols, taps].
  virtual Status causal_convolution(const Tensor& x, const Tensor& weight, int64_t seq_len,
                                    const Tensor& out) = 0;
  /// The recurrence of a gated delta net. mixed [T, mixed_features] holds q, k and v of all heads,
  /// one after the other; beta and alpha [T, value_heads] are its gates b and a, decay and step [1,
  /// value_heads]; out [T, value_features]. The state is F32.
  virtual Status delta_rule(const DeltaShape& shape, const Tensor& mixed, const Tensor& beta,
                            const Tensor& alpha, const Tensor& decay, const Tensor& step,
                            const Tensor& out) = 0;
  /// x *= sigmoid(gate); gate is as wide as x, or holds one number a row.
  virtual Status sigmoid_gate(const Tensor& x, const Tensor& gate) = 0;
  /// x += y * scale.
  virtual Status add(const Tensor& x, const Tensor& y, float scale) = 0;
  /// Shares out the rows of x [T, K] by logits x weight^T (+ bias), which are F32. The choice is
  /// one of numbers, whatever they are: where x is not finite it is any. Waits.
  virtual Result<Routing> route(const Tensor& x, const RouterWeights& router,
                                const RoutingRule& rule) = 0;
  /// out[r, :] = x[rows[r], :]; rows I32 [R, 1], each below x.rows().
  virtual Status gather_rows(const Tensor& x, const Tensor& rows, const Tensor& out) = 0;
  /// x[t, :] += sum over j of weights[t, j] * y[places[t, j], :], in F32 and in order of j.
  virtual Status add_routed(const Tensor& x, const Tensor& y, const Routing& routing) = 0;
  /// Cross entropy of every next-token prediction of the micro-batch, nats: seq_len - 1 of each
  /// sequence, in order. logits = x head^T, never kept whole, and `soft_cap` * tanh(logits /
  /// soft_cap) of them unless it is 0. Waits.
  virtual Result<std::vector<double>> next_token_losses(const Tensor& x, const Tensor& head,
                                                        std::span<const int32_t> ids,
                                                        int64_t seq_len, double soft_cap) = 0;
  /// `other` beside `source` on one micro-batch: both have its rows and one vocabulary. Each head
  /// is multiplied with once. Waits.
  virtual Result<ComparedPredictions> compare_predictions(const Logits& source, const Logits& other,
                                                          std::span<const int32_t> ids,
                                                          int64_t seq_len) = 0;

  // --- the input of a quantized linear ---
  /// out = x R, R the normalized Sylvester Hadamard of `block` on every block of columns. out may
  /// be x. dtypes may differ (weights BF16 -> F32); `block` 1 does nothing but convert.
  virtual Status rotate(const Tensor& x, int64_t block, const Tensor& out) = 0;
  /// Fake quantization of activations, group by group along each row. out may be x.
  virtual Status quantize_activations(const Tensor& x, const ActivationQuant& quant,
                                      const Tensor& out) = 0;
  /// sums [1, K] F32 += for each column the sum over all rows of (y - x)^2; x and y [T, K] in the
  /// activation dtype.
  virtual Status add_squared_differences(const Tensor& x, const Tensor& y, const Tensor& sums) = 0;
  /// Largest |x|; NaN where x holds a NaN, Inf where it holds an infinity.
  virtual Result<float> max_abs(const Tensor& x) = 0;
  /// running [1, 1] F32 = the larger of it and max|x|; a NaN counts as larger than an infinity. For
  /// checks that can be looked at later: does not wait.
  virtual Status fold_max_abs(const Tensor& x, const Tensor& running) = 0;

  // --- Hessians: F32 [K, K], only the lower triangle valid until hessian_finish ---
  virtual Status hessian_zero(const Tensor& hessian) = 0;
  /// hessian += x^T x.
  virtual Status hessian_accumulate(const Tensor& x, const Tensor& hessian) = 0;
  /// dst += src: a node of the lane tree.
  virtual Status hessian_add(const Tensor& dst, const Tensor& src) = 0;
  /// Divides by `tokens` and mirrors the lower triangle.
  virtual Status hessian_finish(const Tensor& hessian, int64_t tokens) = 0;
  /// Adds values [1, K] F32 to the diagonal of a finished Hessian.
  virtual Status hessian_add_diagonal(const Tensor& hessian, const Tensor& values) = 0;
  /// out = R^T H R.
  virtual Status rotate_hessian(const Tensor& hessian, int64_t block, const Tensor& out) = 0;
  /// algorithm.md section 3, ladder included; `hessian` stays as it is. Collective over `comm`,
  /// whose ranks have the same Hessian and get the same factor: together where the device gains by
  /// it, else `root` makes it. FactorKind::kFailed is not an error: the caller rounds to nearest
  /// and says so. INVALID_ARGUMENT: hessian is not finite.
  virtual Result<Factor> factorize(const Tensor& hessian, const FactorOptions& options,
                                   Communicator& comm, int root) = 0;

  // --- solve: w is F32 [n, K], rotated, rows that begin at a multiple of row_tile() ---
  /// w -= w D H'^-1, with H' as it was factorized, damping included, and D the diagonal matrix of
  /// noise [1, K] F32, which is part of H': what w becomes for inputs with noise of that power
  /// (algorithm.md section 4, "Quantized activations").
  virtual Status fit_noisy_inputs(const Tensor& w, const Tensor& noise, const Factor& factor) = 0;
  /// `column_costs` F32 [1, K] weighs the columns of an mse search; empty: all alike.
  virtual Result<Scales> search_scales(const Tensor& w, const QuantScheme& scheme,
                                       float global_scale, ScaleSearch search,
                                       const Tensor& column_costs) = 0;
  /// What an error in each column costs under this factor, for search_scales: F32 [1, K] by
  /// original column (quant/gptq/factor.h, solve_costs).
  virtual Result<Tensor> solve_costs(const Factor& factor) = 0;
  /// Codes by GPTQ, of weights that share a factor: a device may take them all at once, and each
  /// row gets the same bits as by itself.
  virtual Status solve(std::span<const RowsToSolve> weights, const QuantScheme& scheme,
                       const Factor& factor) = 0;
  /// Improves the codes of solve() by `passes` of coordinate descent on the same objective
  /// (quant/gptq/refine.h); `hessian` F32 [K, K] is H', undamped.
  virtual Status refine(std::span<const RowsToSolve> weights, const QuantScheme& scheme,
                        const Tensor& hessian, double damping, int passes) = 0;
  /// Codes by rounding to nearest.
  virtual Status round_to_nearest(const Tensor& w, const QuantScheme& scheme, const Scales& scales,
                                  const Tensor& codes) = 0;
  /// out [n, K] F32 (or activation_dtype()) = code value * effective scale.
  virtual Status dequantize(const Tensor& codes, const QuantScheme& scheme,
                            const Tensor& effective_scales, const Tensor& out) = 0;
  /// For each row r: (a_r - b_r) H (a_r - b_r)^T in F64, one number a row; b may be empty (zero).
  /// Rows are summed by the caller in row order, so the sum does not depend on who had which rows.
  virtual Result<std::vector<double>> quadratic_error(const Tensor& a, const Tensor& b,
                                                      const Tensor& hessian) = 0;
};

/// The CPU backend on OpenBLAS, with `threads` threads (0: all that the process may use) and at
/// most `memory_limit` bytes of tensors (0: what the machine has).
std::unique_ptr<Backend> make_cpu_backend(int threads, int64_t memory_limit = 0);

}  // namespace rotor::worker
