// The forward pass of a decoder, cut where the quantizer has to step in: for each stage of each
// layer first the input of its linears, then everything up to the next stage (design.md section 4).
// Calibration, propagation and evaluation all run these same calls.
//
// A micro-batch is `sequences` times `seq_len` rows. Between stages it consists of x, the residual
// stream [tokens, hidden], and of the carry: what stages leave for those behind them (the
// attention's output, the product of gate and up; Stage::leaves, Stage::takes). Stages that add to
// x leave no carry. In a mixture the product has a row for each of a token's experts, and the carry
// remembers where the rows belong: a micro-batch is routed once, on the input that the first stage
// of the experts sees.
//
// Owns: the RoPE tables and the scratch. Thread-safety: one caller at a time, as the backend.
// Fails: RESOURCE_EXHAUSTED and INTERNAL from the backend; INVALID_ARGUMENT from create().
// Values are not checked here: callers look at Backend::max_abs of a stage's input or of x.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "model/architecture.h"
#include "worker/backend/backend.h"
#include "worker/model/carry.h"
#include "worker/model/decoder_scratch.h"
#include "worker/model/layer_weights.h"
#include "worker/model/rope.h"

namespace rotor::worker {

struct BatchShape {
  int64_t sequences = 1;
  int64_t seq_len = 0;
  int64_t tokens() const { return sequences * seq_len; }
};

/// What the linears of a stage take.
struct RoutedRows {
  Tensor rows;
  /// Stages of a mixture alone. What kExpertsIn takes has one row a token, what kExpertsOut takes
  /// the rows that routing speaks of.
  Routing routing;
  Tensor scores = {};  // of RoutingRule::scales_inputs: the router's weight; else empty
};

class Decoder {
 public:
  /// For sequences up to `max_seq_len` tokens. `backend` must outlive the decoder. Error: a length
  /// that is not positive or beyond the model's longest_sequence().
  static Result<Decoder> create(Backend& backend, const ModelConfig& config, int64_t max_seq_len);

  /// x [tokens, hidden] = embedding[ids], scaled as the model wants it.
  Status embed(const EndWeights& ends, std::span<const int32_t> ids, const Tensor& x);

  /// The input [tokens, in_features] that the stage's linears share, before their transforms: the
  /// norm of x, x itself in a stage without norm, or the first slot that the stage takes. Valid
  /// until the next call of stage_input, and until x changes.
  Result<RoutedRows> stage_input(const Stage& stage, const StageWeights& weights, const Tensor& x,
                                 const Carry& carry);

  /// The rows of `input` that one of the stage's experts takes, by its scores where these scale
  /// them. Valid until the next call.
  Result<Tensor> expert_input(const Stage& stage, const RoutedRows& input, int64_t expert);

  /// The rest of the stage: each linear on the transformed `input` (computed once for neighbours
  /// with the same transform), and what follows it. `carry` has the slots that the stage takes,
  /// which stay as they are. Stages that leave slots write them to those of `left`, [tokens,
  /// features] each; the product of a mixture then has the shape that its routing speaks of. The
  /// others add to x and leave `left` alone.
  Status finish_stage(const Stage& stage, const StageWeights& weights, const BatchShape& shape,
                      const RoutedRows& input, const Tensor& x, const Carry& carry, Carry* left);

  /// All stages of a layer: x in, x out.
  Status forward_layer(const Layer& layer, const LayerWeights& weights, const BatchShape& shape,
                       const Tensor& x);

  /// out [tokens, hidden] = final norm of x.
  Status final_norm(const EndWeights& ends, const Tensor& x, const Tensor& out);

  /// Gives back what is kept between calls; the next ones take what they need.
  void release_scratch() { scratch_ = DecoderScratch(); }

  /// What the head makes of x after the last layer. Holds until the decoder's next call; x stays as
  /// it is.
  Result<Logits> logits(const EndWeights& ends, const Tensor& x);

  /// Next-token losses of the micro-batch after the last layer (Backend::next_token_losses), soft
  /// cap included; x stays as it is.
  Result<std::vector<double>> losses(const EndWeights& ends, const BatchShape& shape,
                                     std::span<const int32_t> ids, const Tensor& x);

 private:
  Decoder(Backend& backend, const ModelConfig& config, Rope rope);

  Result<Tensor> transformed(const InputTransform& transform, const Tensor& input);
  /// outs, one after the other, are what the linears give. A linear that stands for several gives
  /// each the rows that are its own.
  Status apply(std::span<const LinearWeights> linears, const Tensor& input,
               std::span<const Tensor> outs);
  /// x = norm of its pieces; nothing where `weight` is empty.
  Status norm_pieces(const Tensor& weight, const Tensor& x);
  /// Rotates x, heads of attention.head_dim or what RoPE rotates of one.
  Status rope(const Attention& attention, const BatchShape& shape, const Tensor& x,
              int64_t head_dim);
  Status attend(const Attention& attention, const BatchShape& shape, const Tensor& q,
                const Tensor& k, const Tensor& v, const Tensor& sinks, const Tensor& out);
  Status finish_attention_in(const Attention& attention, const StageWeights& weights,
                             const BatchShape& shape, const Tensor& input, const Tensor& attended);
  /// What a gated delta net's linears and gates give.
  struct DeltaRows {
    Tensor mixed;  // q, k and v of all heads
    Tensor z;
    Tensor beta;
    Tensor alpha;
  };
  Result<DeltaRows> delta_rows(const Stage& stage, const StageWeights& weights,
                               const Tensor& input);
  Status finish_delta_in(const Stage& stage, const StageWeights& weights, const BatchShape& shape,
                         const Tensor& input, const Tensor& attended);
  Status finish_latent_in(const Stage& stage, const StageWeights& weights, const BatchShape& shape,
                          const Tensor& input, const Carry& left);
  Status finish_latent_query(const Stage& stage, const StageWeights& weights,
                             const BatchShape& shape, const Tensor& input, const Tensor& query);
  Status finish_latent_key_value(const Stage& stage, const StageWeights& weights,
                                 const BatchShape& shape, const Tensor& input, const Carry& carry,
                                 const Tensor& attended);
  /// The down projection of a shared expert, and what scales it.
  Status finish_shared_out(const Stage& stage, const StageWeights& weights, const Tensor& input,
                           const Carry& carry, const Tensor& shared);
  Status finish_mlp_in(std::span<const LinearWeights> linears, const Tensor& input,
                       const Tensor& product);
  Status finish_residual(const StageWeights& weights, const Tensor& input, const Tensor& x);
  Status finish_experts_in(const Stage& stage, const StageWeights& weights, const RoutedRows& input,
                           Carry* left);
  Status finish_experts_out(const Stage& stage, const StageWeights& weights,
                            const RoutedRows& input, const Tensor& x, const Tensor& shared);

  Backend* backend_;
  ModelConfig config_;
  Rope rope_;
  std::optional<Rope> local_rope_;
  RopeTables query_growth_;  // empty where queries do not grow in sequences as short as these
  DecoderScratch scratch_;
};

}  // namespace rotor::worker
