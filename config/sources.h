/* SPDX-License-Identifier: Apache-2.0 */
/* Who can say something of the configuration, and what is looked at when all have. */
#pragma once

#include "draft.h"

enum {
    SL_CONFIG_FILE_MAX = 1024 * 1024,  /* bytes */
    SL_CONFIG_CMDLINE_MAX = 64 * 1024, /* bytes; kernels stop at 4 KiB or less */
};

typedef const char *sl_config_environment_fn(const char *name);

struct sl_config_texts {
    struct sl_span file;   /* data NULL: none */
    const char *file_name; /* for messages; ends in .json: JSON, else TOML */
    struct sl_span cmdline;
    sl_config_environment_fn *environment;
};
/* All of it but reading files. */
SL_MUST_CHECK int sl_config_load_texts(const struct sl_config_texts *texts,
                                       struct sl_loaded_config **ret, struct sl_error *err);

/* *ret_has_image: the file has a section [image], so that the kernel is not asked for one. */
SL_MUST_CHECK int sl_config_read_file(struct sl_config_draft *draft, struct sl_span text,
                                      const char *name, bool *ret_has_image, struct sl_error *err);
struct sl_config_kernel_use {
    bool image; /* its parameters count for [image]; else it is told that they do not */
    bool kbc;   /* agent.aa_kbc_params counts */
};
SL_MUST_CHECK int sl_config_read_kernel(struct sl_config_draft *draft, struct sl_span cmdline,
                                        const struct sl_config_kernel_use *use,
                                        struct sl_error *err);
/* use_kbc: AA_KBC_PARAMS counts. */
SL_MUST_CHECK int sl_config_read_environment(struct sl_config_draft *draft,
                                             sl_config_environment_fn *get, bool use_kbc,
                                             struct sl_error *err);
/* "NAME::URL", split at the first "::", since a URL may hold an IPv6 address. */
SL_MUST_CHECK int sl_config_set_kbc_params(struct sl_config_draft *draft, const char *params,
                                           const struct sl_config_source *source,
                                           struct sl_error *err);
/* Texts of the kernel and the environment, of which nobody has said that they are UTF-8. */
SL_MUST_CHECK int sl_config_set_foreign(struct sl_config_draft *draft, enum sl_config_id id,
                                        const char *text, const struct sl_config_source *source,
                                        struct sl_error *err);
/* Values that do not go together. */
SL_MUST_CHECK int sl_config_check_all(struct sl_config_draft *draft, struct sl_error *err);
/* Fills the lines. */
SL_MUST_CHECK int sl_config_describe(struct sl_config_draft *draft, struct sl_error *err);
