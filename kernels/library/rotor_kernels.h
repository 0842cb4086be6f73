/* librotor_kernels: Rotor's 4-bit kernels for NVIDIA GPUs, in plain C.
 *
 * Formats are those of Rotor's checkpoints (docs/formats.md): NVFP4 is E2M1 codes with an E4M3
 * scale for each 16 and an F32 scale for the tensor, MXFP4 E2M1 codes with an E8M0 scale for each
 * 32, INT4 codes -8 to 7 (stored + 8) with a BF16, F16 or F32 scale for each 16, 32, 64, 128 or
 * 256. Codes lie two a byte, the first in the low half.
 *
 * Every function that takes a stream enqueues on it and on the current device, and returns; what
 * goes wrong on the device shows at the next synchronization. Pointers called "device" are device
 * memory, and no output may overlap an input. Matrices lie row after row without gaps. Nothing
 * allocates device memory but rotor_kernels_create.
 *
 * Thread-safety: a handle and a workspace serve one call at a time; all else may be called from any
 * thread. Devices: compute capability 8.0 and newer.
 */
#ifndef ROTOR_KERNELS_H
#define ROTOR_KERNELS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ROTOR_KERNELS_API __attribute__((visibility("default")))

typedef struct CUstream_st* rotor_stream; /* cudaStream_t; null: the default stream */
typedef struct rotor_kernels rotor_kernels;

typedef enum rotor_status {
  ROTOR_OK = 0,
  ROTOR_INVALID_ARGUMENT = 1, /* a shape, pointer or number that no device takes */
  ROTOR_UNSUPPORTED = 2,      /* what these kernels, or this device, cannot do */
  ROTOR_OUT_OF_MEMORY = 3,    /* of the device, or a workspace that is too small */
  ROTOR_CUDA_ERROR = 4        /* from CUDA or cuBLASLt */
} rotor_status;

typedef enum rotor_format { ROTOR_NVFP4 = 0, ROTOR_MXFP4 = 1, ROTOR_INT4 = 2 } rotor_format;

typedef enum rotor_scale_dtype {
  ROTOR_SCALE_E4M3 = 0, /* NVFP4 */
  ROTOR_SCALE_E8M0 = 1, /* MXFP4 */
  ROTOR_SCALE_BF16 = 2, /* INT4 */
  ROTOR_SCALE_F16 = 3,
  ROTOR_SCALE_F32 = 4
} rotor_scale_dtype;

/* What a stored scale is worth with the tensor's global scale. */
typedef enum rotor_global_kind {
  ROTOR_GLOBAL_DIVISOR = 0,    /* stored / global; global is 1 for MXFP4 and INT4 */
  ROTOR_GLOBAL_MULTIPLIER = 1, /* stored * global; NVFP4 */
  ROTOR_GLOBAL_THREE = 2       /* stored / 3; MXFP4 of FP-Quant, its global being 3 */
} rotor_global_kind;

typedef enum rotor_scale_order {
  ROTOR_SCALES_IN_ROWS = 0, /* [rows, groups] */
  /* Tiles of 128 rows by 4 groups, 512 bytes each, along the groups and then along the rows; row r
   * and group c of a tile lie at (r % 32) * 16 + r / 32 * 4 + c. Rows and groups that fill up the
   * last tiles are zeros. */
  ROTOR_SCALES_IN_TILES = 1
} rotor_scale_order;

typedef enum rotor_scale_search { ROTOR_ABSMAX = 0, ROTOR_MSE = 1 } rotor_scale_search;

/* "0.1.0" */
ROTOR_KERNELS_API const char* rotor_kernels_version(void);

/* What the last call of this thread that failed says about it; "" before one did. Stays until the
 * next failure. */
ROTOR_KERNELS_API const char* rotor_last_error(void);

/* ---- Activations to FP4 ---- */

