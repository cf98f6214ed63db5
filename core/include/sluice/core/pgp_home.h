/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A private home directory for gpg, which lives as long as one operation: our own options instead
 * of the user's, our own agent instead of his, and nothing of it survives. It lies in memory where
 * the system has such a place, with mode 0700.
 */
#pragma once

#include "sluice/core/pgp_dir.h"
#include "sluice/core/pgp_watch.h"

enum { SL_PGP_DEADLINE_MS = 60 * 1000 };

struct sl_pgp_home {
    struct sl_pgp_dir dir;
    gpgme_ctx_t ctx; /* one thread at a time */
    struct sl_pgp_watch *watch;
    int deadline_ms;
    bool has_agent; /* gpg may have started daemons that are to be ended */
};

/* keys_of: a gnupg home directory whose keys are used too, without ever writing to it. NULL: the
 * home is empty. deadline_ms: how long gpg has for all it does in this home; 0:
 * SL_PGP_DEADLINE_MS. */
SL_MUST_CHECK int sl_pgp_home_open(const char *keys_of, int deadline_ms, struct sl_pgp_home *ret,
                                   struct sl_error *err);
/* An empty home for public keys only: whatever needs a secret key, or an agent, fails there.
 * Without daemons to start and to end it costs a third. */
SL_MUST_CHECK int sl_pgp_home_open_for_verifying(int deadline_ms, struct sl_pgp_home *ret,
                                                 struct sl_error *err);
/* What came out of the work in this home. ETIMEDOUT: it failed since gpg's time was over. */
int sl_pgp_home_result(const struct sl_pgp_home *home, int r, struct sl_error *err);
/* Ends the agent and removes the directory. Keeps errno. */
void sl_pgp_home_done(struct sl_pgp_home *home);
SL_DEFINE_AUTO_DONE(sl_pgp_home, sl_pgp_home_done)

/* Bytes for gpg to read, borrowed; and a place for bytes it writes. gpgme wipes its own copies.
 * *ret is to be given to gpgme_data_release(), which accepts NULL. */
gpgme_error_t sl_pgp_lend(struct sl_span bytes, gpgme_data_t *ret);
gpgme_error_t sl_pgp_collect(struct gpgme_data_cbs *sink, void *arg, gpgme_data_t *ret);

/* The answer to whoever asks in this context: borrowed. NULL: nobody is answered, which makes gpg
 * fail with GPG_ERR_CANCELED; a wrong one with GPG_ERR_BAD_PASSPHRASE. */
void sl_pgp_set_passphrase(gpgme_ctx_t ctx, const char *passphrase);

/* gpg did not do its work for a reason of its own. */
int sl_pgp_failed(struct sl_error *err, gpgme_error_t e, const char *what);

/* The user's gnupg home directory: static, or NULL. */
const char *sl_pgp_user_home(void);
