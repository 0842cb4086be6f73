"""ModelOpt's two NVFP4 kernels without a GPU, made of its own packed tensor and its own formula of the scales.

ModelOpt calibrates and exports anywhere, but what its quantizers do to a tensor in between is CUDA or Triton code.
install() puts plain PyTorch in the place of it; MXFP4 is left out. Slow, and not what ModelOpt runs on a GPU: a
result says so.
"""

import modelopt.torch.kernels.quantization.gemm as kernels
import modelopt.torch.quantization.tensor_quant as tensor_quant
import torch
from modelopt.torch.kernels.quantization.gemm.fp4_kernel import compute_fp4_scales
from modelopt.torch.quantization.qtensor.nvfp4_tensor import NVFP4QTensor

LARGEST_CODE, LARGEST_SCALE = 6.0, 448.0


def dynamic_blocks(inputs, block_size, amax, num_bits, exponent_bits, scale_num_bits, scale_exponent_bits):
    """Scales of the blocks out of the blocks themselves, one global scale out of amax."""
    if (num_bits, exponent_bits, scale_num_bits, scale_exponent_bits) != (4, 2, 8, 4):
        raise NotImplementedError("without a GPU ModelOpt runs NVFP4 alone")
    codes, scales, global_scale = NVFP4QTensor.quantize(
        inputs, block_size,
        weights_scaling_factor_2=amax.amax().float() / (LARGEST_CODE * LARGEST_SCALE))
    return codes.dequantize(dtype=inputs.dtype, scale=scales, double_scale=global_scale,
                            block_sizes={-1: block_size})


def static_blocks(x, amax, global_amax=None, quantize_block_scales=True,
                  fp8_max_for_normalization=LARGEST_SCALE, out_dtype=None):
    """Scales of the blocks out of amax [blocks]."""
    scales = compute_fp4_scales(amax, global_amax, quantize_block_scales, fp8_max_for_normalization)
    scales = torch.where(scales > 0, scales, 1).reshape(-1, 1)
    codes = NVFP4QTensor._cast_fp4(x.float().reshape(scales.shape[0], -1) / scales)
    values = NVFP4QTensor.get_e2m1_values(x.device)[codes.long()]
    return (values * scales).reshape(x.shape).to(out_dtype or x.dtype)


def install():
    tensor_quant.dynamic_block_quantize_op = dynamic_blocks
    kernels.static_blockwise_fp4_fake_quant = static_blocks
    kernels.IS_AVAILABLE = True
