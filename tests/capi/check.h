/* Checks and output of the C programs in this folder. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "occlude.h"

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "line %d: not so: %s; %s\n", __LINE__, #condition, occlude_last_error());        \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

#define DO(call) CHECK((call) == OCCLUDE_OK)

/* The call fails with this status, and a message with this text. */
#define REFUSED(status, text, call)                                                                          \
    do {                                                                                                     \
        CHECK((call) == (status));                                                                           \
        CHECK(strstr(occlude_last_error(), (text)));                                                         \
    } while (0)

#define ARGUMENT(text, call) REFUSED(OCCLUDE_ERROR_ARGUMENT, "argument " text, call)

static void print(const char *name, const float *values, size_t count)
{
    printf("%s", name);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        printf(" %08x", (unsigned)bits);
    }
    printf("\n");
}
