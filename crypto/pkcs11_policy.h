/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which PKCS#11 modules may be loaded: code that runs in this process. ocicrypt's configuration
 * (YAML), from the first of these that exists:
 *     $OCICRYPT_CONFIG (a file, or "internal": the built-in directories)
 *     $XDG_CONFIG_HOME/ocicrypt.conf, $HOME/.config/ocicrypt.conf, /etc/ocicrypt.conf
 * and without any of them the built-in directories of distributions.
 *
 *     pkcs11:
 *       module-directories: [/usr/lib/softhsm/]        where a module-name is looked for
 *       allowed-module-paths: [/usr/lib/softhsm/, …]   a file, or with a '/' behind it a directory
 */
#pragma once

#include "sluice/core/bytes.h"

enum { SL_PKCS11_PATHS_MAX = 64 };

struct sl_pkcs11_paths {
    char *paths[SL_PKCS11_PATHS_MAX];
    size_t n;
};

struct sl_pkcs11_policy {
    struct sl_pkcs11_paths directories;
    struct sl_pkcs11_paths allowed;
};
void sl_pkcs11_policy_done(struct sl_pkcs11_policy *policy);
SL_DEFINE_AUTO_DONE(sl_pkcs11_policy, sl_pkcs11_policy_done)

SL_MUST_CHECK int sl_pkcs11_policy_parse(struct sl_span text, struct sl_pkcs11_policy *ret,
                                         struct sl_error *err);
SL_MUST_CHECK int sl_pkcs11_policy_builtin(struct sl_pkcs11_policy *ret, struct sl_error *err);
/* As the environment says. */
SL_MUST_CHECK int sl_pkcs11_policy_load(struct sl_pkcs11_policy *ret, struct sl_error *err);

/* The file of the module that a PKCS#11 URI names by module-path and module-name (either may be
 * NULL), to be freed. SL_E_POLICY: it may not be loaded. A name fits a file that ends with it, or
 * has a '.' behind it: "softhsm2" fits libsofthsm2.so. */
SL_MUST_CHECK int sl_pkcs11_policy_find(const struct sl_pkcs11_policy *policy, const char *path,
                                        const char *name, char **ret, struct sl_error *err);
