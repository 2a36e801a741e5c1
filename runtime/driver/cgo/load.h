#ifndef LOAD_H
#define LOAD_H
// load loads libcuda. It returns why it cannot be loaded, or NULL; missing becomes the first function that it lacks of those
// that this package calls.
const char *load(const char *library, const char **missing);
#endif
