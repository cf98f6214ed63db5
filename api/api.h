/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the face share: who is behind a struct sluice, and how what its callers say and
 * hear becomes what the house says and hears. */
#pragma once

#include "sluice.h"
#include "sluice/pipeline.h"

#include <signal.h>

struct sluice {
    enum sluice_parts parts;
    struct sl_engine *engine; /* NULL: SLUICE_STORE_ONLY */
    struct sl_store *store;   /* the engine's, or own_store; NULL: SLUICE_NO_STORE */
    struct sl_store *own_store;
};

/* SL_E_SYSTEM with EINVAL when it was opened without. */
SL_MUST_CHECK int sl_api_need_engine(const struct sluice *s, struct sl_error *err);
SL_MUST_CHECK int sl_api_need_store(const struct sluice *s, struct sl_error *err);
/* SL_E_FORMAT when a caller has left out what must be said. */
SL_MUST_CHECK int sl_api_need_text(const char *text, const char *what, struct sl_error *err);

/* r, and the caller's error when it is a failure. The one place where errors go out. */
int sl_api_result(int r, const struct sl_error *why, struct sluice_error *err);

/* ---- quiet.c ---- */

/* While it lives, writing to a connection whose other end has gone does not end the process: a
 * library cannot count on programs that ignore SIGPIPE. Of the calling thread, and of those it
 * starts. */
struct sl_api_quiet {
    sigset_t before;
    bool was_pending;
};
struct sl_api_quiet sl_api_quiet_begin(void);
void sl_api_quiet_end(struct sl_api_quiet *quiet);
SL_DEFINE_AUTO_DONE(sl_api_quiet, sl_api_quiet_end)
#define SL_API_QUIET() SL_AUTO_DONE(sl_api_quiet) quiet_ = sl_api_quiet_begin()

/* ---- options.c: from a caller's structs, of whichever version, to ours ---- */

/* to: known bytes, which become those the caller has set, and zero behind them. SL_E_FORMAT when
 * the size cannot be one; SL_E_UNSUPPORTED when a newer caller says what is not known here. */
SL_MUST_CHECK int sl_api_take(void *to, size_t known, const void *from, const char *what,
                              struct sl_error *err);
#define SL_API_TAKE(to, from, err) sl_api_take(to, sizeof(*(to)), from, #from, err)
/* The other direction: to begins with the size its owner knows. */
void sl_api_give(void *to, const void *from, size_t known);

/* Members stay borrowed. from NULL: a zeroed one. */
SL_MUST_CHECK int sl_api_registry_options(const struct sluice_registry_options *from,
                                          struct sl_registry_options *ret, struct sl_error *err);
SL_MUST_CHECK int sl_api_key_options(const struct sluice_key_options *from,
                                     struct sl_key_options *ret, struct sl_error *err);
SL_MUST_CHECK int sl_api_policy_options(const struct sluice_policy_options *from,
                                        struct sl_policy_options *ret, struct sl_error *err);
struct sl_platform sl_api_platform(const struct sluice_platform *from);
