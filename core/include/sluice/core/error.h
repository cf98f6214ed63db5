/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error model: a negative errno decides, an error value explains; both always agree.
 *
 * - A function that can fail returns int: 0 or more on success, a negative errno on failure. Its
 *   last argument is a struct sl_error, which may be NULL.
 * - On success the error is untouched; on failure every ret_ argument is untouched.
 * - -EAGAIN is flow control, not failure: the error was not set and the caller still owns what
 *   it offered.
 * - Verification has no third answer: 0 means verified, everything else is a failure.
 */
#pragma once

#include <errno.h>
#include <stdarg.h>

/* Decides the exit status of a program; see cli/exit_codes.h. */
enum sl_errc {
    SL_OK,
    SL_E_SYSTEM,      /* the operating system said no: errno tells */
    SL_E_NETWORK,     /* a peer could not be reached, or broke its protocol */
    SL_E_AUTH,        /* a peer refused our credentials, or wants some */
    SL_E_FORMAT,      /* bytes from outside do not parse */
    SL_E_INTEGRITY,   /* bytes parse and are not what was promised: digest, size, MAC */
    SL_E_POLICY,      /* a rule of the operator forbids it */
    SL_E_LIMIT,       /* a named limit was reached */
    SL_E_UNSUPPORTED, /* well-formed, and we do not do it */
    SL_E_CANCELLED,   /* somebody asked to stop, or a sibling failed first */
};

enum { SL_ERROR_MSG_MAX = 512 };

/* A value: lives on the caller's stack or in its job, owns nothing. */
struct sl_error {
    enum sl_errc code;
    int errnum;        /* positive errno */
    const char *stage; /* static name of the stage that failed; NULL outside the data path */
    char msg[SL_ERROR_MSG_MAX];
};

#define SL_MUST_CHECK __attribute__((warn_unused_result))

/* Sets *err and returns -errnum (-EIO when errnum is 0). Bytes that would break the line or the
 * terminal are replaced, since messages quote names chosen by images. err may be NULL. */
int sl_error_set(struct sl_error *err, enum sl_errc code, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for a failed system call: code SL_E_SYSTEM, the text of errnum is appended. */
int sl_error_system(struct sl_error *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message and returns r, so that it can end a function. */
int sl_error_wrap(struct sl_error *err, int r, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Out of memory, in the words all modules share. */
int sl_error_oom(struct sl_error *err);

/* "integrity", "network", …: the names used in logs and JSON. */
const char *sl_errc_name(enum sl_errc code);

#if defined(__clang_analyzer__) && !defined(SL_ERROR_KEEPS_PROMISE)
/* The analyser reads one file at a time: this tells it what error.c promises. */
#define SL_ERROR_NEGATIVE(call)                                                                    \
    __extension__({                                                                                \
        int negative_ = (call);                                                                    \
        if (negative_ >= 0)                                                                        \
            __builtin_unreachable();                                                               \
        negative_;                                                                                 \
    })
#define sl_error_set(...) SL_ERROR_NEGATIVE(sl_error_set(__VA_ARGS__))
#define sl_error_system(...) SL_ERROR_NEGATIVE(sl_error_system(__VA_ARGS__))
#define sl_error_wrap(...) SL_ERROR_NEGATIVE(sl_error_wrap(__VA_ARGS__))
#define sl_error_oom(err) SL_ERROR_NEGATIVE(sl_error_oom(err))
#endif