typedef struct rotor_quantize_args {
  int64_t rows;        /* activations, any number */
  int64_t cols;        /* a multiple of the group and of the block */
  int64_t block;       /* of the Hadamard rotation: 16, 32, 64, 128, 256; 1: none */
  rotor_format format; /* NVFP4 or MXFP4 */
  rotor_global_kind global;
  rotor_scale_search search;
  rotor_scale_order order;
  float global_scale; /* NVFP4: static, finite and positive */
  const float* amax;  /* device, or null; NVFP4: 2688 / amax (or amax / 2688) in place of it */
} rotor_quantize_args;

/* Bytes of scales; `groups` is cols over 16 (NVFP4) or 32 (MXFP4). */
ROTOR_KERNELS_API int64_t rotor_scale_bytes(rotor_scale_order order, int64_t rows, int64_t groups);

/* x: device, BF16 [rows, cols], aligned to 16 bytes. codes: device, [rows, cols / 2] bytes, aligned
 * to 16. scales: device, rotor_scale_bytes bytes, aligned to 4. One pass over memory. A group that
 * holds a NaN or an infinity gets the NaN scale. */
ROTOR_KERNELS_API rotor_status rotor_quantize(const void* x, const rotor_quantize_args* args,
                                              uint8_t* codes, uint8_t* scales, rotor_stream stream);

/* *amax (device, F32, not negative before) becomes the largest magnitude of the rotated x and of
 * itself. */
ROTOR_KERNELS_API rotor_status rotor_rotated_max_abs(const void* x, int64_t rows, int64_t cols,
                                                     int64_t block, float* amax,
                                                     rotor_stream stream);

/* ---- Weights ---- */

typedef struct rotor_weight_scheme {
  rotor_format format;
  int64_t group_size; /* NVFP4 16, MXFP4 32, INT4 16 to 256 */
  rotor_scale_dtype scale_dtype;
  rotor_global_kind global;
} rotor_weight_scheme;

/* A weight [rows, cols] (outputs by inputs) as rotor_pack_weight leaves it. */
typedef struct rotor_weight {
  rotor_weight_scheme scheme;
  int64_t rows;
  int64_t cols;
  float global_scale;
  const void* packed; /* device */
} rotor_weight;

/* Bytes of a packed weight. */
ROTOR_KERNELS_API rotor_status rotor_packed_weight_bytes(const rotor_weight_scheme* scheme,
                                                         int64_t rows, int64_t cols,
                                                         int64_t* bytes);

/* codes: device, [rows, cols / 2] bytes. scales: device, [rows, cols / group_size], as
 * a checkpoint has them. packed: device, aligned to 16. Fills `weight`. */
ROTOR_KERNELS_API rotor_status rotor_pack_weight(const rotor_weight_scheme* scheme, int64_t rows,
                                                 int64_t cols, const uint8_t* codes,
                                                 const uint8_t* scales, float global_scale,
                                                 void* packed, rotor_weight* weight,
                                                 rotor_stream stream);

/* out: device, BF16 [rows, cols], aligned to 16. */
ROTOR_KERNELS_API rotor_status rotor_unpack_weight(const rotor_weight* weight, void* out,
                                                   rotor_stream stream);

/* ---- Products ---- */

/* A handle for products on `stream`, which must outlive it: cuBLASLt and 32 MiB of device memory.
 */
ROTOR_KERNELS_API rotor_status rotor_kernels_create(rotor_stream stream, rotor_kernels** handle);
/* Null is nothing to do. */
ROTOR_KERNELS_API void rotor_kernels_destroy(rotor_kernels* handle);

/* Bytes of workspace for products of m activations, or fewer, on the current device. */
ROTOR_KERNELS_API rotor_status rotor_gemm_workspace_bytes(const rotor_weight* weight, int64_t m,
                                                          int64_t* bytes);

/* out [m, weight rows] = x [m, weight cols] times the weight's transpose: BF16, summed in F32; both
 * device, aligned to 16. workspace: device, aligned to 16, zeros before its first use with a weight
 * of that shape; products leave it so that it serves again. */
ROTOR_KERNELS_API rotor_status rotor_gemm(rotor_kernels* handle, const void* x, int64_t m,
                                          const rotor_weight* weight, void* out, void* workspace,
                                          int64_t workspace_bytes, rotor_stream stream);

#ifdef __cplusplus
}
#endif

#endif
