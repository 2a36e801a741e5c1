#ifndef LOAD_H
#define LOAD_H
// load loads libcuda. It returns why it cannot be loaded, or NULL; missing becomes the first function that it lacks of those
// that this package calls.
const char *load(const char *library, const char **missing);

// nccl_version returns the version of a library of collectives, 0 if it cannot be loaded.
int nccl_version(const char *library);
#endif
