/* SPDX-License-Identifier: Apache-2.0 */
/* Automatic cleanup. A destructor accepts NULL and half-built objects and keeps errno. */
#pragma once

#include <stddef.h>

/* SL_DEFINE_AUTO(sl_layer, sl_layer_free) lets a local say SL_AUTO(sl_layer) layer = NULL; */
#define SL_DEFINE_AUTO(name, free_fn)                                                              \
    static inline void name##_autop(struct name **pp)                                              \
    {                                                                                              \
        (void)free_fn(*pp);                                                                        \
    }
#define SL_AUTO(name) __attribute__((cleanup(name##_autop), unused)) struct name *

/* For a value (not a pointer) whose contents must be released: SL_AUTO_DONE(sl_bytes) b = {0}; */
#define SL_DEFINE_AUTO_DONE(name, done_fn)                                                         \
    static inline void name##_donep(struct name *p)                                                \
    {                                                                                              \
        done_fn(p);                                                                                \
    }
#define SL_AUTO_DONE(name) __attribute__((cleanup(name##_donep), unused)) struct name

void sl_cleanup_freep(void *pp);
void sl_cleanup_fdp(int *fdp);

#define SL_AUTO_FREE __attribute__((cleanup(sl_cleanup_freep), unused))
#define SL_AUTO_FD __attribute__((cleanup(sl_cleanup_fdp), unused)) int

/* Passes ownership on: yields the pointer and leaves NULL behind. */
#define sl_steal(pp)                                                                               \
    __extension__({                                                                                \
        __typeof__(*(pp)) stolen_ = *(pp);                                                         \
        *(pp) = NULL;                                                                              \
        stolen_;                                                                                   \
    })
#define sl_steal_fd(fdp)                                                                           \
    __extension__({                                                                                \
        int stolen_ = *(fdp);                                                                      \
        *(fdp) = -1;                                                                               \
        stolen_;                                                                                   \
    })
