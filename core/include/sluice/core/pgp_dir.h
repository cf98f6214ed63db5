/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private directories of gpg, which hold secret keys. Each is locked (flock) by its process as
 * long as it lives; what nobody holds was left by a process that was killed, and goes when the next
 * one is made, with the programs that still use it.
 */
#pragma once

#include "sluice/core/bytes.h"

struct sl_pgp_dir {
    char *path; /* NULL: none */
    int fd;     /* open and locked */
};

/* In memory where the system has such a place, mode 0700, empty. */
SL_MUST_CHECK int sl_pgp_dir_make(struct sl_pgp_dir *ret, struct sl_error *err);
/* With all that is in it. Keeps errno. */
void sl_pgp_dir_remove(struct sl_pgp_dir *dir);

/* Kills every program that was given this directory as its --homedir: gpg gives it to those it
 * starts. Any thread. */
void sl_pgp_dir_kill(const char *path);
