/* What from_c.c finds wrong with the library, or null. */
#ifdef __cplusplus
extern "C"
#endif
    const char*
    wrong_from_c(void);
