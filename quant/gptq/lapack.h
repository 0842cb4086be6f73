// The two LAPACK routines that the library uses, as OpenBLAS exports them (its C interface to
// LAPACK is a separate package). Column-major, so a row-major lower triangle is 'U' here.
#pragma once

extern "C" {
/// Cholesky factorization in place; info > 0: not positive definite.
void spotrf_(const char* uplo, const int* n, float* a, const int* lda, int* info);
/// Triangular inverse in place; info > 0: singular.
void strtri_(const char* uplo, const char* diag, const int* n, float* a, const int* lda, int* info);
}
